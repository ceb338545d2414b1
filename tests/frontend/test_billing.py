"""Plans bought, paid, changed and ended in a real browser, against the imitated Razorpay and its webhooks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Error, FrameLocator, Page, expect

from tests.frontend.conftest import Watch, from_somewhere
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.databases import Databases
from tests.servers.sandbox import Sandbox
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.slow


class Shop:
    """A site that sells, its Razorpay, and people who buy there by browser."""

    def __init__(self, site: Site, sandbox: Sandbox, browser: Browser) -> None:
        self.site, self.sandbox, self._browser = site, sandbox, browser
        self._contexts: list[Any] = []
        self.watches: list[Watch] = []

    def page(self, **settings: Any) -> Page:
        usual = {"extra_http_headers": from_somewhere(), "reduced_motion": "reduce"}
        context = self._browser.new_context(**(usual | settings))
        watch = Watch(self.site.url)
        watch.follow(context)
        self._contexts.append(context)
        self.watches.append(watch)
        page = context.new_page()
        page.set_default_timeout(30_000)
        return page

    def member(self, **settings: Any) -> tuple[Page, Newcomer]:
        """A newcomer who is signed in."""
        who, page = self.site.new_user(), self.page(**settings)
        page.goto(f"{self.site.url}/login?next=/billing")
        sign_in(page, who)
        expect(page.get_by_role("heading", name="Plan and billing")).to_be_visible()
        return page, who

    def subscribed(self, plan: str = "plus", how: str = "by card", **settings: Any) -> Page:
        """Somebody who has just paid for a plan, on the page of it."""
        page, _ = self.member(**settings)
        order(self, page, plan)
        pay(page, how)
        page.goto(f"{self.site.url}/billing")
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self._contexts.clear()
        watches, self.watches = self.watches, []
        for watch in watches:
            assert watch.complaints == []
            # Nothing comes from elsewhere but Razorpay's window and pages.
            assert [url for url in watch.foreign if f":{self.sandbox.port}/" not in url] == []


@pytest.fixture(scope="module")
def selling(database: Databases, server_logs: Path) -> Iterator[tuple[Site, Sandbox]]:
    """A site with a Razorpay of its own, which sends its webhooks there."""
    sandbox = Sandbox(server_logs)
    sandbox.start()
    site = Site(
        database.migrated(),
        server_logs,
        settings=sandbox.settings() | sandbox.razorpay_settings() | {"TRUSTED_PROXIES": "1"},
    )
    site.sandbox_url = sandbox.url
    try:
        site.command("sync_plans")
        site.start(seconds=300)
        sandbox.razorpay_webhooks(f"http://127.0.0.1:{site.port}/api/webhooks/razorpay")
        yield site, sandbox
    finally:
        site.stop()
        sandbox.stop()


@pytest.fixture
def shop(selling: tuple[Site, Sandbox], browser: Browser) -> Iterator[Shop]:
    made = Shop(*selling, browser)
    yield made
    made.close()


def sign_in(page: Page, who: Newcomer) -> None:
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def window(page: Page) -> FrameLocator:
    return page.frame_locator("iframe.razorpay-checkout-frame")


def order(shop: Shop, page: Page, plan: str) -> None:
    page.goto(f"{shop.site.url}/billing/checkout?plan={plan}&interval=month")
    page.get_by_role("button", name="Go on to pay").click()


def pay(page: Page, how: str = "by card") -> None:
    """Pay in the window and wait for the page that says what was given."""
    if how != "by card":
        window(page).get_by_text(how.removeprefix("by "), exact=True).click()
    window(page).get_by_role("button", name=how).click()
    expect(page.get_by_text("can be used from now on")).to_be_visible()


def leave(page: Page) -> None:
    """Close the window by the key. It goes with the key's first half: a browser would wait for ever for the second."""
    with contextlib.suppress(Error):
        window(page).get_by_label("E-mail").dispatch_event("keydown", {"key": "Escape"})


