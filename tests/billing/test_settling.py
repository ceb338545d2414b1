"""What Razorpay says of a subscription and can't be right: nothing is given for it, and its owners hear of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db.models import F

from billing import effects, gateway, observing, settling, stopping
from billing.models import Difference, Payment, Refund, Subscription
from billing.razorpay import wire
from billing.standing import Holder
from tests.billing import razorpay_objects as rzp
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import FREE, PLUS
from tests.billing.world import World, dead, state, tokens


def falsify(world: World, key: str | None, **fields: Any) -> None:
    """Set fields of an object at Razorpay behind everybody's back."""
    world.control(f"object/{key}", fields)


def invoices_of(world: World, row: Subscription) -> list[dict[str, Any]]:
    found = world.control("objects?kind=inv")["items"]
    return [each for each in found if each["subscription_id"] == row.razorpay_subscription_id]


def look(row: Subscription) -> None:
    effects.apply_subscription(row.razorpay_subscription_id or "")


# Not the one that was asked for ------------------------------------------------------------------
def test_one_that_is_not_as_it_was_asked_for_gives_nothing_more_and_its_end_is_believed(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    falsify(world, row.razorpay_subscription_id, quantity=7)
    world.pass_time(days=31)
    world.hear()
    assert (again(row).paid_count, tokens(user)) == (1, PLUS // 10)
    found = Difference.objects.get(kind="subscription_mismatch")
    assert (found.reference, found.ours["quantity"]) == (row.razorpay_subscription_id, 1)
    assert (found.theirs["wrong"], found.theirs["quantity"]) == (["quantity"], 7)
    world.walk(row, "cancel")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("cancelled", FREE)
    assert state(user)["label"] == ("free", "cancelled")


@pytest.mark.parametrize("what", ["notes", "mode"])
def test_no_end_is_believed_of_one_that_may_be_anothers(world: World, what: str) -> None:
    user = world.person()
    row = world.subscribed(user)
    if what == "notes":
        falsify(world, row.razorpay_subscription_id, notes={"oneai_key": "another"})
    else:
        Subscription.objects.filter(pk=row.pk).update(mode="live")
    world.walk(row, "cancel")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("active", PLUS)
    assert Difference.objects.get(kind="subscription_mismatch").theirs["wrong"] == [what]
    assert dead()


def test_a_state_that_nobody_knows_or_that_lies_behind_an_end_changes_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    falsify(world, row.razorpay_subscription_id, status="newly-made")
    look(row)
    assert str(again(row).status) == "active"
    world.walk(row, "cancel")
    look(row)
    falsify(world, row.razorpay_subscription_id, status="active")
    look(row)
    assert str(again(row).status) == "cancelled"
    falsify(world, row.razorpay_subscription_id, status="completed")
    look(row)
    assert str(again(row).status) == "completed"


# Payments that fit nothing -----------------------------------------------------------------------
def test_a_payment_without_an_invoice_of_the_subscription_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)
    falsify(world, payment["id"], invoice_id=None, order_id=None)
    world.hear()
    assert tokens(user) == FREE and not Refund.objects.exists()
    found = Difference.objects.get(kind="payment_mismatch")
    assert (found.reference, found.theirs["why"]) == (payment["id"], "no invoice of this subscription has it")
    falsify(world, payment["id"], order_id=payment["order_id"])  # its order is enough to know the invoice by
    look(row)
    found.refresh_from_db()
    assert tokens(user) == PLUS and found.repaired_at is not None


@pytest.mark.parametrize("dates", [{"billing_start": None}, {"billing_end": None}, {"billing_end": 1}])
def test_an_invoice_without_dates_is_for_the_cycle_that_runs(world: World, dates: dict[str, Any]) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row)
    (invoice,) = invoices_of(world, row)
    falsify(world, invoice["id"], **dates)
    world.hear()
    row = again(row)
    paid = Payment.objects.get(subscription=row)
    assert (paid.period_start, paid.period_end) == (row.current_period_start, row.current_period_end)
    assert paid.period_end is not None and tokens(user) == PLUS


def test_of_two_invoices_without_dates_one_alone_is_for_the_cycle_that_runs(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row)
    world.pass_time(days=31)
    first, second = sorted(invoices_of(world, row), key=lambda each: int(each["billing_start"]))
    for invoice in (first, second):
        falsify(world, invoice["id"], billing_start=None, billing_end=None)
    world.hear()
    running, other = Payment.objects.filter(subscription=row).order_by(F("period_start").asc(nulls_last=True))
    assert (running.period_start, other.period_start, other.effect_at) == (again(row).current_period_start, None, None)
    found = Difference.objects.get(kind="payment_mismatch")
    assert (tokens(user), found.theirs["why"]) == (PLUS, "the cycle has no dates")
    for invoice in (first, second):
        falsify(world, invoice["id"], billing_start=invoice["billing_start"], billing_end=invoice["billing_end"])
    look(row)
    found.refresh_from_db()
    assert found.repaired_at is not None and again(row).paid_count == 2 and tokens(user) == PLUS


def test_what_is_heard_of_together_is_taken_in_the_order_in_which_it_was_paid(world: World) -> None:
    row = world.subscribe(world.person())
    world.pay(row)
    for _ in range(5):
        world.pass_time(days=31)
    world.forget_events()
    look(row)
    paid = row.changes.filter(kind="paid").order_by("created_at", "pk")
    starts = [each.details["period_start"] for each in paid]
    assert len(starts) == 6 and starts == sorted(starts)
    assert [each.details["first"] for each in paid] == [True, False, False, False, False, False]


