"""The list of conversations in a browser: finding, keeping order, sharing, taking along; every state accessible."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.frontend.conftest import Watch, from_somewhere, sign_in
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Newcomer, Site

Opened = Callable[..., tuple[Page, Watch]]


def talk(title: str, *said: str) -> dict[str, Any]:
    """A conversation of one branch as an export has it."""
    rows = [
        {"id": str(at), "parent_message_id": str(at - 1), "role": "assistant" if at % 2 else "user", "content": text}
        for at, text in enumerate(said)
    ]
    return {"format": "oneai.conversation", "version": 1, "conversation": {"title": title}, "messages": rows}


class Owner:
    """Somebody with conversations; `.call()` is their API."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self.site = site
        self.who: Newcomer = site.new_user("pro")
        context = browser.new_context(extra_http_headers=from_somewhere())
        sign_in(context.new_page(), site, self.who)
        self.state: Any = context.storage_state()
        context.close()
        self.bring(
            talk("Hash maps", "How does a hash map work?", "It keeps **buckets** of pairs."),
            talk("हिन्दी में", "मुझे हिन्दी में बताओ", "नमस्ते दुनिया"),
            talk("Third", "What is <b>this</b>?", "The third one."),
        )

    def bring(self, *talks: Any) -> list[str]:
        ids: list[str] = self.call("POST", "conversations/import", {"conversations": talks})["ids"]
        return ids

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(
            method,
            f"{self.site.url}/api/{path}",
            content=None if body is None else orjson.dumps(body),
            headers={"Authorization": f"Bearer {self.who.api_key}", "Content-Type": "application/json"},
            timeout=30,
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def owner(live_site: Site, browser: Browser) -> Owner:
    return Owner(live_site, browser)


@pytest.fixture
def page(open_page: Opened, owner: Owner) -> Page:
    """The chat of the owner."""
    opened, _ = open_page(storage_state=owner.state)
    opened.goto(f"{owner.site.url}/c")
    expect(opened.locator("#model-name")).not_to_have_text("Choose a model")
    return opened


def item(page: Page, title: str) -> Any:
    return page.locator(".side__item").filter(has=page.locator(".side__title", has_text=re.compile(f"^{title}$")))


def act(page: Page, title: str, deed: str) -> None:
    item(page, title).get_by_role("button").click()
    page.get_by_role("menuitem", name=re.compile(f"^{deed}")).click()


def test_what_was_said_is_found_and_marked(page: Page, owner: Owner) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator("#side-q")).to_be_focused()
    page.keyboard.type("pairs BUCK")
    expect(page.locator(".side__item")).to_have_count(1)
    expect(page.locator(".side__excerpt mark")).to_have_text(["buckets", "pairs"])
    page.locator("#side-q").fill("दुनिया")
    expect(page.locator(".side__excerpt mark").first).to_have_text("दुनिया")
    page.locator(".side__link").click()
    expect(page.locator("#title")).to_have_text("हिन्दी में")
    page.locator("#side-q").fill("nowhere at all")
    expect(page.locator("#side-status")).to_have_text("Nothing was found for “nowhere at all”.")
    page.route("**/api/conversations?*", lambda route: route.abort())
    page.locator("#side-q").fill("hash")
    expect(page.locator("#side-status")).to_contain_text("no connection")
    page.unroute("**/api/conversations?*")
    page.get_by_role("button", name="Try again").click()
    expect(item(page, "Hash maps")).to_be_visible()


def test_without_scripts_the_search_and_the_folders_work_too(open_page: Opened, owner: Owner) -> None:
    folder = owner.call("POST", "folders", {"name": "No scripts"})["id"]
    page, _ = open_page(storage_state=owner.state, java_script_enabled=False)
    page.goto(f"{owner.site.url}/c?q=buckets")
    expect(page.locator(".side__item")).to_have_count(1)
    expect(page.locator(".side__excerpt mark")).to_have_text("buckets")
    page.goto(f"{owner.site.url}/c?view={folder}")
    expect(page.locator(".side__empty")).to_have_text("Nothing is in this folder yet.")


@pytest.mark.slow
def test_pins_folders_and_the_archive_keep_order(page: Page, owner: Owner) -> None:
    owner.bring(talk("To be moved", "a", "b"))
    page.reload()
    act(page, "To be moved", "Pin")
    expect(page.locator(".side__heading").first).to_have_text("Pinned")
    page.reload()
    expect(page.locator(".side__group").first).to_contain_text("To be moved")
    act(page, "To be moved", "Move")
    page.get_by_label("Or a new one").fill("Work")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator("#toast-text")).to_have_text("Moved.")
    page.locator("#side-view").select_option(label="Work")
    expect(page.locator(".side__item")).to_have_count(1)
    page.locator("#side-tools").click()
    page.get_by_role("menuitem", name="Rename this folder").click()
    page.get_by_label("Name", exact=True).fill("Play")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#side-view option", has_text="Play")).to_have_count(1)
    page.locator("#side-tools").click()
    page.get_by_role("menuitem", name="Delete this folder").click()
    expect(page.locator("#toast-text")).to_contain_text("What was in it stays.")
    act(page, "To be moved", "Archive")
    expect(item(page, "To be moved")).to_have_count(0)
    page.locator("#side-view").select_option("archived")
    expect(item(page, "To be moved")).to_be_visible()
    act(page, "To be moved", "Out of the archive")
    expect(page.locator("#side-status")).to_have_text("Nothing is archived.")


