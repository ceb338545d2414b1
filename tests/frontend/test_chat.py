"""The chat page against a real server: streaming, stopping, coming back, being refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.frontend.conftest import Watch, choose, finished, from_somewhere, send, sign_in
from tests.servers.site import Site


def answer(page: Page) -> Any:
    return page.locator(".msg--answer").last


def at_rest(box: Locator) -> float:
    """Where a box stands once it is scrolled no further: a turn of the wheel takes several frames."""
    before, now = -1.0, float(box.evaluate("box => box.scrollTop"))
    while now != before:
        box.page.wait_for_timeout(200)
        before, now = now, float(box.evaluate("box => box.scrollTop"))
    return now


def test_a_message_is_answered_and_stays_after_a_reload(chat: Page, live_site: Site) -> None:
    choose(chat, "openai/gpt-4o-mini")
    send(chat, "Show me a table, some code and math")
    finished(chat)
    expect(chat).to_have_url(re.compile(f"{live_site.url}/c/[0-9a-f-]{{36}}$"))
    expect(answer(chat)).to_have_attribute("data-status", "complete")
    expect(answer(chat).locator(".msg__usage")).to_contain_text("tokens")
    expect(answer(chat).locator("table")).to_be_visible()
    expect(answer(chat).locator("math").first).to_be_visible()
    shown = answer(chat).locator(".msg__body").inner_text()
    chat.reload()
    expect(answer(chat).locator("math").first).to_be_visible()
    assert answer(chat).locator(".msg__body").inner_text() == shown
    expect(chat.locator("#title")).to_contain_text("table")
    expect(chat.locator(".side__link[aria-current]")).to_contain_text("table")


def test_the_typesetter_is_fetched_only_when_there_is_math(chat: Page) -> None:
    scripts: list[str] = []
    chat.on("request", lambda request: scripts.append(request.url) if "temml" in request.url else None)
    choose(chat, "sandbox/hello")
    send(chat, "Hello")
    finished(chat)
    assert scripts == []


def test_an_answer_is_stopped_and_keeps_its_text(chat: Page) -> None:
    choose(chat, "sandbox/slow")
    send(chat, "Tell me a story")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    chat.locator("#prompt").press("Escape")
    finished(chat)
    expect(answer(chat)).to_have_attribute("data-status", "stopped")
    expect(answer(chat)).to_contain_text("You stopped this answer.")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w"))


def test_after_a_click_on_stop_the_next_message_can_be_typed(chat: Page) -> None:
    choose(chat, "sandbox/slow")
    send(chat, "Tell me a story")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    chat.locator("#stop").click()
    finished(chat)
    expect(chat.locator("#prompt")).to_be_focused()


def test_a_reload_in_mid_answer_sees_it_finish(chat: Page) -> None:
    choose(chat, "sandbox/long")
    send(chat, "Write at length")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w{3}"))
    chat.reload()
    expect(answer(chat)).to_have_attribute("data-status", "complete", timeout=60_000)
    finished(chat)
    shown = answer(chat).locator(".msg__body").inner_text()
    chat.reload()
    finished(chat)
    assert answer(chat).locator(".msg__body").inner_text() == shown


@pytest.mark.parametrize(("scenario", "status"), [("http-502", "failed"), ("cut", "interrupted")])
def test_a_failure_says_what_happened_and_can_be_tried_again(chat: Page, scenario: str, status: str) -> None:
    choose(chat, f"sandbox/{scenario}")
    send(chat, "Try this")
    finished(chat)
    expect(answer(chat)).to_have_attribute("data-status", status)
    expect(answer(chat).locator(".msg__note")).not_to_be_empty()
    choose(chat, "sandbox/hello")
    answer(chat).get_by_role("button", name="Try again").click()
    expect(answer(chat)).to_have_attribute("data-status", "complete", timeout=30_000)


def test_reasoning_is_folded_above_the_answer(chat: Page) -> None:
    choose(chat, "sandbox/reasoning")
    send(chat, "Think first")
    finished(chat)
    fold = answer(chat).locator(".msg__reasoning")
    expect(fold).not_to_have_attribute("open", "")
    fold.locator("summary").click()
    expect(fold.locator(".msg__reasoning-text")).not_to_be_empty()


def test_hostile_markup_does_nothing_while_it_streams_nor_after(chat: Page) -> None:
    """R-01, R-09, C-33: the watch of the fixture fails on any dialog, violation or foreign request."""
    dialogs: list[str] = []
    chat.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    choose(chat, "sandbox/markup")
    send(chat, "Be hostile")
    finished(chat)
    assert dialogs == []
    assert chat.locator(".msg__body img, .msg__body script, .msg__body iframe").count() == 0
    hrefs = chat.locator(".msg__body a[href]").evaluate_all("links => links.map(link => link.protocol)")
    assert set(hrefs) <= {"http:", "https:", "mailto:"}


def test_a_refusal_keeps_the_words_in_the_box(open_page: Callable[..., tuple[Page, Watch]], live_site: Site) -> None:
    poor = live_site.new_user()
    live_site.manage("set_quota", poor.email, "--model", "*", "--tokens", "1", "--reason", "a test of the refusal")
    page, _ = open_page()
    sign_in(page, live_site, poor)
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    choose(page, "openai/gpt-4o-mini")
    send(page, "This must not be lost")
    expect(page.get_by_role("alert")).to_contain_text("See the plans")
    expect(page.locator("#prompt")).to_have_value("This must not be lost")
    expect(page.locator(".msg")).to_have_count(0)
    page.reload()
    expect(page.locator("#prompt")).to_have_value("This must not be lost")


def test_a_draft_survives_leaving(chat: Page) -> None:
    chat.locator("#prompt").fill("half a thou")
    chat.reload()
    expect(chat.locator("#prompt")).to_have_value("half a thou")


def test_nothing_stored_in_the_browser_is_a_credential(chat: Page) -> None:
    """R-01."""
    choose(chat, "sandbox/hello")
    send(chat, "Hello")
    finished(chat)
    chat.locator("#prompt").fill("a draft")
    chat.wait_for_timeout(400)
    names = chat.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    assert all(name in {"model", "theme"} or name.startswith("draft:") for name in names)


def test_a_conversation_is_renamed_and_deleted(chat: Page, live_site: Site) -> None:
    choose(chat, "sandbox/hello")
    send(chat, "To be renamed")
    finished(chat)
    item = chat.locator(".side__item").first
    item.get_by_role("button").click()
    chat.get_by_role("menuitem", name="Rename").click()
    chat.get_by_label("Title", exact=True).fill("A better name")
    chat.get_by_role("button", name="Save").click()
    expect(chat.get_by_role("heading", level=1)).to_have_text("A better name")
    expect(chat.locator("#announce")).to_have_text("Renamed.")  # the page shows the name before it is kept
    chat.reload()
    expect(chat.get_by_role("heading", level=1)).to_have_text("A better name")
    gone = chat.url
    chat.locator(".side__item").first.get_by_role("button").click()
    chat.get_by_role("menuitem", name="Delete").click()
    expect(chat).to_have_url(f"{live_site.url}/c")
    expect(chat.locator("#toast-text")).to_have_text("Deleted “A better name”.")
    chat.get_by_role("button", name="Undo").click()
    expect(chat.locator(".side__item").first).to_contain_text("A better name")
    chat.locator(".side__item").first.get_by_role("button").click()
    chat.get_by_role("menuitem", name="Delete").click()
    expect(chat.locator("#toast-text")).to_be_visible()
    response = chat.goto(gone)
    assert response is not None
    assert response.status == 404


@pytest.mark.slow
def test_a_reader_who_scrolls_up_is_left_alone_until_they_ask(chat: Page) -> None:
    choose(chat, "sandbox/long")
    send(chat, "Write at length")
    box = chat.locator("#main")
    expect(answer(chat).locator(".msg__body > *").nth(20)).to_be_attached(timeout=30_000)
    box.hover()
    chat.mouse.wheel(0, -400)
    expect(chat.locator("#jump")).to_be_visible()
    before = at_rest(box)
    finished(chat)
    # The server's rendering takes the streamed one's place and may be some pixels taller; the end is screens away.
    assert abs(box.evaluate("box => box.scrollTop") - before) < 24
    chat.locator("#jump").click()
    expect(chat.locator("#jump")).to_be_hidden()
    assert box.evaluate("box => box.scrollHeight - box.clientHeight - box.scrollTop") <= 2


def test_the_keys_do_what_the_list_says(chat: Page, live_site: Site) -> None:
    chat.keyboard.press("Control+Slash")
    expect(chat.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    chat.keyboard.press("Escape")
    chat.locator("#main").focus()
    chat.keyboard.press("Shift+Escape")
    expect(chat.locator("#prompt")).to_be_focused()
    chat.keyboard.press("Control+Shift+M")
    expect(chat.locator("#model-q")).to_be_focused()
    chat.keyboard.type("gpt-4o-mini")
    chat.keyboard.press("Enter")
    expect(chat.locator("#model-name")).to_contain_text("4o-mini")
    expect(chat.locator("#prompt")).to_be_focused()


def test_the_chat_is_read_without_scripts(
    chat: Page, open_page: Callable[..., tuple[Page, Watch]], member_state: Any
) -> None:
    choose(chat, "openai/gpt-4o-mini")
    send(chat, "Show me a table")
    finished(chat)
    page, _ = open_page(storage_state=member_state, java_script_enabled=False)
    page.goto(chat.url)
    expect(page.locator(".msg--user")).to_contain_text("Show me a table")
    expect(page.locator(".msg--answer table").first).to_be_visible()
    expect(page.locator(".side__link[aria-current]")).to_be_visible()


def test_what_a_message_may_cost_at_most_is_said_before_it_is_sent(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site
) -> None:
    chat, _ = open_page(extra_http_headers=from_somewhere())
    sign_in(chat, live_site, live_site.new_user("free"))
    choose(chat, "anthropic/claude-sonnet-4.5")
    chat.locator("#prompt").fill("Tell me a story")
    quote = chat.locator("#quote")
    expect(quote).to_contain_text(re.compile(r"At most \$0\.1\d, for an answer of up to 8,192 tokens"))
    choose(chat, "sandbox/hello")
    expect(quote).to_contain_text(re.compile(r"At most \$0\.01\d"))
    chat.locator("#prompt").fill("")
    expect(quote).to_be_hidden()
    chat.locator("#prompt").fill("x" * 90_000)
    expect(quote).to_contain_text(re.compile("too little for this message"))
