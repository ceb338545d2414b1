"""The stand-in for checkout.js and the hosted page in a real browser, on a page whose content policy is as strict as
it can be.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Error, FrameLocator, Page, Route, expect

from tests.sandbox.razorpay import KEY, LIVE_KEY, Razorpay, Receiver, hexed

SHOP = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<script src="{box}/razorpay/checkout.js"></script><script src="/shop.js"></script></head>
<body><h1>Shop</h1><button id="pay">Pay</button><pre id="said"></pre></body></html>"""
SCRIPT = """
window.said = [];
window.start = (options) => {
  const say = (what, value) => { window.said.push([what, value]); };
  if (!options.callback_url) options.handler = (answer) => say("paid", answer);
  options.modal = Object.assign({ ondismiss: () => say("dismissed", null) }, options.modal);
  const checkout = new Razorpay(options);
  checkout.on("payment.failed", (answer) => say("failed", answer.error));
  checkout.open();
};
"""


class Shop:
    """A site of a test: one page with a strict content policy, and an address that forms come back to."""

    def __init__(self, box: str) -> None:
        self.came_back: list[tuple[dict[str, str], dict[str, str]]] = []
        shop = self
        policy = (
            f"default-src 'none'; script-src 'self' {box}; frame-src {box}; connect-src 'self' {box}; "
            "style-src 'self'; form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'"
        )

        class Handler(BaseHTTPRequestHandler):
            def _say(self, text: str, kind: str = "text/html") -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Security-Policy", policy)
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Set-Cookie", "session=one; SameSite=Lax; HttpOnly")
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                if self.path == "/shop.js":
                    self._say(SCRIPT, "text/javascript")
                else:
                    self._say(SHOP.format(box=box))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                shop.came_back.append((dict(parse_qsl(body)), {k.lower(): v for k, v in self.headers.items()}))
                self._say("<h1>Thank you</h1>")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://localhost:{self.server.server_port}"


