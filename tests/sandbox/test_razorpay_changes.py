"""Changes to running subscriptions: refusals by way of paying, proration, and what waits for the end of a cycle."""

from __future__ import annotations

import pytest

from tests.sandbox.razorpay import DAY, Razorpay, Receiver


@pytest.mark.parametrize(("method", "words"), [("upi", "UPI"), ("emandate", "emandate"), ("card_domestic", "offer")])
def test_indian_ways_of_paying_cannot_be_updated(razorpay: Razorpay, method: str, words: str) -> None:
    key, dearer = razorpay.active(method), razorpay.plan(99_900)
    for fields in ({"plan_id": dearer["id"]}, {"quantity": 2, "schedule_change_at": "cycle_end"}):
        assert words in razorpay.no("PATCH", f"/subscriptions/{key}", fields)["description"]
    assert razorpay.fetch(key)["quantity"] == 1


@pytest.mark.parametrize("walk", [None, "halt", "pause", "cancel"])
def test_only_authenticated_and_active_ones_can_be_updated(razorpay: Razorpay, walk: str | None) -> None:
    key = razorpay.active() if walk else razorpay.subscribe()
    if walk:
        razorpay.walk(key, walk)
    error = razorpay.no("PATCH", f"/subscriptions/{key}", {"quantity": 2})
    assert "not in Authenticated or Active state" in error["description"]


def test_an_upgrade_now_charges_the_days_that_are_left(razorpay: Razorpay, receiver: Receiver) -> None:
    key, dearer = razorpay.active(), razorpay.plan(99_900)
    before = razorpay.fetch(key)  # 28 December to 28 January: 31 days
    razorpay.advance(days=10)
    receiver.take()
    after = razorpay.ok("PATCH", f"/subscriptions/{key}", {"plan_id": dearer["id"]})
    assert after["plan_id"] == dearer["id"] and after["current_end"] == before["current_end"]
    invoice = razorpay.invoices(key)[0]
    assert invoice["amount"] == 99_900 * 21 // 31 - 49_900 * 21 // 31 and invoice["status"] == "paid"
    razorpay.control("settle", {})
    assert receiver.take()[-1] == "subscription.updated"
    razorpay.until(after["current_end"])
    assert razorpay.invoices(key)[0]["amount"] == 99_900


def test_an_upgrade_whose_charge_fails_changes_nothing(razorpay: Razorpay, receiver: Receiver) -> None:
    key, dearer = razorpay.active(), razorpay.plan(99_900)
    before = razorpay.fetch(key)
    receiver.take()
    razorpay.walk(key, "outcomes", next=[False])
    error = razorpay.no("PATCH", f"/subscriptions/{key}", {"plan_id": dearer["id"]})
    assert error["metadata"]["payment_id"].startswith("pay_")
    razorpay.control("settle", {})
    assert razorpay.fetch(key) == before and receiver.take() == ["payment.failed"]


def test_a_downgrade_now_gives_money_back(razorpay: Razorpay) -> None:
    key = razorpay.active(quantity=4)
    payment = razorpay.invoices(key)[0]["payment_id"]
    razorpay.ok("PATCH", f"/subscriptions/{key}", {"quantity": 1})
    (refund,) = razorpay.ok("GET", f"/payments/{payment}/refunds")["items"]
    assert refund["amount"] == 3 * 49_900 and refund["status"] == "processed"


def test_a_difference_of_a_few_paise_is_refused(razorpay: Razorpay) -> None:
    key, near = razorpay.active(), razorpay.plan(49_949)
    assert "at least 50" in razorpay.no("PATCH", f"/subscriptions/{key}", {"plan_id": near["id"]})["description"]


def test_another_period_now_begins_a_new_cycle(razorpay: Razorpay) -> None:
    key, yearly = razorpay.active(), razorpay.plan(499_000, "yearly")
    now = razorpay.advance(days=1)
    after = razorpay.ok("PATCH", f"/subscriptions/{key}", {"plan_id": yearly["id"], "remaining_count": 5})
    assert after["current_start"] == now and after["current_end"] - now > 364 * DAY
    assert (after["remaining_count"], after["total_count"]) == (5, 6)
    assert razorpay.invoices(key)[0]["amount"] == 499_000 - 49_900 * 30 // 31


def test_a_change_at_the_end_waits_can_be_read_and_taken_back(razorpay: Razorpay, receiver: Receiver) -> None:
    key, cheaper = razorpay.active(), razorpay.plan(19_900)
    assert razorpay.no("GET", f"/subscriptions/{key}/retrieve_scheduled_changes")
    wanted = {"plan_id": cheaper["id"], "quantity": 2, "schedule_change_at": "cycle_end"}
    waiting = razorpay.ok("PATCH", f"/subscriptions/{key}", wanted)
    assert waiting["has_scheduled_changes"] and waiting["change_scheduled_at"] == waiting["current_end"]
    assert waiting["quantity"] == 1 and waiting["plan_id"] != cheaper["id"]
    coming = razorpay.ok("GET", f"/subscriptions/{key}/retrieve_scheduled_changes")
    assert (coming["plan_id"], coming["quantity"]) == (cheaper["id"], 2)
    assert not razorpay.ok("POST", f"/subscriptions/{key}/cancel_scheduled_changes")["has_scheduled_changes"]
    razorpay.ok("PATCH", f"/subscriptions/{key}", wanted)
    receiver.take()
    razorpay.until(waiting["current_end"])
    assert receiver.take()[0] == "subscription.updated" and razorpay.invoices(key)[0]["amount"] == 39_800
    assert not razorpay.fetch(key)["has_scheduled_changes"]


def test_before_the_start_a_change_costs_nothing(razorpay: Razorpay) -> None:
    start = razorpay.advance() + 5 * DAY
    key = razorpay.subscribe(start_at=start)
    razorpay.walk(key, "authenticate")
    later = razorpay.ok("PATCH", f"/subscriptions/{key}", {"start_at": start + DAY, "quantity": 2})
    assert (later["start_at"], later["charge_at"]) == (start + DAY, start + DAY)
    razorpay.until(start)
    assert razorpay.fetch(key)["status"] == "authenticated"
    razorpay.until(start + DAY)
    assert razorpay.invoices(key)[0]["amount"] == 99_800


def test_nonsense_is_refused(razorpay: Razorpay) -> None:
    key = razorpay.active()
    dollars = razorpay.plan(1_000, currency="USD")
    for fields in (
        {},
        {"quantity": 1},
        {"quantity": 0},
        {"plan_id": "plan_unknown"},
        {"plan_id": dollars["id"]},
        {"quantity": 2, "schedule_change_at": "later"},
        {"start_at": razorpay.advance() + DAY},
        {"amount": 1},
    ):
        assert razorpay.no("PATCH", f"/subscriptions/{key}", fields)
