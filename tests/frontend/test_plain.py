"""The chat in a browser that runs no scripts: a message is sent, its answer read, stopped, gone on from."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.chat.client import Chat
from tests.frontend.conftest import Watch, from_somewhere, sign_in
from tests.frontend.test_pages import LOOKS
from tests.servers.site import Newcomer, Site

Opened = Callable[..., tuple[Page, Watch]]


@pytest.fixture(scope="module")
def plain_person(live_site: Site) -> Newcomer:
    return live_site.new_user("pro")


@pytest.fixture
def page(open_page: Opened, live_site: Site, plain_person: Newcomer) -> Page:
    made, _ = open_page(java_script_enabled=False, extra_http_headers=from_somewhere())
    sign_in(made, live_site, plain_person)
    return made


def said(site: Site, person: Newcomer) -> list[str]:
    """The messages that there are, by id: an answer of before may still come to its end."""
    return [row["id"] for row in Chat(site, person).http.get("/api/chat/history").json()["results"]]


def say(page: Page, text: str, model: str = "openai/gpt-4o-mini") -> None:
    page.get_by_role("link", name="Choose another").click()
    page.get_by_label("Model", exact=True).select_option(model)
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def test_a_message_is_sent_and_its_answer_appears_and_the_talk_goes_on(page: Page) -> None:
    say(page, "Show me a table")
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}#end$"))
    expect(page.locator(".msg--answer table").first).to_be_visible()
    page.get_by_role("textbox", name="Message").fill("And\nanother one")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".msg--user")).to_have_count(2)
    expect(page.locator(".msg--user").last).to_contain_text("And\nanother one")
    expect(page.locator(".msg--answer .msg__usage")).to_have_count(2)


def test_an_answer_that_is_being_written_can_be_stopped(page: Page) -> None:
    say(page, "Tell me.", "sandbox/slow")
    expect(page.locator("main")).to_contain_text("Tell me.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".msg__note")).to_contain_text("You stopped this answer.")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_what_is_refused_comes_back_with_its_text(page: Page, live_site: Site, plain_person: Newcomer) -> None:
    live_site.command("set_rates", plain_person.email, "--rpm", "0", "--reason", "test")
    before = said(live_site, plain_person)
    try:
        say(page, "Is anybody there?")
        expect(page.get_by_role("alert")).to_contain_text("requests")
        expect(page.get_by_role("textbox", name="Message")).to_have_value("Is anybody there?")
        assert said(live_site, plain_person) == before
    finally:
        live_site.command("set_rates", plain_person.email, "--rpm", "unlimited", "--reason", "test")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".msg--user").last).to_contain_text("Is anybody there?")


def test_a_form_from_elsewhere_sends_nothing(page: Page, live_site: Site, plain_person: Newcomer) -> None:
    talks = len(Chat(live_site, plain_person).http.get("/api/conversations").json()["results"])
    forged = page.request.post(
        f"{live_site.url}/c/send", form={"content": "Forged"}, headers={"Origin": "https://evil.example"}
    )
    assert forged.status == 403
    assert len(Chat(live_site, plain_person).http.get("/api/conversations").json()["results"]) == talks


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_without_scripts_has_no_fault(
    open_page: Opened, live_site: Site, plain_person: Newcomer, look: dict[str, object]
) -> None:
    page, _ = open_page(extra_http_headers=from_somewhere(), java_script_enabled=False, **look)
    sign_in(page, live_site, plain_person)
    assert page.locator("textarea#prompt").is_hidden()
    assert page.get_by_role("textbox", name="Message").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