def fact(page: Page, name: str) -> str:
    """A figure of the page, by its name."""
    return page.locator(".bill__facts > div").filter(has_text=name).first.locator("dd").inner_text()


def tokens_left(shop: Shop, page: Page) -> str:
    page.goto(f"{shop.site.url}/billing")
    return page.locator(".meters__one").filter(has_text="Tokens").locator("strong").inner_text()


def payments(page: Page) -> str:
    page.wait_for_load_state()
    return page.locator("#payments").inner_text()


def until(shop: Shop, page: Page, text: str) -> None:
    """Load the page of the plan until it says ``text``: a worker brings it."""
    for _ in range(60):
        page.goto(f"{shop.site.url}/billing")
        if text in page.locator("main").inner_text():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{text!r} never came: {page.locator('main').inner_text()}")


@pytest.mark.core
def test_from_the_price_list_by_a_failed_card_to_a_plan_that_runs(shop: Shop) -> None:
    who, page = shop.site.new_user(), shop.page()
    page.goto(f"{shop.site.url}/pricing")
    page.get_by_role("link", name="Choose Plus").click()
    sign_in(page, who)
    expect(page.get_by_role("heading", name="Order Plus")).to_be_visible()
    page.get_by_role("button", name="Go on to pay").click()
    window(page).get_by_role("button", name="Let it fail").first.click()
    expect(window(page).get_by_role("alert")).to_contain_text("declined by the bank")
    leave(page)
    expect(page.locator("#checkout-said")).to_contain_text("Nothing was taken. Try again")
    assert tokens_left(shop, page) == "50,000"
    until(shop, page, "The payment for Plus, monthly failed")

    page.get_by_role("link", name="Pay now").click()
    expect(page.get_by_text("The last payment did not go through")).to_be_visible()
    page.get_by_role("button", name="Pay ₹499.00").click()
    pay(page)
    assert fact(page, "Tokens") == "2,000,000 a month"
    assert tokens_left(shop, page) == "2,000,000"
    assert fact(page, "Next charge").startswith("₹499.00 on ")


def test_an_upgrade_costs_what_was_said_and_the_invoice_opens(shop: Shop) -> None:
    page = shop.subscribed()
    page.get_by_role("link", name="Change plan").click()
    page.get_by_label(re.compile("Pro, monthly")).check()
    page.get_by_role("button", name="See what it comes to").click()
    said = fact(page, "To pay now")
    assert 99_000 < int(re.sub(r"\D", "", said)) <= 100_000
    page.get_by_role("button", name=f"Change now and pay {said}").click()
    expect(page.get_by_text("The change is made.")).to_be_visible()
    until(shop, page, "₹1,499.00 a month")
    assert int(tokens_left(shop, page).replace(",", "")) > 7_900_000
    until(shop, page, "OA/")  # the number of the invoice
    page.get_by_role("link", name=re.compile("^Invoice ")).first.click()
    expect(page.get_by_role("heading", name=re.compile("Bill of supply|Tax invoice"))).to_be_visible()
    page.goto(f"{shop.site.url}/billing")
    href = page.get_by_role("link", name=re.compile("^PDF of ")).first.get_attribute("href")
    assert page.request.get(f"{shop.site.url}{href}").body().startswith(b"%PDF-")


def test_a_smaller_plan_begins_with_the_next_period_and_can_be_taken_back(shop: Shop) -> None:
    page = shop.subscribed("pro")
    page.get_by_role("link", name="Change plan").click()
    page.get_by_label(re.compile("Plus, monthly")).check()
    page.get_by_role("button", name="See what it comes to").click()
    assert fact(page, "To pay now") == "₹0.00"
    page.get_by_role("button", name=re.compile("^Change on ")).click()
    expect(page.get_by_text("your plan becomes Plus, monthly")).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("Pro goes on as it was.")).to_be_visible()
    expect(page.get_by_text("your plan becomes")).to_have_count(0)


