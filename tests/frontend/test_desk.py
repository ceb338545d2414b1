"""The desk's own pages in a browser: nothing that axe, the content policy or a small window has against them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.frontend.conftest import Watch, from_somewhere
from tests.frontend.test_pages import LOOKS, OUTSIDE, SMALL
from tests.servers.site import PASSWORD, Newcomer, Site

PATHS = ["", "desk/money/", "desk/people/", "desk/webhooks/", "desk/engine/", "desk/readers/", "desk/banner/",
         "desk/monitoring/"]  # fmt: skip
# A table scrolls in its own place, with the forms in its cells.
OUTSIDE_HERE = OUTSIDE.replace("[popover]", "[popover], .desk__table")
# The frame around them is Django's own.
SMALL_HERE = SMALL.replace(
    '"a, button, input, select, summary, textarea"', '".desk :is(a, button, input, select, summary)"'
)
FILL = """
from content.models import DocsPage, DocsFeedback, DocsSearch
from billing.models import WebhookEvent
from adminpanel.models import ExchangeRate
page, _ = DocsPage.objects.get_or_create(slug="desk-test", defaults=dict(title="Quota", section="x", body="", html="",
    text="", is_published=False))
DocsFeedback.objects.create(page=page, helpful=False, comment="What is a hold?")
DocsSearch.objects.get_or_create(query="where is my invoice", defaults=dict(times=4))
WebhookEvent.objects.create(event_id="evt_desk", event_type="payment.captured", body="{}", state="dead",
    last_error="no payment pay_1 that we know")
"""


@pytest.fixture(scope="module")
def owner_state(live_site: Site, browser: Browser) -> Any:
    """The cookies of an owner; the site has something to show on each page."""
    address = f"owner-{secrets.token_hex(4)}@example.com"
    live_site.command("create_user", address, "--password", PASSWORD, "--verified", "--role", "owner")
    live_site.command("shell", "-c", FILL)
    context = browser.new_context(extra_http_headers=from_somewhere())
    page = context.new_page()
    page.goto(f"{live_site.url}/login?next=/admin/")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{live_site.url}/admin/")
    state = context.storage_state()
    context.close()
    return state


def faults(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    found = [f"{rule['id']}: {node['html'][:120]}" for rule in violations for node in rule["nodes"]]
    return found + page.evaluate(OUTSIDE_HERE) + page.evaluate(SMALL_HERE)


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_the_desk_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]],
    live_site: Site,
    owner_state: Any,
    member: Newcomer,
    look: dict[str, Any],
) -> None:
    page, _ = open_page(storage_state=owner_state, **look)
    found = {}
    for path in PATHS:
        page.goto(f"{live_site.url}/admin/{path}")
        if trouble := faults(page):
            found[path] = trouble
    page.goto(f"{live_site.url}/admin/desk/people/?q={member.email}")
    expect(page.get_by_role("heading", name="Set a limit")).to_be_visible()
    if trouble := faults(page):
        found["person"] = trouble
    assert found == {}


def test_a_limit_is_set_with_the_keyboard_alone(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, owner_state: Any
) -> None:
    customer = live_site.new_user()
    page, _ = open_page(storage_state=owner_state)
    page.goto(f"{live_site.url}/admin/desk/people/")
    page.keyboard.type(customer.email)
    page.keyboard.press("Enter")
    page.get_by_label("Tokens", exact=True).fill("321000")
    page.locator("#id_limit-reason").fill("a launch")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The limit holds from now on.")).to_be_visible()
    expect(page.get_by_role("cell", name="321,000").first).to_be_visible()
