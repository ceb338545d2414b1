"""A signed-in reader in a real browser, and a watch that sees what a page must not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.servers.site import Newcomer, Site, some_address

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


@dataclass
class Watch:
    """What went wrong on the pages of one context."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if request.url.startswith("http") and urlsplit(request.url).netloc != urlsplit(self.origin).netloc:
            self.foreign.append(request.url)

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert self.foreign == []


def from_somewhere() -> dict[str, str]:
    """Headers of an address that nobody else signs in from."""
    return {"X-Forwarded-For": some_address()}


def sign_in(page: Page, site: Site, who: Newcomer) -> None:
    page.goto(f"{site.url}/login")
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}/c")


@pytest.fixture(scope="session")
def member(live_site: Site) -> Newcomer:
    return live_site.new_user("pro")


@pytest.fixture(scope="session")
def member_state(live_site: Site, member: Newcomer, browser: Browser) -> Any:
    """The cookies of one sign-in by the form, for every test that only needs to be in."""
    context = browser.new_context(extra_http_headers=from_somewhere())
    sign_in(context.new_page(), live_site, member)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(live_site: Site, browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Opens a watched page; the test ends by failing if a page complained or asked a foreign host."""
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def opened(**settings: Any) -> tuple[Page, Watch]:
        context = browser.new_context(
            **({"viewport": DESK, "reduced_motion": "reduce", "extra_http_headers": from_somewhere()} | settings)
        )
        watch = Watch(live_site.url)
        watch.follow(context)
        contexts.append(context)
        watches.append(watch)
        return context.new_page(), watch

    yield opened
    for context in contexts:
        context.close()
    for watch in watches:
        watch.assert_quiet()


@pytest.fixture
def chat(open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any) -> Page:
    """A new chat of the member."""
    page, _ = open_page(storage_state=member_state)
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    return page


def choose(page: Page, slug: str) -> None:
    """Pick a model by its exact id."""
    page.locator("#model-button").click()
    page.locator("#model-q").fill(slug)
    page.locator(f'.option[data-id="{slug}"]').click()


def send(page: Page, text: str) -> None:
    page.locator("#prompt").fill(text)
    expect(page.locator("#send")).to_be_enabled()  # the list of models is there
    page.locator("#prompt").press("Enter")


def finished(page: Page) -> None:
    """The turn is over and the server's rendering has taken the streamed one's place."""
    expect(page.locator("#stop")).to_be_hidden(timeout=30_000)
    expect(page.locator(".msg--answer[data-live]")).to_have_count(0)
    expect(page.locator(".math:not([data-math=done]):not([data-math=raw])")).to_have_count(0)