@pytest.fixture
def shop(razorpay: Razorpay) -> Iterator[Shop]:
    made = Shop(razorpay.box.url)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def buyer(page: Page, shop: Shop) -> Iterator[Page]:
    """The shop's page; nothing on it may have been against the content policy."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(shop.url)
    yield page
    assert complaints == []


def start(page: Page, **options: object) -> FrameLocator:
    page.evaluate("(options) => window.start(options)", {"key": KEY, "name": "OneAI"} | options)
    return page.frame_locator("iframe.razorpay-checkout-frame")


def said(page: Page, count: int = 1) -> list[Any]:
    """What the checkout told the page, once it is so much; asked again and again, as the policy allows no eval."""
    found: list[Any] = []
    end = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < end, f"the page heard only {found}"
        page.wait_for_timeout(20)
        found = page.evaluate("window.said")
    return found


def test_a_card_pays_a_subscription_and_the_page_gets_a_signed_answer(buyer: Page, razorpay: Razorpay) -> None:
    key = razorpay.subscribe()
    frame = start(buyer, subscription_id=key, prefill={"email": "asha@example.com"})
    expect(frame.get_by_text("This is a sandbox: no money moves")).to_be_visible()
    expect(frame.get_by_role("heading", name="OneAI")).to_be_visible()
    expect(frame.get_by_label("E-mail")).to_have_value("asha@example.com")
    frame.get_by_role("button", name="Pay ₹499.00 by card").click()
    ((kind, answer),) = said(buyer)
    assert kind == "paid" and answer["razorpay_subscription_id"] == key
    assert answer["razorpay_signature"] == hexed(f"{answer['razorpay_payment_id']}|{key}")
    expect(buyer.locator("iframe")).to_have_count(0)
    subscription = razorpay.fetch(key)
    assert (subscription["status"], subscription["payment_method"]) == ("active", "card")
    assert razorpay.ok("GET", f"/payments/{answer['razorpay_payment_id']}")["email"] == "asha@example.com"


def test_a_failed_card_is_told_and_tried_again_by_upi(buyer: Page, razorpay: Razorpay) -> None:
    order = razorpay.ok("POST", "/orders", {"amount": 1_25_000_00, "currency": "INR"})
    frame = start(buyer, order_id=order["id"], description="Top-up")
    expect(frame.get_by_text("₹1,25,000.00", exact=True)).to_be_visible()
    frame.get_by_label("OTP").fill("12")
    frame.get_by_role("button", name="by card").click()
    expect(frame.get_by_role("alert")).to_contain_text("one-time password")
    assert said(buyer)[0][1]["reason"] == "incorrect_otp"
    frame.get_by_text("UPI", exact=True).click()
    frame.get_by_label("UPI address").fill("success@razorpay")
    frame.get_by_label("UPI address").press("Enter")
    kind, answer = said(buyer, 2)[1]
    assert kind == "paid"
    assert answer["razorpay_signature"] == hexed(f"{order['id']}|{answer['razorpay_payment_id']}")
    tries = razorpay.ok("GET", f"/orders/{order['id']}/payments")["items"]
    assert [(one["method"], one["status"]) for one in tries] == [("upi", "captured"), ("card", "failed")]


def test_what_fails_without_another_try_closes(buyer: Page, razorpay: Razorpay) -> None:
    frame = start(buyer, subscription_id=razorpay.subscribe(), retry={"enabled": False})
    frame.get_by_role("button", name="Let it fail").first.click()
    kinds = [kind for kind, _ in said(buyer, 2)]
    assert kinds == ["failed", "dismissed"]
    expect(buyer.locator("iframe")).to_have_count(0)


@pytest.mark.parametrize("how", ["button", "escape"])
def test_it_can_be_dismissed(buyer: Page, razorpay: Razorpay, how: str) -> None:
    key = razorpay.subscribe()
    frame = start(buyer, subscription_id=key)
    if how == "button":
        frame.get_by_role("button", name="Close").click()
    else:
        with contextlib.suppress(Error):  # the frame goes with the key's first half, and nobody has the second
            frame.get_by_label("E-mail").dispatch_event("keydown", {"key": "Escape"})
    assert said(buyer) == [["dismissed", None]] and razorpay.fetch(key)["status"] == "created"


def test_a_form_comes_back_across_sites(buyer: Page, razorpay: Razorpay, shop: Shop) -> None:
    """The site's cookie of SameSite=Lax does not come with it: 127.0.0.1 is another site than localhost."""
    key = razorpay.subscribe()
    frame = start(buyer, subscription_id=key, callback_url="/billing/return")
    frame.get_by_role("button", name="by card").click()
    expect(buyer.get_by_role("heading", name="Thank you")).to_be_visible()
    ((fields, headers),) = shop.came_back
    assert fields["razorpay_signature"] == hexed(f"{fields['razorpay_payment_id']}|{key}")
    assert "cookie" not in headers and buyer.url == f"{shop.url}/billing/return"


def test_a_whole_page_instead_of_a_frame_tells_failures_too(buyer: Page, razorpay: Razorpay, shop: Shop) -> None:
    order = razorpay.ok("POST", "/orders", {"amount": 20_000, "currency": "INR"})
    options = {"order_id": order["id"], "callback_url": "/billing/return", "redirect": True}
    for button in ("Let it fail", "by card"):
        start(buyer, **options)
        buyer.get_by_role("button", name=button).first.click()
        expect(buyer.get_by_role("heading", name="Thank you")).to_be_visible()
        buyer.goto(shop.url)
    failed, paid = (fields for fields, _ in shop.came_back)
    assert failed["error[code]"] == "BAD_REQUEST_ERROR" and order["id"] in failed["error[metadata]"]
    assert paid["razorpay_signature"] == hexed(f"{order['id']}|{paid['razorpay_payment_id']}")


@pytest.mark.parametrize("signature", ["wrong", "swapped", "missing"])
def test_the_answer_may_be_signed_wrongly(buyer: Page, razorpay: Razorpay, signature: str) -> None:
    razorpay.control("habits", {"signature": signature})
    order = razorpay.ok("POST", "/orders", {"amount": 20_000, "currency": "INR"})
    start(buyer, order_id=order["id"]).get_by_role("button", name="by card").click()
    answer = said(buyer)[0][1]
    swapped = hexed(f"{answer['razorpay_payment_id']}|{order['id']}")
    good = hexed(f"{order['id']}|{answer['razorpay_payment_id']}")
    got = answer.get("razorpay_signature")
    assert got != good and (got == swapped) is (signature == "swapped") and (got is None) is (signature == "missing")


