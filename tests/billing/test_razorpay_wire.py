"""Objects of Razorpay are read with their oddities; what money can't be made of is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.razorpay.errors import Unreadable
from billing.razorpay.events import NoEvent, read_event
from billing.razorpay.once import made_since
from billing.razorpay.papers import Customer, Dispute, Invoice, PaymentLink
from billing.razorpay.wire import Order, Payment, Plan, Refund, Subscription
from tests.billing import razorpay_objects as rzp

AT = datetime.fromtimestamp(1790000000, UTC)


def test_a_subscription_as_documented() -> None:
    read = Subscription.read(rzp.subscription(notes={"oneai_key": "k", "number": 7}))
    assert (read.id, read.plan_id, read.status) == ("sub_AAAAAAAAAAAA01", "plan_AAAAAAAAAAAA01", "active")
    assert (read.current_start, read.start_at, read.created_at) == (AT, None, AT)
    assert (read.total_count, read.paid_count, read.remaining_count) == (12, 1, 11)
    assert read.notes == {"oneai_key": "k", "number": "7"}
    assert not read.has_ended


@pytest.mark.parametrize("status", ["cancelled", "completed", "expired"])
def test_a_subscription_ends_in_three_ways(status: str) -> None:
    assert Subscription.read(rzp.subscription(status=status)).has_ended


@pytest.mark.parametrize("status", ["created", "authenticated", "active", "pending", "halted", "paused", "newly-made"])
def test_any_other_state_is_kept_and_is_no_end(status: str) -> None:
    read = Subscription.read(rzp.subscription(status=status))
    assert (read.status, read.has_ended) == (status, False)


def test_what_is_odd_is_forgiven() -> None:
    bare = {
        "id": "sub_1",
        "status": "created",
        "notes": [],
        "short_url": None,
        "created_at": None,
        "unheard": {"of": 1},
    }
    read = Subscription.read(bare)
    assert (read.notes, read.short_url, read.created_at, read.customer_id, read.quantity) == ({}, "", None, "", 1)
    assert Subscription.read(bare | {"created_at": "1790000000", "expire_by": 0}).created_at == AT
    assert Subscription.read(bare | {"expire_by": 0}).expire_by is None


@pytest.mark.parametrize(
    ("said", "read"),
    [(True, True), ("1", True), (1, True), ("true", True), (False, False), (None, False), ("0", False)],
)
def test_a_payment_is_captured_in_any_spelling(said: Any, read: bool) -> None:
    assert Payment.read(rzp.payment(captured=said)).captured is read


def test_a_payment_by_upi_or_card() -> None:
    card = Payment.read(rzp.payment())
    assert (card.card_network, card.card_last4, card.vpa, card.fee, card.tax) == ("Visa", "4366", "", 1178, 180)
    upi = Payment.read(rzp.payment(method="upi", card=None, upi={"vpa": "success@razorpay"}, fee=None, error_code=""))
    assert (upi.vpa, upi.card_network, upi.fee, upi.error_code) == ("success@razorpay", "", None, "")
    assert Payment.read(rzp.payment(card=[], order_id="", currency="inr")).currency == "INR"


@pytest.mark.parametrize("amount", [-1, True, 499.0, "49900", None, 10**16, [1], float("nan")])
@pytest.mark.parametrize(
    ("shape", "make"), [(Payment, rzp.payment), (Order, rzp.order), (Refund, rzp.refund), (Invoice, rzp.invoice)]
)
def test_an_amount_that_is_no_number_of_paise_is_refused_by_name(shape: Any, make: Any, amount: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        shape.read(make(amount=amount))
    assert refused.value.field == "amount"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None), ("id", ""), ("id", "a/../b"), ("id", 7), ("paid_count", -1), ("paid_count", "1"),
        ("created_at", -5), ("created_at", True), ("created_at", 10**12), ("status", 3),
        ("has_scheduled_changes", "maybe"),
    ],
)  # fmt: skip
def test_other_nonsense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        Subscription.read(rzp.subscription(**{field: value}))
    assert refused.value.field == field


def test_amounts_and_times_have_a_largest() -> None:
    assert Order.read(rzp.order(amount=10**15)).amount == 10**15
    assert Order.read(rzp.order(amount=0, amount_paid=None)).amount_paid == 0
    last = Order.read(rzp.order(created_at="32503679999")).created_at
    assert last is not None and last.year == 2999
    for field, value in (("amount", 10**15 + 1), ("created_at", 32_503_680_000), ("created_at", "032503679999")):
        with pytest.raises(Unreadable) as refused:
            Order.read(rzp.order(**{field: value}))
        assert refused.value.field == field


def test_what_was_made_is_looked_for_from_ten_minutes_before() -> None:
    assert made_since(AT) == AT - timedelta(minutes=10)


@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable):
        Plan.read(value)


@pytest.mark.parametrize("currency", [None, "", "RUPEES", "12A", "₹₹₹"])
def test_a_currency_has_three_letters(currency: Any) -> None:
    with pytest.raises(Unreadable):
        Order.read(rzp.order(currency=currency))


def test_the_other_objects() -> None:
    assert Plan.read(rzp.plan()).amount == 49900
    assert Refund.read(rzp.refund()).payment_id == "pay_AAAAAAAAAAAA01"
    assert Invoice.read(rzp.invoice(subscription_id=None, payment_id="")).subscription_id == ""
    assert Customer.read({"id": "cust_1", "name": "A", "email": None, "notes": []}).email == ""
    link = {"id": "plink_1", "amount": 100, "currency": "INR", "status": "paid", "payments": [{"payment_id": "pay_1"}]}
    assert PaymentLink.read(link | {"expire_by": 0}).payments == ("pay_1",)
    assert PaymentLink.read(link | {"payments": None}).payments == ()
    dispute = {"id": "disp_1", "payment_id": "pay_1", "amount": 100, "currency": "INR", "status": "lost"}
    assert Dispute.read(dispute).status == "lost"


def event(**fields: Any) -> Any:
    import json

    payload = {"subscription": {"entity": rzp.subscription()}, "payment": {"entity": rzp.payment(captured="1")}}
    whole = {"entity": "event", "account_id": "acc_1", "event": "subscription.charged", "payload": payload}
    return json.dumps(whole | fields)


def test_an_event_names_its_objects() -> None:
    read = read_event(event())
    assert (read.type, read.account_id) == ("subscription.charged", "acc_1")
    assert read.entities == {"subscription": "sub_AAAAAAAAAAAA01", "payment": "pay_AAAAAAAAAAAA01"}


def test_what_an_event_calls_itself_is_cut_to_what_a_row_keeps() -> None:
    read = read_event(event(event="e" * 81, account_id="a\x00" + "b" * 40))
    assert (read.type, read.account_id) == ("e" * 80, "a" + "b" * 38)
    assert read_event(event(account_id=7)).account_id == ""


def test_an_invoice_names_its_subscription_too() -> None:
    read = read_event(event(event="invoice.paid", payload={"invoice": {"entity": rzp.invoice()}}))
    assert read.entities == {"invoice": "inv_AAAAAAAAAAAA01", "subscription": "sub_AAAAAAAAAAAA01"}


@pytest.mark.parametrize(
    "payload", [None, [], "x", {"payment": None}, {"payment": {"entity": []}}, {"payment": {"entity": {"id": "a/b"}}}]
)
def test_an_event_may_carry_nothing_that_can_be_read(payload: Any) -> None:
    assert read_event(event(payload=payload)).entities == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"event": 7}', b"\xff", b"[" * 5000])
def test_what_is_no_event_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NoEvent):
        read_event(body)
