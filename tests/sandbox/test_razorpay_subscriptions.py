"""The life of a subscription at the imitated Razorpay, on a clock that is moved."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.sandbox.razorpay import DAY, Razorpay, Receiver

IST = timezone(timedelta(hours=5, minutes=30))
FIRST = {
    "payment.authorized",
    "payment.captured",
    "order.paid",
    "invoice.paid",
    "subscription.authenticated",
    "subscription.activated",
    "subscription.charged",
}
CHARGE = ["payment.authorized", "payment.captured", "order.paid", "invoice.paid", "subscription.charged"]


def india(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, IST)


def at(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=IST).timestamp())


def test_a_new_subscription_waits_for_its_first_payment(razorpay: Razorpay) -> None:
    made = razorpay.fetch(razorpay.subscribe())
    assert (made["status"], made["paid_count"], made["remaining_count"]) == ("created", 0, 12)
    assert made["notes"] == [] and "customer_id" not in made
    assert [made[name] for name in ("current_start", "charge_at", "start_at", "end_at")] == [None] * 4
    assert made["short_url"] == f"{razorpay.box.url}/razorpay/i/{made['id']}"


def test_an_immediate_start_pays_the_first_cycle_with_the_whole_burst(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.subscribe(quantity=3)
    made = razorpay.walk(key, "authenticate", method="upi", email="asha@example.com")
    assert len(receiver.hooks) == 7 and set(receiver.names) == FIRST
    assert made["payment"]["amount"] == 3 * 49_900 and made["payment"]["method"] == "upi"
    subscription = razorpay.fetch(key)
    assert (subscription["status"], subscription["paid_count"], subscription["remaining_count"]) == ("active", 1, 11)
    assert subscription["current_start"] == subscription["start_at"] == razorpay.advance()
    assert subscription["current_end"] == subscription["charge_at"] == at(2028, 1, 28)
    assert subscription["end_at"] == at(2028, 11, 28)  # where the twelfth cycle begins
    (invoice,) = razorpay.invoices(key)
    assert (invoice["status"], invoice["amount"], invoice["payment_id"]) == ("paid", 149_700, made["payment"]["id"])
    assert razorpay.ok("GET", f"/customers/{subscription['customer_id']}")["email"] == "asha@example.com"


def test_a_payment_leads_to_its_subscription_only_over_its_invoice(razorpay: Razorpay) -> None:
    key = razorpay.subscribe()
    payment = razorpay.walk(key, "authenticate")["payment"]
    assert "subscription_id" not in razorpay.ok("GET", f"/payments/{payment['id']}")
    assert razorpay.ok("GET", f"/invoices/{payment['invoice_id']}")["subscription_id"] == key


def test_a_failed_first_payment_can_be_tried_again(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.subscribe()
    failed = razorpay.walk(key, "authenticate", ok=False)["payment"]
    assert receiver.take() == ["payment.failed"] and razorpay.fetch(key)["status"] == "created"
    assert failed["error_code"] == "BAD_REQUEST_ERROR" and failed["error_reason"] == "payment_failed"
    razorpay.walk(key, "authenticate")
    assert set(receiver.take()) == FIRST and len(razorpay.invoices(key)) == 1
    again = razorpay.box.call("POST", f"/_control/razorpay/subscription/{key}/authenticate", {})
    assert again[0] == 400 and "active" in again[1]["error"]


def test_a_later_start_takes_a_token_amount_and_gives_it_back(razorpay: Razorpay, receiver: Receiver) -> None:
    start = razorpay.advance() + 10 * DAY
    key = razorpay.subscribe(start_at=start)
    assert razorpay.fetch(key)["charge_at"] == start
    payment = razorpay.walk(key, "authenticate", method="card_domestic")["payment"]
    assert receiver.take() == [
        "payment.authorized",
        "payment.captured",
        "order.paid",
        "subscription.authenticated",
        "refund.created",
        "refund.processed",
    ]
    refunded = razorpay.ok("GET", f"/payments/{payment['id']}")
    assert (refunded["amount"], refunded["status"], refunded["refund_status"]) == (500, "refunded", "full")
    assert razorpay.invoices(key) == [] and razorpay.fetch(key)["status"] == "authenticated"
    razorpay.until(start)
    assert receiver.take() == ["subscription.activated", *CHARGE]
    begun = razorpay.fetch(key)
    assert (begun["status"], begun["paid_count"], begun["current_start"]) == ("active", 1, start)


def test_nobody_who_authenticates_in_time_lets_it_expire_without_an_event(
    razorpay: Razorpay, receiver: Receiver
) -> None:
    now = razorpay.advance()
    later, linked = razorpay.subscribe(start_at=now + DAY), razorpay.subscribe(expire_by=now + 2 * DAY)
    razorpay.advance(days=1)
    assert [razorpay.fetch(key)["status"] for key in (later, linked)] == ["expired", "created"]
    razorpay.advance(days=1)
    assert razorpay.fetch(linked)["status"] == "expired" and receiver.names == []
    error = razorpay.no("POST", f"/subscriptions/{later}/cancel")
    assert (error["description"], error["field"]) == (
        "Subscription is not cancellable in expired status.",
        "status",
    )


def test_cycles_are_charged_when_due_and_the_last_charge_completes(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.until(at(2028, 1, 31, 10))
    key = razorpay.active(total_count=3)
    receiver.take()
    razorpay.until(at(2028, 2, 29) - 1)
    assert receiver.names == []
    razorpay.until(at(2028, 2, 29))
    assert receiver.take() == CHARGE
    second = razorpay.fetch(key)
    assert (india(second["current_start"]), india(second["current_end"])) == (
        datetime(2028, 2, 29, tzinfo=IST),
        datetime(2028, 3, 31, tzinfo=IST),
    )
    razorpay.until(at(2028, 3, 31))
    assert receiver.take() == [*CHARGE, "subscription.completed"]
    last = razorpay.fetch(key)
    assert (last["status"], last["paid_count"], last["remaining_count"], last["charge_at"]) == ("completed", 3, 0, None)
    assert last["ended_at"] == last["end_at"] < last["current_end"]  # completed while its last cycle runs
    razorpay.advance(days=400)
    assert receiver.names == [] and len(razorpay.invoices(key)) == 3


def test_retries_on_three_days_then_halted_and_invoices_that_nobody_charges(
    razorpay: Razorpay, receiver: Receiver
) -> None:
    key = razorpay.active()
    razorpay.walk(key, "works", works=False)
    receiver.take()
    due = razorpay.fetch(key)["charge_at"]
    for day in range(3):
        razorpay.until(due + day * DAY)
        assert receiver.take() == ["payment.failed", "subscription.pending"]
        state = razorpay.fetch(key)
        assert (state["status"], state["auth_attempts"]) == ("pending", day + 1)
        assert state["charge_at"] == due + (day + 1) * DAY
        assert state["current_start"] == due and state["paid_count"] == 1  # the cycle runs, and is not paid
    razorpay.until(due + 3 * DAY)
    assert receiver.take() == ["payment.failed", "subscription.halted"]
    halted = razorpay.fetch(key)
    assert (halted["status"], halted["auth_attempts"], halted["charge_at"]) == ("halted", 4, halted["current_end"])
    razorpay.until(halted["current_end"])
    assert receiver.take() == []
    assert [one["status"] for one in razorpay.invoices(key)] == ["issued", "issued", "paid"]


def test_a_retry_that_succeeds_activates_again(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    razorpay.walk(key, "outcomes", next=[False, False, True])
    due = razorpay.fetch(key)["charge_at"]
    razorpay.until(due + DAY)
    receiver.take()
    razorpay.until(due + 2 * DAY)
    assert receiver.take() == [*CHARGE[:-1], "subscription.activated", "subscription.charged"]
    back = razorpay.fetch(key)
    assert (back["status"], back["auth_attempts"], back["paid_count"]) == ("active", 0, 2)
    assert back["charge_at"] == back["current_end"] == at(2028, 2, 28)


def test_halted_comes_back_by_another_card_and_old_invoices_stay_open(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    razorpay.walk(key, "halt")
    receiver.take()
    made = razorpay.walk(key, "change-method", method="card_domestic")
    assert made["payment"]["status"] == "refunded" and made["subscription"]["status"] == "active"
    assert receiver.take()[-1] == "subscription.activated"
    razorpay.until(made["subscription"]["charge_at"])
    assert [one["status"] for one in razorpay.invoices(key)] == ["paid", "issued", "paid"]


def test_halted_comes_back_when_the_old_invoice_is_paid(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    razorpay.walk(key, "halt")
    (open_one,) = [one for one in razorpay.invoices(key) if one["status"] == "issued"]
    receiver.take()
    razorpay.control(f"invoice/{open_one['id']}/pay", {})
    razorpay.control("settle", {})
    assert receiver.take()[-2:] == ["subscription.activated", "subscription.charged"]
    assert (razorpay.fetch(key)["status"], razorpay.fetch(key)["paid_count"]) == ("active", 2)


def test_a_card_change_while_pending_pays_what_is_due(razorpay: Razorpay) -> None:
    key = razorpay.active("upi")
    razorpay.walk(key, "charge", ok=False)
    refused = razorpay.box.call("POST", f"/_control/razorpay/subscription/{key}/change-method", {"method": "upi"})
    assert refused[0] == 400
    made = razorpay.walk(key, "change-method", method="card_international")
    assert made["payment"]["amount"] == 49_900 and made["payment"]["status"] == "captured"
    assert (made["subscription"]["status"], made["subscription"]["payment_method"]) == ("active", "card")


def test_pausing_stops_charges_and_resuming_goes_on(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    receiver.take()
    paused = razorpay.ok("POST", f"/subscriptions/{key}/pause", {"pause_at": "now"})
    assert (paused["status"], paused["charge_at"], paused["pause_initiated_by"]) == ("paused", None, "self")
    razorpay.advance(days=70)
    assert receiver.take() == ["subscription.paused"]
    resumed = razorpay.ok("POST", f"/subscriptions/{key}/resume", {"resume_at": "now"})
    assert resumed["status"] == "active" and resumed["charge_at"] == at(2028, 3, 28)
    razorpay.until(at(2028, 3, 28))
    assert receiver.take() == ["subscription.resumed", *CHARGE]


def test_what_a_customer_paused_only_the_customer_resumes(razorpay: Razorpay) -> None:
    key = razorpay.active("upi")
    razorpay.walk(key, "pause", by="customer")
    assert "only by the customer" in razorpay.no("POST", f"/subscriptions/{key}/resume")["description"]
    assert razorpay.walk(key, "resume", by="customer")["subscription"]["status"] == "active"


def test_pausing_before_the_start_cancels(razorpay: Razorpay) -> None:
    key = razorpay.subscribe(start_at=razorpay.advance() + DAY)
    razorpay.walk(key, "authenticate")
    assert razorpay.ok("POST", f"/subscriptions/{key}/pause")["status"] == "cancelled"


def test_a_cancellation_at_the_end_shows_nowhere_and_happens(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    receiver.take()
    before = razorpay.fetch(key)
    for flag in (True, 1, "1"):
        assert razorpay.ok("POST", f"/subscriptions/{key}/cancel", {"cancel_at_cycle_end": flag}) == before
    assert razorpay.fetch(key) == before and receiver.names == []
    assert razorpay.no("POST", f"/subscriptions/{key}/cancel_scheduled_changes")["code"] == "BAD_REQUEST_ERROR"
    razorpay.until(before["current_end"])
    assert receiver.take() == ["subscription.cancelled"]
    after = razorpay.fetch(key)
    assert (after["status"], after["ended_at"]) == ("cancelled", before["current_end"])
    assert "cancelled" in razorpay.no("POST", f"/subscriptions/{key}/cancel")["description"]


def test_a_cancellation_at_the_end_may_come_at_once_as_some_have_seen(razorpay: Razorpay) -> None:
    razorpay.control("habits", {"cancel_at_end": "immediate"})
    key = razorpay.active()
    assert razorpay.ok("POST", f"/subscriptions/{key}/cancel", {"cancel_at_cycle_end": 1})["status"] == "cancelled"


def test_without_a_cycle_there_is_no_end_to_cancel_at(razorpay: Razorpay) -> None:
    error = razorpay.no("POST", f"/subscriptions/{razorpay.subscribe()}/cancel", {"cancel_at_cycle_end": 1})
    assert "no billing cycle" in error["description"]


@pytest.mark.parametrize("state", ["created", "authenticated", "active", "pending", "halted", "paused"])
def test_every_living_state_can_be_cancelled(razorpay: Razorpay, state: str) -> None:
    key = razorpay.subscribe(**({"start_at": razorpay.advance() + DAY} if state == "authenticated" else {}))
    walks: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "pending": [("charge", {"ok": False})],
        "halted": [("halt", {})],
        "paused": [("pause", {})],
    }
    if state != "created":
        razorpay.walk(key, "authenticate")
    for name, fields in walks.get(state, []):
        razorpay.walk(key, name, **fields)
    assert razorpay.fetch(key)["status"] == state
    ended = razorpay.walk(key, "cancel", by="customer")["subscription"]
    assert (ended["status"], ended["cancel_initiated_by"]) == ("cancelled", "customer")
    razorpay.advance(days=90)
    assert razorpay.fetch(key)["status"] == "cancelled"


def test_complete_and_expire_by_hand(razorpay: Razorpay, receiver: Receiver) -> None:
    done, gone = razorpay.active(), razorpay.subscribe()
    receiver.take()
    assert razorpay.walk(done, "complete")["subscription"]["status"] == "completed"
    assert razorpay.walk(gone, "expire")["subscription"]["status"] == "expired"
    assert receiver.take() == ["subscription.completed"]


def test_beyond_what_needs_no_customer_automatic_charges_fail(razorpay: Razorpay) -> None:
    dear = razorpay.plan(15_000_01)
    upi, foreign = razorpay.active("upi", dear), razorpay.active("card_international", dear)
    razorpay.until(at(2028, 1, 28))
    assert [razorpay.fetch(key)["status"] for key in (upi, foreign)] == ["pending", "active"]


def test_foreign_money_is_for_cards_and_mandates_have_limits(razorpay: Razorpay) -> None:
    dollars = razorpay.subscribe(razorpay.plan(2_000, currency="USD"))
    dear = razorpay.subscribe(razorpay.plan(1_00_000_01))
    for key in (dollars, dear):
        status, said = razorpay.box.call(
            "POST", f"/_control/razorpay/subscription/{key}/authenticate", {"method": "upi"}
        )
        assert status == 400, said
    payment = razorpay.walk(dollars, "authenticate")["payment"]
    assert (payment["currency"], payment["base_currency"]) == ("USD", "INR")


def test_a_debit_may_come_hours_after_its_invoice(razorpay: Razorpay) -> None:
    razorpay.control("habits", {"debit_delay_seconds": 36 * 3600})
    key = razorpay.active("upi")
    due = razorpay.fetch(key)["charge_at"]
    razorpay.until(due)
    state = razorpay.fetch(key)
    assert (state["status"], state["current_start"], state["paid_count"]) == ("active", due, 1)
    razorpay.until(due + 36 * 3600)
    assert razorpay.fetch(key)["paid_count"] == 2 and razorpay.fetch(key)["charge_at"] == at(2028, 2, 28)


def test_addons_go_on_the_next_invoice_once(razorpay: Razorpay) -> None:
    addon = {"item": {"name": "Set-up", "amount": 10_000, "currency": "INR"}, "quantity": 2}
    key = razorpay.subscribe(addons=[addon])
    assert razorpay.walk(key, "authenticate")["payment"]["amount"] == 49_900 + 20_000
    later = razorpay.ok("POST", f"/subscriptions/{key}/addons", addon)
    gone = razorpay.ok("POST", f"/subscriptions/{key}/addons", addon)
    assert razorpay.ok("DELETE", f"/addons/{gone['id']}") == []
    razorpay.advance(days=70)
    assert [one["amount"] for one in razorpay.invoices(key)] == [49_900, 69_900, 69_900]
    assert razorpay.ok("GET", f"/addons/{later['id']}")["invoice_id"]
    assert razorpay.no("DELETE", f"/addons/{later['id']}")["code"] == "BAD_REQUEST_ERROR"
    upi = razorpay.active("upi")
    assert "upi" in razorpay.no("POST", f"/subscriptions/{upi}/addons", addon)["description"]


def test_a_later_start_with_an_addon_takes_the_addon_alone(razorpay: Razorpay) -> None:
    addon = {"item": {"name": "Set-up", "amount": 10_000, "currency": "INR"}}
    key = razorpay.subscribe(start_at=razorpay.advance() + 3 * DAY, addons=[addon])
    payment = razorpay.walk(key, "authenticate")["payment"]
    assert (payment["amount"], payment["status"]) == (10_000, "captured")
    razorpay.advance(days=3)
    assert [one["amount"] for one in razorpay.invoices(key)] == [49_900, 10_000]


def test_a_subscription_of_the_dashboard_says_so(razorpay: Razorpay) -> None:
    made = razorpay.control("subscription", {"plan_id": razorpay.plan()["id"], "total_count": 6})
    assert razorpay.fetch(made["id"])["source"] == "dashboard"


@pytest.mark.parametrize(
    ("period", "interval", "end"),
    [
        ("daily", 7, at(2028, 1, 4)),
        ("weekly", 2, at(2028, 1, 11)),
        ("quarterly", 1, at(2028, 3, 28)),
        ("yearly", 1, at(2028, 12, 28)),
    ],
)
def test_every_period_ends_at_midnight_in_india(razorpay: Razorpay, period: str, interval: int, end: int) -> None:
    key = razorpay.active(plan=razorpay.plan(period=period, interval=interval))
    assert razorpay.fetch(key)["current_end"] == end