def test_an_end_with_the_period_is_taken_back_and_one_now_pays_back_what_was_said(shop: Shop) -> None:
    page = shop.subscribed()
    page.get_by_role("link", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel Plus").click()
    expect(page.get_by_text(re.compile("Plus ends on .* nothing more is charged"))).to_be_visible()
    page.get_by_role("button", name="Keep the plan").click()
    expect(page.get_by_text("Plus goes on as it was.")).to_be_visible()

    page.get_by_role("link", name="Cancel", exact=True).click()
    choice = page.locator(".bill-choice").filter(has=page.locator("#when-now"))
    back = re.search(r"₹[\d,.]+\d", choice.inner_text())
    assert back is not None
    page.get_by_label(re.compile("^Now")).check()
    page.get_by_role("button", name="Cancel Plus").click()
    expect(page.get_by_text("Plus has ended.")).to_be_visible()
    assert tokens_left(shop, page) == "50,000"
    amount = re.search(r"₹([\d,.]+\d) (?:paid back on|on its way back)", payments(page))
    assert amount is not None
    assert abs(paise(amount[1]) - paise(back[0])) <= 5, "a few seconds lie between what was said and what was done"
    until(shop, page, "paid back on")


def paise(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def test_a_plan_by_upi_is_changed_by_another_that_takes_over_without_a_double_charge(shop: Shop) -> None:
    page = shop.subscribed("plus", "by UPI")
    assert "UPI" in fact(page, "Paid by")
    page.get_by_role("link", name="Change plan").click()
    page.get_by_label(re.compile("Pro, monthly")).check()
    page.get_by_role("button", name="See what it comes to").click()
    assert fact(page, "To pay now") == "₹1,499.00"
    assert fact(page, "Paid back of the old plan").startswith("₹498.")
    page.get_by_role("button", name="Go on to Razorpay").click()

    # Before it is paid nothing has changed, and it can be left.
    page.goto(f"{shop.site.url}/billing")
    expect(page.get_by_text("The change to Pro, monthly waits for you to confirm it.")).to_be_visible()
    assert tokens_left(shop, page) == "2,000,000"
    page.get_by_role("link", name="Pay now").click()
    page.get_by_role("button", name="Pay ₹1,499.00").click()
    pay(page, "by UPI")
    assert tokens_left(shop, page) == "8,000,000"
    until(shop, page, "paid back on")
    assert "₹498." in payments(page)
    assert payments(page).count("₹1,499.00") == 1


def test_a_browser_that_never_hears_of_its_payment_finds_it(shop: Shop) -> None:
    page, _ = shop.member()
    order(shop, page, "plus")
    window(page).get_by_text("What may go wrong").click()
    window(page).get_by_label("the browser never hears of it").check()
    window(page).get_by_role("button", name="by card").click()
    expect(window(page).get_by_text("the browser is not told")).to_be_visible()
    until(shop, page, "₹499.00 a month")
    assert tokens_left(shop, page) == "2,000,000"


def test_without_webhooks_the_page_after_paying_asks_for_the_truth_itself(shop: Shop) -> None:
    shop.sandbox.razorpay_webhooks(mode="drop")
    try:
        page, _ = shop.member()
        order(shop, page, "plus")
        pay(page)
        assert tokens_left(shop, page) == "2,000,000"
    finally:
        shop.sandbox.razorpay_webhooks(mode="deliver")


def test_without_scripts_a_plan_is_paid_on_razorpays_page_and_ended(shop: Shop) -> None:
    page, _ = shop.member(java_script_enabled=False)
    order(shop, page, "plus")
    page.get_by_role("link", name="Pay on Razorpay’s page").click()
    page.get_by_role("button", name="by card").click()
    until(shop, page, "₹499.00 a month")
    page.get_by_role("link", name="Cancel", exact=True).click()
    page.get_by_label(re.compile("^Now")).check()
    page.get_by_role("button", name="Cancel Plus").click()
    expect(page.get_by_text("Plus has ended.")).to_be_visible()


def test_a_forged_return_gives_nothing_and_is_said_to_nobody_else(shop: Shop) -> None:
    page, _ = shop.member()
    order(shop, page, "plus")
    order_id = page.url.split("/")[-1].split("#")[0]
    answer = httpx.post(
        f"{shop.site.url}/billing/return/{order_id}",
        data={"razorpay_payment_id": "pay_AAAAAAAAAAAA01", "razorpay_signature": "0" * 64},
    )
    assert answer.status_code == 400
    assert httpx.post(f"{shop.site.url}/billing/return/00000000-0000-7000-8000-0000000000ff").status_code == 404
    assert tokens_left(shop, page) == "50,000"
    stranger, _ = shop.member()
    for path in ("pay", "after", "method"):
        found = stranger.goto(f"{shop.site.url}/billing/{path}/{order_id}")
        assert found is not None
        assert found.status == 404


def test_a_pack_is_paid_once_and_its_tokens_are_there(shop: Shop) -> None:
    page, _ = shop.member()
    page.get_by_role("link", name="Buy Two million tokens").click()
    page.get_by_role("button", name="Go on to pay").click()
    window(page).get_by_role("button", name="by card").click()
    expect(page.get_by_role("heading", name="Your tokens are there")).to_be_visible()
    page.goto(f"{shop.site.url}/billing")
    expect(page.get_by_text("2,000,000 of 2,000,000 tokens left")).to_be_visible()


def test_without_scripts_a_pack_is_paid_on_a_page_that_leads_back(shop: Shop) -> None:
    page, _ = shop.member(java_script_enabled=False)
    page.get_by_role("link", name="Buy Half a million tokens").click()
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_role("button", name="Pay ₹149.00").click()
    page.get_by_role("button", name="by card").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Your tokens are there")).to_be_visible()


def test_a_renewal_that_fails_says_what_happens_and_how_to_pay(shop: Shop) -> None:
    page = shop.subscribed()
    who = page.locator(".settings__hint").filter(has_text="Receipts").inner_text()
    found = shop.sandbox.razorpay_events(event="subscription.activated")
    subscription = found[-1]["body"]["payload"]["subscription"]["entity"]["id"]
    assert "@" in who
    shop.sandbox.razorpay_walk(subscription, "charge", ok=False)
    until(shop, page, "Your payment failed.")
    page.get_by_role("link", name="Pay or change how you pay").click()
    expect(page.get_by_role("link", name="On Razorpay’s page")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_of_billing_has_no_fault(shop: Shop, look: dict[str, Any]) -> None:
    page, _ = shop.member(**look)
    found: dict[str, list[str]] = {"free": faults(page)}
    page.goto(f"{shop.site.url}/pricing")
    found["pricing"] = faults(page)
    page.goto(f"{shop.site.url}/billing/packs/small")
    found["pack"] = faults(page)
    page.goto(f"{shop.site.url}/billing/checkout?plan=pro&interval=month")
    found["order"] = faults(page)
    page.get_by_role("button", name="Go on to pay").click()
    leave(page)
    expect(page.locator("#checkout-said")).to_contain_text("closed the payment window")
    found["pay"] = faults(page)
    page.goto(f"{shop.site.url}/billing")
    found["unpaid"] = faults(page)
    page.get_by_role("link", name="Pay now").click()
    page.get_by_role("button", name="Pay ₹1,499.00").click()
    pay(page)
    found["paid"] = faults(page)
    for name in ("", "/change", "/change?offer=plus:month", "/cancel", "/checkout?plan=team&interval=month"):
        page.goto(f"{shop.site.url}/billing{name}")
        found[name or "active"] = faults(page)
    page.goto(f"{shop.site.url}/billing")
    page.get_by_role("link", name="Change", exact=True).click()
    found["method"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}
