"""Exports over the API: what was said, in five formats, and nothing in it that does or fetches anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pypdfium2
import pytest

from accounts.models import User
from chat.exporting import pdf
from chat.models import Conversation
from tests.chat.people import Api, conversation, message
from tests.chat.test_conversations_api import error

pytestmark = pytest.mark.django_db

PAYLOADS = (Path(__file__).parent / "xss_payloads.txt").read_text(encoding="utf-8")
ANSWER = """## Heading

Some **bold** words, `code`, a [link](https://example.com/a) and नमस्ते दुनिया.

1. one
   - inner
2. two

| a | b |
|---|:-:|
| x | *y* |

```python
def f(): return "<b>"
```

> quoted

![a cat](https://evil.example/cat.png) and $x^2$
"""


@pytest.fixture
def talk(alice: User) -> Conversation:
    made = conversation(alice, 'Größe <b> "x"\n# टाइटल', system="Be *brief*.")
    question = message(made, "Why?\n# not a heading")
    message(made, "another branch", question, role="assistant", model_id="a/b")
    message(made, ANSWER, question, role="assistant", model_id="a/b")
    return made


def export(api: Api, talk: Conversation, file_format: str) -> Any:
    response = api.get(f"/api/conversations/{talk.pk}/export", format=file_format)
    assert response.status_code == 200, response.content
    return response


@pytest.mark.parametrize(
    ("file_format", "content_type"),
    [
        ("md", "text/markdown; charset=utf-8"),
        ("json", "application/json"),
        ("html", "text/html; charset=utf-8"),
        ("txt", "text/plain; charset=utf-8"),
        ("pdf", "application/pdf"),
    ],
)
def test_each_format_is_a_file_with_the_conversation_s_name(
    as_alice: Api, talk: Conversation, file_format: str, content_type: str
) -> None:
    response = export(as_alice, talk, file_format)
    assert response["Content-Type"] == content_type
    name = response["Content-Disposition"]
    assert name.startswith(f'attachment; filename="Gre b x.{file_format}"; ')
    assert name.endswith(f"filename*=UTF-8''{quote('Größe b x टाइटल')}.{file_format}")
    assert response["Cache-Control"] == "no-store, private"


def test_markdown_and_text_say_what_was_said_on_the_branch_that_is_shown(as_alice: Api, talk: Conversation) -> None:
    markdown = export(as_alice, talk, "md").content.decode()
    assert markdown.startswith('# Größe \\<b\\> "x" \\# टाइटल\n')
    assert ANSWER.strip() in markdown and "> Be *brief*." in markdown
    text = export(as_alice, talk, "txt").content.decode()
    assert "--- You ---\n\nWhy?\n# not a heading\n\n--- a/b ---" in text
    assert "another branch" not in markdown + text


def test_html_stands_alone_and_nothing_in_it_runs_or_is_fetched(as_alice: Api, alice: User, talk: Conversation) -> None:
    hostile = conversation(alice, "</title><script>alert(1)</script>", system="</div><script>alert(2)</script>")
    message(hostile, PAYLOADS, message(hostile, PAYLOADS), role="assistant", model_id="<script>alert(3)</script>")
    page = export(as_alice, hostile, "html").content.decode()
    assert "<script" not in page and "<img" not in page and "<iframe" not in page
    assert "<link" not in page and "<style" not in page.replace("<style>", "", 1)
    assert "@import" not in page.split("</style>")[0] and "url(" not in page.split("</style>")[0]
    assert "default-src 'none'" in page
    whole = export(as_alice, talk, "html").content.decode()
    assert "<strong>bold</strong>" in whole and 'href="https://example.com/a"' in whole
    assert "Load image from evil.example" in whole


def test_a_pdf_has_every_word_in_any_script(as_alice: Api, talk: Conversation) -> None:
    document = pypdfium2.PdfDocument(export(as_alice, talk, "pdf").content)
    text = "".join(page.get_textpage().get_text_range() for page in document)
    for words in (
        "Größe",
        "Be *brief*.",
        "Why?",
        "Heading",
        "bold",
        "inner",
        "def f()",
        "quoted",
        "[image: a cat]",
        "Page 1 of 1",
    ):
        assert words in text, words
    assert "दुनिया"[0] in text
    assert "another branch" not in text


def test_a_pdf_of_anything_is_drawn(as_alice: Api, alice: User) -> None:
    odd = conversation(alice, "💥 \u202e मराठी 東京")
    below = message(odd, "\u0007 tab\there 💥💥 العربية 東京\n" + "x" * 3000)
    deep = "\n".join(f"{'  ' * depth}- {'> ' * depth}item **{depth}" for depth in range(40))
    wide = "|" + "a|" * 30 + "\n|" + "-|" * 30 + "\n|" + "1|" * 30
    message(odd, f"{PAYLOADS}\n\n{deep}\n\n{wide}\n\n# \n\n***\n\n```\n{'y' * 4000}\n```", below, role="assistant")
    assert export(as_alice, odd, "pdf").content.startswith(b"%PDF")


def test_a_format_that_is_not_known_and_a_pdf_that_is_too_long_are_refused(
    as_alice: Api, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/conversations/{talk.pk}/export"
    assert error(as_alice.get(path)) == (400, "invalid_value", "format")
    assert error(as_alice.get(path, format="docx")) == (400, "invalid_value", "format")
    monkeypatch.setattr(pdf, "MOST_CHARACTERS", 100)
    assert error(as_alice.get(path, format="pdf")) == (409, "conflict", None)
    assert export(as_alice, talk, "md")
