"""Versions of messages: answering again, going on, editing, switching, deleting."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.frontend.conftest import Watch, choose, finished, send, sign_in
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Site


def answer(page: Page) -> Locator:
    return page.locator(".msg--answer").last


def question(page: Page) -> Locator:
    return page.locator(".msg--user").last


def asked(page: Page, text: str, model: str = "sandbox/hello") -> None:
    choose(page, model)
    send(page, text)
    finished(page)


def test_another_answer_stands_beside_the_first(chat: Page) -> None:
    asked(chat, "Answer twice")
    answer(chat).get_by_role("button", name="Answer again").click()
    finished(chat)
    expect(answer(chat).locator(".switch__place")).to_contain_text("2/2")
    expect(chat.locator(".msg")).to_have_count(2)
    answer(chat).get_by_role("button", name="Previous version").click()
    expect(answer(chat).locator(".switch__place")).to_contain_text("1/2")
    expect(answer(chat).get_by_role("button", name="Next version")).to_be_focused()
    chat.reload()
    expect(answer(chat).locator(".switch__place")).to_contain_text("1/2")


@pytest.mark.slow
def test_another_model_answers_and_the_next_message_keeps_its_own(chat: Page) -> None:
    asked(chat, "Who are you?")
    answer(chat).get_by_role("button", name="More for this answer").click()
    chat.get_by_role("menuitem", name="another model").click()
    chat.locator("#model-q").fill("gpt-4o-mini")
    chat.locator('.option[data-id="openai/gpt-4o-mini"]').click()
    finished(chat)
    expect(answer(chat).locator(".msg__model")).to_contain_text("4o-mini")
    expect(chat.locator("#model-name")).to_contain_text("hello")


@pytest.mark.slow
def test_an_answer_can_be_had_shorter(chat: Page) -> None:
    asked(chat, "At what length?")
    bodies: list[Any] = []
    chat.on("request", lambda request: bodies.append(request.post_data_json) if "regenerate" in request.url else None)
    answer(chat).get_by_role("button", name="More for this answer").click()
    chat.keyboard.press("ArrowDown")
    expect(chat.get_by_role("menuitem", name="Shorter")).to_be_focused()
    chat.keyboard.press("Enter")
    finished(chat)
    expect(answer(chat).locator(".switch__place")).to_contain_text("2/2")
    assert "shorter" in bodies[0]["instruction"]


def test_a_stopped_answer_goes_on_from_where_it_was(chat: Page) -> None:
    choose(chat, "sandbox/slow")
    send(chat, "A story, slowly")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w{3}"))
    chat.keyboard.press("Escape")
    finished(chat)
    # Its words, wherever lines break: while it is written they stand in other blocks than at the end.
    words = (answer(chat).locator(".msg__body").text_content() or "").split()
    before = re.compile(r"\s*".join(map(re.escape, words)))
    answer(chat).get_by_role("button", name="Continue").click()
    expect(answer(chat)).to_have_attribute("aria-busy", "true")
    expect(answer(chat).locator(".msg__body")).to_contain_text(before)
    chat.locator("#stop").click()
    finished(chat)
    expect(answer(chat).locator(".switch__place")).to_contain_text("2/2")
    expect(answer(chat).locator(".msg__body")).to_contain_text(before)
    answer(chat).get_by_role("button", name="Previous version").click()
    expect(answer(chat).locator(".switch__place")).to_contain_text("1/2")
    expect(answer(chat).locator(".msg__body")).to_have_text(before)


def test_an_answer_that_ended_well_is_not_continued(chat: Page) -> None:
    asked(chat, "All of it")
    expect(answer(chat).get_by_role("button", name="Continue")).to_have_count(0)
    asked(chat, "Up to the limit", "sandbox/length")
    expect(answer(chat)).to_contain_text("limit of tokens")
    expect(answer(chat).get_by_role("button", name="Continue")).to_be_visible()


def test_ones_own_words_are_changed_and_the_old_ones_stay(chat: Page) -> None:
    asked(chat, "The first thought")
    asked(chat, "What follows it")
    first = chat.locator(".msg--user").first
    first.hover()
    first.get_by_role("button", name="Edit your message").click()
    editor = chat.get_by_role("textbox", name="Your message")
    expect(editor).to_have_value("The first thought")
    editor.fill("A second thought")
    editor.press("Escape")
    expect(editor).to_have_count(0)
    expect(first).to_contain_text("The first thought")
    expect(first.get_by_role("button", name="Edit your message")).to_be_focused()
    first.get_by_role("button", name="Edit your message").click()
    editor.fill("A second thought")
    editor.press("Control+Enter")
    finished(chat)
    expect(chat.locator(".msg")).to_have_count(2)
    expect(question(chat)).to_contain_text("A second thought")
    expect(question(chat).locator(".switch__place")).to_contain_text("2/2")
    question(chat).get_by_role("button", name="Previous version").click()
    expect(chat.locator(".msg")).to_have_count(4)
    expect(question(chat)).to_contain_text("What follows it")
    chat.reload()
    expect(chat.locator(".msg")).to_have_count(4)


@pytest.mark.slow
def test_a_branch_is_deleted_only_after_a_second_word(chat: Page) -> None:
    asked(chat, "Stays")
    asked(chat, "Goes")
    question(chat).hover()
    question(chat).get_by_role("button", name="Delete your message").click()
    dialog = chat.get_by_role("dialog", name="Delete this message?")
    dialog.get_by_role("button", name="Keep it").click()
    expect(chat.locator(".msg")).to_have_count(4)
    question(chat).get_by_role("button", name="Delete your message").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(chat.locator(".msg")).to_have_count(2)
    chat.reload()
    expect(chat.locator(".msg")).to_have_count(2)
    asked(chat, "And on")
    expect(chat.locator(".msg")).to_have_count(4)


@pytest.mark.slow
def test_versions_are_switched_without_scripts(
    chat: Page, open_page: Callable[..., tuple[Page, Watch]], member_state: Any
) -> None:
    asked(chat, "Read it twice")
    answer(chat).get_by_role("button", name="Answer again").click()
    finished(chat)
    page, _ = open_page(storage_state=member_state, java_script_enabled=False)
    page.goto(chat.url)
    expect(page.locator(".switch__place")).to_contain_text("2/2")
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".switch__place")).to_contain_text("1/2")


def test_what_would_change_the_thread_rests_while_an_answer_is_written(chat: Page) -> None:
    asked(chat, "First")
    choose(chat, "sandbox/slow")
    send(chat, "Second")
    expect(chat.locator(".msg--answer").first.get_by_role("button", name="Answer again")).to_be_disabled()
    expect(chat.locator(".msg--answer").first.get_by_role("button", name="Copy the answer")).to_be_enabled()
    chat.locator("#stop").click()
    finished(chat)
    expect(chat.locator(".msg--answer").first.get_by_role("button", name="Answer again")).to_be_enabled()


@pytest.mark.slow
def test_a_limit_of_nothing_is_not_told_as_used_up(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site
) -> None:
    person = live_site.new_user()
    live_site.manage("set_quota", person.email, "--model", "openai/gpt-4o-mini", "--tokens", "0", "--reason", "a test")
    page, _ = open_page()
    sign_in(page, live_site, person)
    choose(page, "openai/gpt-4o-mini")
    send(page, "Anything?")
    expect(page.get_by_role("alert")).to_contain_text("openai/gpt-4o-mini is not part of your plan.")
    expect(page.get_by_role("alert")).not_to_contain_text("used all")


@pytest.mark.slow
def test_a_refused_edit_leaves_a_message_that_can_be_answered_later(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site
) -> None:
    person = live_site.new_user()
    page, _ = open_page()
    sign_in(page, live_site, person)
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    asked(page, "While there is quota")
    live_site.manage("set_quota", person.email, "--model", "*", "--tokens", "1", "--reason", "a test of the refusal")
    question(page).hover()
    question(page).get_by_role("button", name="Edit your message").click()
    page.get_by_role("textbox", name="Your message").fill("Now there is none")
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.get_by_role("alert")).to_contain_text(
        re.compile(r"You have used all 1 tokens of your plan\..*starts anew")
    )
    expect(page.get_by_role("alert").get_by_role("link", name="See the plans")).to_have_attribute("href", "/pricing")
    expect(question(page)).to_contain_text("This message has no answer yet.")
    live_site.manage("set_quota", person.email, "--model", "*", "--tokens", "unlimited", "--reason", "and back")
    page.reload()
    send(page, "Too early")
    expect(page.get_by_role("alert")).to_contain_text("no answer yet")
    question(page).get_by_role("button", name="Get an answer").click()
    finished(page)
    expect(answer(page)).to_have_attribute("data-status", "complete")
    expect(question(page)).to_contain_text("Now there is none")


def test_the_keys_answer_again_and_edit(chat: Page) -> None:
    asked(chat, "By keys")
    chat.keyboard.press("Control+Shift+E")
    finished(chat)
    expect(answer(chat).locator(".switch__place")).to_contain_text("2/2")
    chat.keyboard.press("Control+Shift+I")
    expect(chat.get_by_role("textbox", name="Your message")).to_be_focused()


@pytest.mark.slow
def test_another_tab_shows_what_this_one_did(chat: Page) -> None:
    asked(chat, "In two windows")
    second = chat.context.new_page()
    second.goto(chat.url)
    expect(second.locator(".msg")).to_have_count(2)
    choose(chat, "sandbox/slow")
    send(chat, "Seen there too")
    expect(second.locator(".msg")).to_have_count(4)
    expect(answer(second)).to_have_attribute("aria-busy", "true")
    chat.locator("#stop").click()
    finished(chat)
    finished(second)
    expect(answer(second)).to_have_attribute("data-status", "stopped")


@pytest.mark.slow
@pytest.mark.parametrize("look", [LOOKS[1], LOOKS[2]])  # a desk by night and a phone by day
def test_versions_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    asked(page, "Look at this", "sandbox/length")
    answer(page).get_by_role("button", name="Answer again").click()
    finished(page)
    found = {"versions": faults(page)}
    question(page).hover()
    question(page).get_by_role("button", name="Edit your message").click()
    found["editor"] = faults(page)
    page.keyboard.press("Escape")
    answer(page).get_by_role("button", name="More for this answer").click()
    found["menu"] = faults(page)
    page.get_by_role("menuitem", name="Delete").click()
    found["dialog"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}
