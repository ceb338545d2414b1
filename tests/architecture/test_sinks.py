"""Every place where text becomes HTML unescaped is known, with the reason why it is safe."""

import re

from tests.architecture.source import PRODUCT, files, name

SINK = re.compile(
    r"\|\s*safe\b|\{%\s*autoescape off|mark_safe\(|SafeString\("
    r"|\.innerHTML\b|\.outerHTML\b|insertAdjacentHTML|document\.write\("
)

# path -> why what goes in there is safe. A new sink needs a line here, and so a second look.
KNOWN: dict[str, str] = {
    "accounts/templates/accounts/email/handed_over_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "accounts/templates/accounts/email/key_ends_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "accounts/templates/accounts/email/key_leaked_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "accounts/templates/accounts/email/team_invitation_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "accounts/templates/accounts/email/team_removed_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "accounts/templates/accounts/email/team_role_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "frontend/src/chat/canonical.ts": "HTML of our own origin that the server has sanitised as its last step",
    "chat/exporting/documents.py": "an answer in an exported page, which the sanitiser has just made from Markdown",
    "chat/share_pages.py": "an answer of a shared copy, which the sanitiser made from Markdown",
    "chat/shown.py": "the answer as HTML, which the sanitiser has just made from Markdown",
    "templates/account/email/base_message.txt": "a plain-text mail: nothing in it is read as HTML",
    "templates/billing/email/letter.txt": "a plain-text mail: nothing in it is read as HTML",
    "templates/content/docs_page.html": "a page of the documentation, which the sanitiser has made from Markdown",
    "templates/content/post.html": "a post, which the sanitiser has made from Markdown",
    "templates/quotas/email/alert_subject.txt": "the subject of a mail: nothing in it is read as HTML",
}


def test_every_sink_is_listed_and_every_listed_one_exists() -> None:
    found = {
        name(path)
        for path in files()
        if name(path).split("/")[0] in {*PRODUCT, "templates", "frontend"}
        and path.suffix in {".py", ".html", ".txt", ".ts", ".js", ".svg"}
        and "test" not in path.name
        and SINK.search(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert found == set(KNOWN)