@pytest.mark.parametrize("missing", ["current_start", "current_end"])
def test_a_payment_for_a_cycle_without_dates_gives_nothing_until_it_has_them(world: World, missing: str) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row)
    (invoice,) = invoices_of(world, row)
    falsify(world, invoice["id"], billing_start=None, billing_end=None)
    falsify(world, row.razorpay_subscription_id, **{missing: None})
    world.hear()
    found = Difference.objects.get(kind="payment_mismatch")
    assert (tokens(user), found.theirs["why"]) == (FREE, "the cycle has no dates")
    falsify(world, invoice["id"], billing_start=invoice["billing_start"], billing_end=invoice["billing_end"])
    look(row)
    found.refresh_from_db()
    assert tokens(user) == PLUS and found.repaired_at is not None


@pytest.mark.parametrize("fields", [{"amount": 49_800}, {"currency": "USD"}])
def test_a_payment_of_another_amount_or_currency_than_its_invoice_gives_nothing(
    world: World, fields: dict[str, Any]
) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)
    falsify(world, payment["id"], **fields)
    world.hear()
    found = Difference.objects.get(kind="payment_mismatch")
    assert (tokens(user), found.reference) == (FREE, payment["id"])
    assert found.ours | {"amount_paise": 49_900, "currency": "INR"} == found.ours
    assert found.theirs["why"] == "the amount or the currency is not that of the plan"


def test_a_payment_that_came_second_and_has_nearly_all_gone_back_is_not_given_back_again(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    late = world.pay(row, ok=False)
    world.pay(row)
    world.hear()
    world.control(f"payment/{late['id']}/authorise-late", {})
    world.control(f"payment/{late['id']}/refund", {"amount": late["amount"] - 50})
    world.hear()
    world.reconcile()
    (by_hand,) = Refund.objects.all()
    assert (by_hand.amount_paise, by_hand.actor) == (late["amount"] - 50, "Razorpay")
    assert tokens(user) == PLUS and not row.changes.filter(kind="given_back").exists()


@pytest.mark.parametrize(("paise", "token"), [(100, True), (500, True), (501, False)])
def test_what_sets_up_a_mandate_is_five_rupees_at_most(paise: int, token: bool) -> None:
    assert settling.is_token(wire.Payment.read(rzp.payment(amount=paise))) is token


# Changes at once ---------------------------------------------------------------------------------
def lose_the_answer_of_a_change(world: World, row: Subscription) -> dict[str, Any]:
    """Razorpay changes Plus to Pro and charges the difference, and nobody hears of it; the payment."""
    world.control("fault", {"fault": "lost-500", "method": "PATCH"})
    world.control("fault", {"fault": "503", "method": "GET", "path": "/subscriptions/*"})
    world.change(row.user, "pro")
    assert again(row).plan.code == "plus"
    found: dict[str, Any] = world.control("objects?kind=pay")["items"][-1]
    return found


def test_the_charge_of_a_change_that_is_made_while_we_look_is_no_slip(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    before, see = gateway.razorpay().subscription(row.razorpay_subscription_id or ""), observing.look
    payment = lose_the_answer_of_a_change(world, row)
    with monkeypatch.context() as meanwhile:
        # The subscription was read before the change was made, its invoices after that.
        meanwhile.setattr(observing, "look", lambda *args: replace(see(*args), subscription=before))
        look(row)
    kept = Payment.objects.get(razorpay_payment_id=payment["id"])
    assert kept.effect_at is None and not Difference.objects.exists()
    look(row)
    kept.refresh_from_db()
    assert (again(row).plan.code, kept.effect_at is not None, dead()) == ("pro", True, [])


def test_a_change_that_was_charged_otherwise_than_reckoned_is_made_and_told(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.pass_time(days=10)
    payment = lose_the_answer_of_a_change(world, row)
    expected = again(row).metadata["change"]["expected"]
    for key in (payment["id"], payment["invoice_id"]):
        falsify(world, key, amount=payment["amount"] + 9_000)
    world.hear()
    found = Difference.objects.get(kind="proration")
    assert (found.ours, found.theirs) == (
        {"amount_paise": expected},
        {"amount_paise": payment["amount"] + 9_000},
    )
    entry = row.changes.get(kind="change_paid")
    assert (entry.details["amount_paise"], entry.details["expected_paise"]) == (payment["amount"] + 9_000, expected)
    row = again(row)
    assert (row.plan.code, "changed" in row.metadata, found.reference) == ("pro", False, payment["id"])


# Ends --------------------------------------------------------------------------------------------
def test_a_renewal_of_what_was_to_end_is_given_and_no_grace_follows_it(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    world.pass_time(days=31)  # nobody has told Razorpay in time
    world.hear()
    assert (again(row).paid_count, tokens(user)) == (2, PLUS)
    world.pass_time(days=31)
    assert tokens(user) == FREE


def test_what_was_paused_and_is_ended_in_the_app_can_be_used_until_its_paid_end(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    stopping.pause(Holder(user.pk))
    assert tokens(user) == FREE
    world.walk(row, "cancel", by="customer")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("cancelled", PLUS)
    world.pass_time(days=31)
    assert tokens(user) == FREE


def test_an_end_of_what_was_disputed_while_paused_gives_nothing_again(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", method="upi")
    stopping.pause(Holder(user.pk))
    paid = Payment.objects.get(subscription=row)
    world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    world.walk(row, "cancel", by="customer")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("cancelled", FREE)
