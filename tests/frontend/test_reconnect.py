"""Answers survive what happens to the line: cut, silent, the server killed, the page reloaded or opened twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.frontend.conftest import Watch, choose, finished, from_somewhere, send, sign_in
from tests.servers.proxy import Proxy
from tests.servers.site import Site


def answer(page: Page) -> Locator:
    return page.locator(".msg--answer").last


def words(page: Page) -> str:
    """What the answer says: formulas as they were written, no blanks, no buttons."""
    return str(
        answer(page)
        .locator(".msg__body")
        .evaluate(
            """body => {
                const copy = body.cloneNode(true);
                for (const node of copy.querySelectorAll("[data-tex]")) node.textContent = node.dataset.tex;
                for (const node of copy.querySelectorAll(".code-block__bar")) node.remove();
                return copy.textContent.replace(/\\s+/g, "");
            }"""
        )
    )


@pytest.fixture
def proxy(live_site: Site) -> Iterator[Proxy]:
    """A line to the shared site that can be cut."""
    line = Proxy(live_site.port)
    yield line
    line.close()


@pytest.fixture
def far(proxy: Proxy, browser: Browser, member_state: Any) -> Iterator[Page]:
    """A new chat of the member at the other end of that line."""
    context = browser.new_context(storage_state=member_state, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{proxy.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    yield page
    context.close()


def streamed_whole(page: Page) -> None:
    """What was streamed, before the server's rendering takes its place, is what is kept."""
    expect(answer(page)).to_have_attribute("data-status", "complete", timeout=60_000)
    streamed = words(page)
    page.unroute(re.compile("/messages/"))
    page.reload()
    assert words(page) == streamed


def without_server_rendering(page: Page) -> None:
    page.route(re.compile("/messages/"), lambda route: route.abort())


def test_a_line_that_is_cut_again_and_again_loses_and_doubles_nothing(far: Page, proxy: Proxy) -> None:
    without_server_rendering(far)
    choose(far, "sandbox/long")
    send(far, "Write at length")
    for count in (5, 15, 25):
        expect(answer(far).locator(".msg__body > *").nth(count)).to_be_attached(timeout=30_000)
        proxy.cut()
    proxy.refuse(True)
    expect(far.locator("#quiet")).to_contain_text("Reconnecting")
    proxy.refuse(False)
    expect(far.locator("#quiet")).to_be_hidden()
    streamed_whole(far)


@pytest.mark.slow
def test_a_line_that_fell_silent_in_a_sleep_is_given_up_on_waking(far: Page, proxy: Proxy) -> None:
    far.clock.install()
    choose(far, "sandbox/slow")
    send(far, "Slowly")
    body = answer(far).locator(".msg__body")
    expect(body).to_contain_text(re.compile(r"\w{3}"))
    proxy.silence()
    before, now = None, body.text_content() or ""
    while now != before:  # what had passed already is still drawn
        far.wait_for_timeout(1000)
        before, now = now, body.text_content() or ""
    far.clock.fast_forward(25_000)
    far.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(body).not_to_have_text(now)
    far.locator("#stop").click()
    expect(answer(far)).to_have_attribute("data-status", "stopped")


@pytest.mark.slow
def test_offline_is_said_and_bridged(chat: Page) -> None:
    without_server_rendering(chat)
    choose(chat, "sandbox/long")
    send(chat, "Write at length")
    expect(answer(chat).locator(".msg__body > *").nth(5)).to_be_attached(timeout=30_000)
    chat.route(re.compile("/api/chat/stream/"), lambda route: route.abort("internetdisconnected"))
    chat.evaluate("window.dispatchEvent(new Event('online'))")
    expect(chat.locator("#quiet")).to_contain_text("Reconnecting")
    chat.unroute(re.compile("/api/chat/stream/"))
    chat.context.set_offline(True)
    chat.context.set_offline(False)
    expect(chat.locator("#quiet")).to_be_hidden()
    streamed_whole(chat)


def test_a_send_that_meets_no_network_goes_once_when_it_is_back(chat: Page) -> None:
    """The first request reaches the server but its answer is lost; the second has the same key."""
    keys: list[str | None] = []

    def lose_first(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    chat.route(re.compile("/api/chat/stream$"), lose_first)
    choose(chat, "sandbox/hello")
    send(chat, "Only once")
    finished(chat)
    assert len(keys) == 2
    assert keys[0] == keys[1]
    chat.reload()
    expect(chat.locator(".msg--user")).to_have_count(1)
    expect(chat.locator(".msg--answer")).to_have_count(1)


@pytest.mark.slow
def test_a_second_window_follows_an_answer_from_its_middle(chat: Page) -> None:
    choose(chat, "sandbox/slow")
    send(chat, "For two readers")
    expect(answer(chat).locator(".msg__body")).to_contain_text(re.compile(r"\w{3}"))
    second = chat.context.new_page()
    second.goto(chat.url)
    expect(answer(second)).to_have_attribute("aria-busy", "true")
    before = answer(second).locator(".msg__body").text_content() or ""
    expect(answer(second).locator(".msg__body")).not_to_have_text(before)
    second.locator("#stop").click()
    finished(second)
    finished(chat)
    assert words(second) == words(chat)


@pytest.mark.core
@pytest.mark.faults
def test_an_answer_whose_server_is_killed_keeps_its_text_and_can_go_on(
    fresh_site: Callable[..., Site], open_page: Callable[..., tuple[Page, Watch]]
) -> None:
    site = fresh_site(pace="human", settings={"TRUSTED_PROXIES": "1"})
    person = site.new_user("pro")
    page, watch = open_page(extra_http_headers=from_somewhere())
    watch.origin = site.url
    sign_in(page, site, person)
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    choose(page, "sandbox/long")
    send(page, "Write at length")
    expect(answer(page).locator(".msg__body > *").nth(3)).to_be_attached(timeout=30_000)
    before = words(page)
    site.kill()
    expect(page.locator("#quiet")).to_contain_text("Reconnecting")
    site.start()
    expect(page.locator("#quiet")).to_be_hidden(timeout=30_000)
    expect(answer(page)).to_have_attribute("data-status", "interrupted", timeout=45_000)
    finished(page)
    kept = words(page)  # how much may be lost is what tests/faults shows
    assert kept
    assert before.startswith(kept) or kept.startswith(before)
    answer(page).get_by_role("button", name="Continue").click()
    expect(answer(page)).to_have_attribute("aria-busy", "true")
    page.locator("#stop").click()
    finished(page)
    expect(answer(page).locator(".switch__place")).to_contain_text("2/2")