def test_many_are_deleted_at_once_and_brought_back(page: Page, owner: Owner) -> None:
    owner.bring(talk("Many one", "a", "b"), talk("Many two", "a", "b"))
    page.reload()
    page.locator("#side-select").click()
    for title in ("Many one", "Many two"):
        page.get_by_label(f"Choose {title}").check()
    expect(page.locator("#side-bulk-count")).to_have_text("2 chosen")
    page.get_by_role("button", name="Delete them").click()
    expect(item(page, "Many one")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(item(page, "Many one")).to_be_visible()
    expect(item(page, "Many two")).to_be_visible()


def test_a_conversation_is_shared_read_by_a_stranger_and_gone_when_it_ends(
    page: Page, open_page: Opened, owner: Owner
) -> None:
    (talk_id,) = owner.bring(talk("To be shared", "A question of a@example.com", "An **answer**"))
    page.goto(f"{owner.site.url}/c/{talk_id}")
    page.get_by_role("button", name="Share this conversation").click()
    expect(page.locator("#share-review")).to_have_text("It seems to have in it: 1 e-mail address.")
    page.get_by_label("Password, if you want one").fill("open sesame")
    page.get_by_label("Readers may continue in their own account").check()
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("#share-facts")).to_contain_text("2 messages")
    link = page.locator("#share-url").input_value()
    stranger, _ = open_page(java_script_enabled=False)
    stranger.goto(link)
    assert "question" not in stranger.content()
    stranger.get_by_label("Password").fill("open sesame")
    stranger.get_by_role("button", name="Open").click()
    expect(stranger.locator(".prose strong")).to_have_text("answer")
    # Somebody signed in goes on with a copy of their own, by the form of the real page.
    other = owner.site.new_user()
    reader, _ = open_page()
    sign_in(reader, owner.site, other)
    reader.goto(link)
    reader.get_by_label("Password").fill("open sesame")
    reader.get_by_role("button", name="Open").click()
    reader.get_by_role("button", name="Continue in my account").click()
    expect(reader.locator("#title")).to_have_text("To be shared")
    expect(reader.locator(".msg--answer")).to_contain_text("An answer")
    page.reload()
    page.get_by_role("button", name="Share this conversation").click()
    expect(page.locator("#share-facts")).to_contain_text("2 views")
    page.get_by_role("button", name="End the link").click()
    expect(page.locator("#share-link")).to_be_hidden()
    gone = stranger.goto(link)
    assert gone is not None and gone.status == 404


@pytest.mark.slow
def test_a_conversation_is_exported_and_brought_in_again(page: Page, owner: Owner, tmp_path: Any) -> None:
    (talk_id,) = owner.bring(talk("To be exported", "नमस्ते", "An answer"))
    page.goto(f"{owner.site.url}/c/{talk_id}")
    for name, start in (("PDF", b"%PDF"), ("JSON", b"{")):
        page.get_by_role("button", name="Actions for this conversation").click()
        page.get_by_role("menuitem", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        assert file.read_bytes().startswith(start)
        page.get_by_role("button", name="Close").click()
    owner.call("DELETE", f"conversations/{talk_id}")
    page.goto(f"{owner.site.url}/c")
    page.locator("#side-tools").click()
    page.get_by_role("menuitem", name="Import").click()
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "To be exported.json")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#import-status")).to_have_text("1 conversation with 2 messages came in.")
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": b"{"}
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#import-status")).to_contain_text("not valid JSON")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(item(page, "To be exported")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_state_of_the_list_has_no_fault(open_page: Opened, owner: Owner, look: dict[str, Any]) -> None:
    page, _ = open_page(storage_state=owner.state, **look)
    talk_id = owner.call("GET", "conversations?q=buckets")["results"][0]["id"]
    link = owner.call("POST", f"conversations/{talk_id}/share", {"password": "open sesame", "allow_continue": True})[
        "url"
    ]
    page.goto(f"{owner.site.url}/c/{talk_id}")

    def listed() -> None:
        """On a phone the list closes when a dialog opens."""
        if not page.locator("#side").is_visible():
            page.get_by_role("button", name="Show conversations").click()

    listed()
    found = {}
    page.locator("#side-q").fill("hash")
    expect(page.locator(".side__item mark").first).to_be_visible()
    found["search"] = faults(page)
    page.locator("#side-select").click()
    page.locator(".side__check").first.check()
    found["several"] = faults(page)
    page.locator("#side-bulk-end").click()
    page.locator(".side__more").first.click()
    found["menu"] = faults(page)
    page.get_by_role("menuitem", name="Export").click()
    found["export"] = faults(page)
    page.locator("#export [data-close]").click()
    listed()
    page.locator(".side__more").first.click()
    page.get_by_role("menuitem", name="Share").click()
    expect(page.locator("#share-facts")).to_contain_text("messages")
    found["share"] = faults(page)
    page.locator("#share [data-close]").click()
    listed()
    page.locator("#side-tools").click()
    page.get_by_role("menuitem", name="Import").click()
    expect(page.locator("#import")).to_be_visible()
    found["import"] = faults(page)
    page.locator("#import [data-close]").click()
    page.goto(link)
    found["locked"] = faults(page)
    page.get_by_label("Password").fill("open sesame")
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".msg--answer")).to_be_visible()
    found["shared"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}
