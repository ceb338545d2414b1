"""Orders, captures, late authorisation, refunds and disputes at the imitated Razorpay."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.razorpay import DAY, Razorpay, Receiver, hexed


def order(razorpay: Razorpay, amount: int = 20_000, **fields: object) -> Any:
    return razorpay.ok("POST", "/orders", {"amount": amount, "currency": "INR"} | fields)


def paid(razorpay: Razorpay, key: str, **fields: object) -> Any:
    found = razorpay.control(f"order/{key}/pay", fields)["payments"][-1]
    razorpay.control("settle", {})
    return found


def payment(razorpay: Razorpay, key: str) -> Any:
    return razorpay.ok("GET", f"/payments/{key}")


def test_an_order_is_paid_and_says_so(razorpay: Razorpay, receiver: Receiver) -> None:
    made = order(razorpay, receipt="topup-1", notes={"user": "7"})
    assert (made["status"], made["attempts"], made["amount_due"], made["offer_id"]) == ("created", 0, 20_000, None)
    failed = paid(razorpay, made["id"], ok=False, method="upi")
    assert razorpay.ok("GET", f"/orders/{made['id']}")["status"] == "attempted" and failed["status"] == "failed"
    done = paid(razorpay, made["id"], method="card_domestic")
    assert receiver.take() == ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
    after = razorpay.ok("GET", f"/orders/{made['id']}")
    assert (after["status"], after["attempts"], after["amount_paid"], after["amount_due"]) == ("paid", 2, 20_000, 0)
    both = razorpay.ok("GET", f"/orders/{made['id']}/payments")["items"]
    assert [one["status"] for one in both] == ["captured", "failed"]
    assert done["notes"] == {"user": "7"} and done["fee"] > done["tax"] > 0 and done["captured"] is True
    assert razorpay.ok("GET", "/orders?receipt=topup-1")["count"] == 1


def test_an_order_can_be_paid_twice_and_with_another_amount(razorpay: Razorpay, receiver: Receiver) -> None:
    made = order(razorpay)
    assert len({one["id"] for one in razorpay.control(f"order/{made['id']}/pay", {"times": 2})["payments"]}) == 2
    razorpay.control("settle", {})
    assert receiver.names.count("payment.captured") == 2 and receiver.names.count("order.paid") == 1
    other = order(razorpay)
    assert paid(razorpay, other["id"], amount=100)["amount"] == 100
    assert razorpay.ok("GET", f"/orders/{other['id']}")["status"] == "attempted"


def test_an_order_may_say_another_amount_than_was_asked_for(razorpay: Razorpay) -> None:
    made = order(razorpay)
    razorpay.control(f"object/{made['id']}", {"amount": 19_999})
    assert razorpay.ok("GET", f"/orders/{made['id']}")["amount"] == 19_999
    assert razorpay.box.call("POST", f"/_control/razorpay/object/{made['id']}", {"payments": 1})[0] == 400


def test_what_is_not_captured_in_three_days_goes_back(razorpay: Razorpay, receiver: Receiver) -> None:
    kept, lost = order(razorpay, payment_capture=0), order(razorpay, payment={"capture": "manual"})
    first, second = paid(razorpay, kept["id"]), paid(razorpay, lost["id"])
    assert first["status"] == second["status"] == "authorized"
    assert "equal" in razorpay.no("POST", f"/payments/{first['id']}/capture", {"amount": 100})["description"]
    taken = razorpay.ok("POST", f"/payments/{first['id']}/capture", {"amount": 20_000, "currency": "INR"})
    assert taken["status"] == "captured"
    assert razorpay.no("POST", f"/payments/{first['id']}/capture", {"amount": 20_000})
    razorpay.advance(days=3)
    assert [payment(razorpay, one["id"])["status"] for one in (first, second)] == ["captured", "refunded"]


def test_a_failed_payment_may_come_through_later(razorpay: Razorpay, receiver: Receiver) -> None:
    made = order(razorpay)
    failed = paid(razorpay, made["id"], ok=False)
    razorpay.advance(days=1)
    receiver.take()
    assert razorpay.control(f"payment/{failed['id']}/authorise-late", {})["status"] == "captured"
    razorpay.control("settle", {})
    assert receiver.take() == ["payment.authorized", "payment.captured", "order.paid"]
    assert payment(razorpay, failed["id"])["error_code"] is None
    assert razorpay.box.call("POST", f"/_control/razorpay/payment/{failed['id']}/authorise-late", {})[0] == 400


def test_late_payments_of_subscriptions_have_their_effects(razorpay: Razorpay) -> None:
    new = razorpay.subscribe()
    failed = razorpay.walk(new, "authenticate", ok=False)["payment"]
    razorpay.control(f"payment/{failed['id']}/authorise-late", {})
    assert razorpay.fetch(new)["status"] == "active"
    old = razorpay.active()
    razorpay.walk(old, "halt")
    tries = razorpay.ok("GET", f"/orders/{razorpay.invoices(old)[0]['order_id']}/payments")["items"]
    assert [one["status"] for one in tries] == ["failed"] * 4
    razorpay.control(f"payment/{tries[0]['id']}/authorise-late", {})
    assert (razorpay.fetch(old)["status"], razorpay.fetch(old)["paid_count"]) == ("active", 2)
    razorpay.control(f"payment/{tries[1]['id']}/authorise-late", {})  # paid twice: money, and no second cycle
    assert razorpay.fetch(old)["paid_count"] == 2 and payment(razorpay, tries[1]["id"])["status"] == "captured"


def test_a_late_payment_of_what_was_cancelled_begins_nothing(razorpay: Razorpay) -> None:
    key = razorpay.subscribe()
    failed = razorpay.walk(key, "authenticate", ok=False)["payment"]
    razorpay.ok("POST", f"/subscriptions/{key}/cancel")
    razorpay.control(f"payment/{failed['id']}/authorise-late", {})
    assert razorpay.fetch(key)["status"] == "cancelled" and payment(razorpay, failed["id"])["status"] == "captured"


# Refunds -----------------------------------------------------------------------------------------
def test_refunds_in_parts_up_to_the_whole(razorpay: Razorpay, receiver: Receiver) -> None:
    key = paid(razorpay, order(razorpay)["id"])["id"]
    receiver.take()
    part = razorpay.ok("POST", f"/payments/{key}/refund", {"amount": 5_000, "notes": {"why": "x"}})
    assert (part["entity"], part["status"], part["speed_processed"]) == ("refund", "processed", "normal")
    assert (payment(razorpay, key)["refund_status"], payment(razorpay, key)["status"]) == ("partial", "captured")
    more = razorpay.no("POST", f"/payments/{key}/refund", {"amount": 15_001})
    assert "greater than amount captured" in more["description"]
    razorpay.ok("POST", "/refunds", {"payment_id": key})
    whole = payment(razorpay, key)
    assert (whole["status"], whole["refund_status"], whole["amount_refunded"]) == ("refunded", "full", 20_000)
    assert "fully refunded already" in razorpay.no("POST", f"/payments/{key}/refund")["description"]
    razorpay.control("settle", {})
    assert receiver.take() == ["refund.created", "refund.processed"] * 2
    listed = razorpay.ok("GET", f"/payments/{key}/refunds")["items"]
    assert [one["amount"] for one in listed] == [15_000, 5_000]
    assert razorpay.ok("GET", f"/payments/{key}/refunds/{part['id']}") == part
    assert razorpay.ok("GET", f"/refunds/{part['id']}") == part


def test_a_refund_with_the_same_key_happens_once(razorpay: Razorpay) -> None:
    key = paid(razorpay, order(razorpay)["id"])["id"]
    same = {"X-Refund-Idempotency": "refund-of-7-once"}
    first = razorpay.ask("POST", f"/payments/{key}/refund", {"amount": 500}, **same)
    assert first[0] == 200 and razorpay.ask("POST", f"/payments/{key}/refund", {"amount": 500}, **same) == first
    assert razorpay.ask("POST", f"/payments/{key}/refund", {"amount": 501}, **same)[0] == 409
    short = razorpay.ask("POST", f"/payments/{key}/refund", {"amount": 500}, **{"X-Refund-Idempotency": "short"})
    assert short[0] == 400 and payment(razorpay, key)["amount_refunded"] == 500


def test_a_refund_may_be_pending_and_fail(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("habits", {"refunds": "pending"})
    key = paid(razorpay, order(razorpay)["id"])["id"]
    first, second = (razorpay.ok("POST", f"/payments/{key}/refund", {"amount": 10_000}) for _ in range(2))
    assert first["status"] == "pending" and payment(razorpay, key)["status"] == "refunded"
    razorpay.control("settle", {})
    receiver.take()
    razorpay.control(f"refund/{first['id']}", {"status": "processed"})
    razorpay.control(f"refund/{second['id']}", {"status": "failed"})
    razorpay.control("settle", {})
    assert receiver.take() == ["refund.processed", "refund.failed"]
    assert payment(razorpay, key)["amount_refunded"] == 10_000 and payment(razorpay, key)["status"] == "captured"


def test_a_refund_of_the_dashboard_and_one_too_late(razorpay: Razorpay, receiver: Receiver) -> None:
    key, old = (paid(razorpay, order(razorpay)["id"])["id"] for _ in range(2))
    receiver.take()
    assert razorpay.control(f"payment/{key}/refund", {"amount": 700})["amount"] == 700
    razorpay.control("settle", {})
    assert receiver.take() == ["refund.created", "refund.processed"]
    razorpay.advance(days=184)
    assert "6 months" in razorpay.no("POST", f"/payments/{old}/refund")["description"]
    failed = paid(razorpay, order(razorpay)["id"], ok=False)["id"]
    assert "captured" in razorpay.no("POST", f"/payments/{failed}/refund")["description"]


@pytest.mark.parametrize("end", ["won", "lost", "closed"])
def test_disputes(razorpay: Razorpay, receiver: Receiver, end: str) -> None:
    key = paid(razorpay, order(razorpay)["id"])["id"]
    receiver.take()
    made = razorpay.control(f"payment/{key}/dispute", {"amount": 15_000})
    assert (made["status"], made["respond_by"] - made["created_at"]) == ("open", 7 * DAY)
    razorpay.control(f"dispute/{made['id']}", {"status": "under_review"})
    razorpay.control(f"dispute/{made['id']}", {"status": end})
    razorpay.control("settle", {})
    assert receiver.take() == [f"payment.dispute.{name}" for name in ("created", "under_review", end)]
    after = razorpay.ok("GET", f"/disputes/{made['id']}")
    assert (after["status"], after["amount_deducted"]) == (end, 15_000 if end == "lost" else 0)
    assert razorpay.ok("GET", "/disputes")["count"] == 1


def test_customers_are_made_once_and_edited(razorpay: Razorpay) -> None:
    asha = {"name": "Asha Rao", "email": "asha@example.com", "contact": "+919876543210"}
    made = razorpay.ok("POST", "/customers", asha)
    assert "already exists" in razorpay.no("POST", "/customers", asha)["description"]
    assert razorpay.ok("POST", "/customers", asha | {"fail_existing": "0"})["id"] == made["id"]
    assert razorpay.ok("PUT", f"/customers/{made['id']}", {"name": "Asha R. Rao"})["name"] == "Asha R. Rao"
    assert razorpay.ok("GET", "/customers")["items"][0]["id"] == made["id"]
    assert razorpay.no("POST", "/customers", {"contact": "1234567"})["field"] == "contact"


# Payment links -----------------------------------------------------------------------------------
def test_a_link_is_paid_on_its_page_and_leads_back_with_a_signature(razorpay: Razorpay, receiver: Receiver) -> None:
    back = "http://localhost:8000/billing/thanks?from=link"
    asked = {"amount": 50_000, "currency": "INR", "reference_id": "topup-7", "callback_url": back}
    link = razorpay.ok("POST", "/payment_links", asked | {"callback_method": "get", "description": "Top-up"})
    assert (link["status"], link["cancelled_at"], link["amount_paid"]) == ("created", 0, 0)
    path = link["short_url"].removeprefix(razorpay.box.url)
    page = razorpay.box.raw("GET", path, b"")
    assert "Top-up" in page.body.decode() and "http://localhost:8000" in page.headers["content-security-policy"]
    assert razorpay.box.form(path, {"method": "upi", "vpa": "failure@razorpay"}).status == 200
    paid_one = razorpay.box.form(path, {"method": "upi", "vpa": "success@razorpay"})
    assert paid_one.status == 303
    query = dict(parse_qsl(urlsplit(paid_one.headers["location"]).query))
    parts = [link["id"], "topup-7", "paid", query["razorpay_payment_id"]]
    assert query["from"] == "link" and query["razorpay_signature"] == hexed("|".join(parts))
    razorpay.control("settle", {})
    (hook,) = [one for one in receiver.hooks if one.name == "payment_link.paid"]
    assert hook.json["contains"] == ["payment", "order", "payment_link"]
    after = razorpay.ok("GET", f"/payment_links/{link['id']}")
    assert (after["status"], after["amount_paid"], len(after["payments"])) == ("paid", 50_000, 1)
    assert "is paid" in razorpay.box.raw("GET", path, b"").body.decode()


def test_links_are_cancelled_or_expire(razorpay: Razorpay, receiver: Receiver) -> None:
    now = razorpay.advance()
    asked = {"amount": 50_000, "currency": "INR"}
    first, second = (razorpay.ok("POST", "/payment_links", asked | {"expire_by": now + 3600}) for _ in range(2))
    assert razorpay.ok("POST", f"/payment_links/{first['id']}/cancel")["status"] == "cancelled"
    razorpay.advance(hours=1)
    assert razorpay.ok("GET", f"/payment_links/{second['id']}")["status"] == "expired"
    assert receiver.take() == ["payment_link.cancelled", "payment_link.expired"]
    assert razorpay.no("POST", f"/payment_links/{second['id']}/cancel")
    assert len(razorpay.ok("GET", "/payment_links")["payment_links"]) == 2
    for wrong in ({"expire_by": now}, {"callback_url": "https://example.com/"}, {"amount": 1}):
        assert razorpay.no("POST", "/payment_links", asked | wrong)
