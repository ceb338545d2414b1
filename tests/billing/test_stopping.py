"""Ending, taking back and pausing when something stands in the way: a second wish, a lost answer, a no of Razorpay."""

from __future__ import annotations

import pytest

from billing import gateway, stopping
from billing.models import Payment, Refund
from billing.standing import Holder
from oneai.kit import clock
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import FREE, PLUS, PRO, refused
from tests.billing.world import World, tokens


# Ending ------------------------------------------------------------------------------------------
def test_what_was_ended_and_not_sent_yet_is_not_ended_again(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "too dear", "her")
    for when in ("now", "cycle_end"):
        assert refused(stopping.cancel, Holder(user.pk), when, "again", "her") == "subscription_state"
    world.reconcile()
    world.reconcile()
    assert (str(again(row).status), again(row).cancel_reason) == ("cancelled", "too dear")
    assert Refund.objects.count() == 1 and row.changes.filter(kind="end_now").count() == 1
    assert refused(stopping.cancel, Holder(user.pk), "now", "", "her") == "no_subscription"


@pytest.mark.parametrize(("when", "has", "status"), [("now", FREE, "cancelled"), ("cycle_end", PRO, "active")])
def test_who_ends_does_not_get_what_was_to_follow(world: World, when: str, has: int, status: str) -> None:
    user = world.person()
    old = world.subscribed(user, "pro", method="upi")
    new = world.change(user, "plus").replacement
    world.pay(new, method="upi")
    world.hear()
    assert str(again(new).status) == "authenticated"
    assert stopping.cancel(Holder(user.pk), when, "enough", "her").pk == old.pk
    world.reconcile()
    world.hear()
    assert (str(again(old).status), str(again(new).status), tokens(user)) == (status, "cancelled", has)
    end = again(old).current_period_end
    assert end is not None
    world.pass_time(days=(end - clock.now()).days - 1)  # Razorpay is told three days before
    world.reconcile()
    world.pass_time(days=3)
    world.hear()
    assert (str(again(old).status), tokens(user)) == ("cancelled", FREE)
    assert not Payment.objects.filter(subscription=new).exclude(effect_at=None).exists()


# Taking back -------------------------------------------------------------------------------------
def test_a_change_that_was_not_paid_yet_is_taken_back_without_an_end(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    new = world.change(user, "pro").replacement
    assert stopping.undo(Holder(user.pk), "her").pk == old.pk
    assert (again(new).replaces_id, str(again(new).status), "ended" in again(new).metadata) == (None, "created", False)
    assert refused(stopping.undo, Holder(user.pk), "her") == "nothing_to_undo"
    assert (str(again(old).status), tokens(user)) == ("active", PLUS)
    assert world.change(user, "pro").replacement.pk != new.pk


@pytest.mark.parametrize(
    ("fault", "code"), [("503", "payments_unavailable"), ("url-not-found", "payments_unconfigured")]
)
def test_a_change_that_razorpay_still_has_is_not_taken_back_here(world: World, fault: str, code: str) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", **INTERNATIONAL)
    world.change(user, "plus")
    world.control("fault", {"fault": fault, "method": "POST", "path": "/subscriptions/*/cancel_scheduled_changes"})
    assert refused(stopping.undo, Holder(user.pk), "her") == code
    waits = again(row).next_price
    assert waits is not None and waits.plan.code == "plus"
    stopping.undo(Holder(user.pk), "her")
    assert again(row).next_price is None


def test_a_change_that_razorpay_has_no_more_is_taken_back_here(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", **INTERNATIONAL)
    world.change(user, "plus")
    gateway.razorpay().cancel_scheduled_changes(row.razorpay_subscription_id or "")
    stopping.undo(Holder(user.pk), "her")
    assert again(row).next_price is None
    assert row.changes.get(kind="change_failed").reason == "Taken back"
    world.pass_time(days=31)
    world.hear()
    assert (again(row).plan.code, tokens(user)) == ("pro", PRO)


# Pausing -----------------------------------------------------------------------------------------
def test_only_what_is_charged_is_paused(world: World) -> None:
    user = world.person()
    world.subscribed(user)
    stopping.pause(Holder(user.pk))
    assert refused(stopping.pause, Holder(user.pk)) == "subscription_state"


def test_a_pause_whose_answer_was_lost_is_seen_at_once(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/subscriptions/*/pause"})
    assert str(stopping.pause(Holder(user.pk)).status) == "paused"
    assert (str(again(row).status), tokens(user)) == ("paused", FREE)


def test_what_is_about_to_change_is_not_paused(world: World) -> None:
    user = world.person()
    world.subscribed(user, "pro", **INTERNATIONAL)
    world.change(user, "plus")
    assert refused(stopping.pause, Holder(user.pk)) == "change_pending"
