"""Several models side by side: columns, each with its own end, and the choice of the one that goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.frontend.conftest import PHONE, Watch, choose, finished, send
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Site


def compare(page: Page, *slugs: str) -> None:
    """Choose exactly these models, to answer side by side."""
    choose(page, slugs[0])
    page.locator("#model-button").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    for slug in slugs[1:]:
        page.locator("#model-q").fill(slug)
        page.locator(f'.option[data-id="{slug}"]').click()
    page.keyboard.press("Escape")
    expect(page.locator("#model-name")).to_have_text(f"{len(slugs)} models side by side")


def column(page: Page, slug: str) -> Locator:
    return page.locator(".columns .msg", has=page.locator(f'[data-model="{slug}"]'))


def test_each_answer_has_its_own_column_end_and_usage(chat: Page) -> None:
    compare(chat, "sandbox/hello", "sandbox/http-502", "sandbox/cut")
    send(chat, "Answer side by side")
    finished(chat)
    expect(chat.locator(".columns .msg")).to_have_count(3)
    expect(column(chat, "sandbox/hello")).to_have_attribute("data-status", "complete")
    expect(column(chat, "sandbox/hello").locator(".msg__usage")).to_contain_text("tokens")
    expect(column(chat, "sandbox/http-502")).to_have_attribute("data-status", "failed")
    expect(column(chat, "sandbox/cut")).to_have_attribute("data-status", "interrupted")
    expect(column(chat, "sandbox/http-502").get_by_role("button", name="Keep this one")).to_have_count(0)
    expect(column(chat, "sandbox/http-502").get_by_role("button", name="Try again")).to_be_enabled()
    tops = chat.locator(".columns .msg").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert len(set(tops)) == 1


def test_one_answer_is_stopped_and_the_other_goes_on(chat: Page) -> None:
    compare(chat, "sandbox/slow", "sandbox/comments-between")
    send(chat, "Write at length")
    expect(column(chat, "sandbox/slow").locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    column(chat, "sandbox/slow").get_by_role("button", name="Stop").click()
    expect(column(chat, "sandbox/slow")).to_contain_text("You stopped this answer.")
    expect(column(chat, "sandbox/slow").get_by_role("button", name="Keep this one")).to_be_enabled()
    finished(chat)
    expect(column(chat, "sandbox/slow")).to_have_attribute("data-status", "stopped")
    expect(column(chat, "sandbox/comments-between")).to_have_attribute("data-status", "complete")


def test_the_kept_answer_is_the_one_that_goes_on(chat: Page) -> None:
    compare(chat, "openai/gpt-4o-mini", "sandbox/hello")
    send(chat, "Which one?")
    finished(chat)
    chat.reload()
    expect(chat.locator(".columns .msg")).to_have_count(2)
    column(chat, "sandbox/hello").get_by_role("button", name="Keep this one").click()
    expect(chat.locator(".columns")).to_have_count(0)
    expect(chat.locator(".msg--answer")).to_have_count(1)
    expect(chat.locator("#model-name")).to_contain_text("hello")
    chat.reload()
    expect(chat.locator(".columns")).to_have_count(0)
    expect(chat.locator(".msg--answer .switch__place")).to_contain_text("2/2")
    expect(chat.locator("#model-name")).to_contain_text("hello")
    send(chat, "And on we go")
    finished(chat)
    expect(chat.locator(".msg")).to_have_count(4)
    chat.reload()
    expect(chat.locator(".msg")).to_have_count(4)
    expect(chat.locator(".msg--answer [data-model]").first).to_have_attribute("data-model", "sandbox/hello")


@pytest.mark.slow
def test_keeping_one_in_mid_answer_stops_the_others(chat: Page) -> None:
    compare(chat, "sandbox/hello", "sandbox/slow")
    send(chat, "The quick one wins")
    keep = column(chat, "sandbox/hello").get_by_role("button", name="Keep this one")
    expect(keep).to_be_visible()
    keep.click()
    expect(chat.locator(".columns")).to_have_count(0)
    expect(chat.locator("#stop")).to_be_hidden()
    chat.locator(".msg--answer").get_by_role("button", name="Next version").click()
    expect(chat.locator(".msg--answer")).to_have_attribute("data-status", "stopped")


@pytest.mark.slow
def test_a_message_sent_before_anything_was_kept_follows_the_first_that_answered(chat: Page) -> None:
    compare(chat, "sandbox/http-502", "sandbox/hello", "openai/gpt-4o-mini")
    send(chat, "Three at once")
    finished(chat)
    choose_one(chat, "sandbox/hello")
    send(chat, "Straight on")
    finished(chat)
    for _ in range(2):
        expect(chat.locator(".columns")).to_have_count(0)
        expect(chat.locator(".msg--answer")).to_have_count(2)
        expect(chat.locator(".msg--answer [data-model]").first).to_have_attribute("data-model", "sandbox/hello")
        chat.reload()


def choose_one(page: Page, slug: str) -> None:
    page.locator("#model-button").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator("#model-q").fill(slug)
    page.locator(f'.option[data-id="{slug}"]').click()


@pytest.mark.slow
@pytest.mark.parametrize(("other", "status"), [("openai/gpt-4o-mini", "streaming"), ("sandbox/hello", "complete")])
def test_a_reload_in_mid_answer_shows_every_column(chat: Page, other: str, status: str) -> None:
    compare(chat, other, "sandbox/slow")
    send(chat, "Write a long essay")
    expect(column(chat, other)).to_have_attribute("data-status", status)
    expect(column(chat, "sandbox/slow").locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    chat.reload()
    expect(column(chat, "sandbox/slow").locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    column(chat, "sandbox/slow").get_by_role("button", name="Stop").click()
    finished(chat)
    texts = chat.locator(".columns .msg__body").all_inner_texts()
    assert len(texts) == 2
    chat.reload()
    finished(chat)
    assert chat.locator(".columns .msg__body").all_inner_texts() == texts


@pytest.mark.slow
def test_an_answer_is_kept_without_scripts(
    chat: Page, open_page: Callable[..., tuple[Page, Watch]], member_state: Any
) -> None:
    compare(chat, "openai/gpt-4o-mini", "sandbox/hello")
    send(chat, "Without scripts")
    finished(chat)
    page, _ = open_page(storage_state=member_state, java_script_enabled=False)
    page.goto(chat.url)
    page.get_by_role("button", name="Keep this one").nth(1).click()
    expect(page.locator(".msg--answer")).to_have_count(1)
    expect(page.locator(".switch__place")).to_contain_text("2/2")
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".switch__place")).to_contain_text("1/2")


@pytest.mark.slow
@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[3]])  # a desk by day and a phone by night
def test_columns_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    page.locator("#model-button").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    found = {"picker": faults(page)}
    page.keyboard.press("Escape")
    compare(page, "openai/gpt-4o-mini", "sandbox/slow", "sandbox/http-502")
    send(page, "Show me a table, some code and math")
    expect(column(page, "sandbox/slow").locator(".msg__body")).to_contain_text(re.compile(r"\w"))
    found["streaming"] = faults(page)
    if look["viewport"] is PHONE:
        # The next column shows at the edge, and the page itself is no wider than the window.
        second = column(page, "sandbox/slow").bounding_box()
        assert second
        assert 200 < second["x"] < PHONE["width"]
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.locator("#stop").click()
    finished(page)
    found["open"] = faults(page)
    page.get_by_role("button", name="Keep this one").first.click()
    expect(page.locator(".columns")).to_have_count(0)
    found["kept"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}