def test_webhooks_may_come_before_the_browser_knows(buyer: Page, razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("habits", {"return_delay_seconds": 3})
    start(buyer, subscription_id=razorpay.subscribe()).get_by_role("button", name="by card").click()
    said(buyer)
    assert len(receiver.hooks) == 7


def test_it_may_be_paid_and_the_browser_never_hears_of_it(buyer: Page, razorpay: Razorpay) -> None:
    key = razorpay.subscribe()
    frame = start(buyer, subscription_id=key)
    frame.get_by_text("What may go wrong").click()
    frame.get_by_label("never hears of it").check()
    frame.get_by_role("button", name="by card").click()
    expect(frame.get_by_text("the browser is not told")).to_be_visible()
    assert razorpay.fetch(key)["status"] == "active" and buyer.evaluate("window.said") == []


def test_the_way_of_paying_is_changed(buyer: Page, razorpay: Razorpay) -> None:
    key = razorpay.active("card_domestic")
    start(buyer, subscription_id=key, subscription_card_change=True).get_by_text("UPI", exact=True).click()
    frame = buyer.frame_locator("iframe")
    frame.get_by_role("button", name="by UPI").click()
    answer = said(buyer)[0][1]
    assert answer["razorpay_signature"] == hexed(f"{answer['razorpay_payment_id']}|{key}")
    assert razorpay.fetch(key)["payment_method"] == "upi"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subscription_id": "sub_00000000000000"}, "does not exist"),
        ({"key": LIVE_KEY}, "does not exist"),
        ({"key": "rzp_test_unknown"}, "api key provided is invalid"),
    ],
)
def test_what_cannot_be_paid_says_why(buyer: Page, razorpay: Razorpay, options: dict[str, object], words: str) -> None:
    frame = start(buyer, **({"subscription_id": razorpay.subscribe()} | options))
    expect(frame.get_by_text(words)).to_be_visible()
    frame.get_by_role("button", name="Close", exact=True).last.click()
    assert said(buyer) == [["dismissed", None]]


def test_a_button_is_heard_as_soon_as_it_is_seen(buyer: Page) -> None:
    def come_late(route: Route) -> None:
        buyer.wait_for_timeout(1000)
        route.continue_()

    buyer.route("**/checkout/frame.js", come_late)
    frame = start(buyer, subscription_id="sub_00000000000000")
    frame.get_by_role("button", name="Close", exact=True).last.click()
    assert said(buyer) == [["dismissed", None]]


def test_the_hosted_page_pays_and_later_changes_the_method(page: Page, razorpay: Razorpay) -> None:
    key = razorpay.subscribe()
    link = razorpay.fetch(key)["short_url"]
    page.goto(link)
    expect(page.get_by_text("This is a sandbox")).to_be_visible()
    page.get_by_text("UPI", exact=True).click()
    page.get_by_label("UPI address").fill("failure@razorpay")
    page.get_by_role("button", name="by UPI").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="Pay ₹499.00 by UPI").click()  # what was tried is still open
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    razorpay.walk(key, "charge", ok=False)
    page.goto(link)
    page.get_by_role("button", name="Pay ₹499.00 by card").click()
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    assert (razorpay.fetch(key)["status"], razorpay.fetch(key)["payment_method"]) == ("active", "card")
    razorpay.walk(key, "cancel")
    page.goto(link)
    expect(page.get_by_text("This subscription is cancelled.")).to_be_visible()


def test_the_dashboard_lets_things_happen(page: Page, razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.subscribe()
    page.goto(f"{razorpay.box.url}/")
    page.get_by_role("link", name="dashboard").click()
    page.get_by_role("link", name=key).click()
    page.get_by_role("button", name="Authenticate by UPI").click()
    expect(page.get_by_text('"status": "active"')).to_be_visible()
    page.get_by_role("button", name="Authenticate by UPI").click()
    expect(page.get_by_role("alert")).to_contain_text("not in created state")
    page.get_by_role("link", name="Razorpay").click()
    page.get_by_role("button", name="Forward 31 days").click()
    expect(page.get_by_text("2 of 12")).to_be_visible()
    assert receiver.names.count("subscription.charged") == 2
    page.get_by_role("link", name="pay_").first.click()
    page.get_by_role("button", name="Refund what is left").click()
    expect(page.get_by_text('"refund_status": "full"')).to_be_visible()
    page.get_by_role("link", name=receiver.ids[-1]).click()
    page.get_by_role("button", name="Send it again").click()
    razorpay.control("settle", {})
    assert receiver.ids[-1] == receiver.ids[-2]
