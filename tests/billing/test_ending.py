"""Ending and taking that back: what is told to Razorpay when, and what a person has meanwhile and afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress

from billing import changing, ending, prices, reconciling, stopping
from billing.models import Plan, Refund, Subscription
from billing.standing import Holder
from oneai.kit.clock import now
from quotas.models import Allowance
from tests.billing import paid, rows
from tests.billing.test_allowing import monthly, running
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import FREE, PLUS, PRO, refused
from tests.billing.world import World, tokens

DAY = timedelta(days=1)


def kinds(row: Subscription) -> list[str]:
    return list(row.changes.values_list("kind", flat=True))


# What is unused --------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_change_paid_in_the_last_second_of_a_cycle_has_no_time_left_to_give_back() -> None:
    row = monthly()
    cycle = running(row)
    assert cycle.period_end is not None
    for before, counts in ((timedelta(milliseconds=500), False), (timedelta(seconds=1), True)):
        change = rows.paid(
            row, 10_000, period_start=None, period_end=None, paid_at=cycle.period_end - before, effect_at=now()
        )
        back, of = ending.unused(row)
        assert of == cycle.amount_paise + (10_000 if counts else 0)
        assert 0 < back <= of
        change.delete()


@pytest.mark.django_db
def test_what_has_ended_once_is_not_ended_and_paid_back_again() -> None:
    row = monthly()
    running(row)
    assert len(ending.end_now(row, reason="enough", actor="her")) == 1
    assert ending.end_now(row, reason="again", actor="somebody") == []
    assert (row.cancel_reason, kinds(row).count("end_now"), Refund.objects.count()) == ("enough", 1, 1)
    assert row.metadata["ended"]["why"] == "asked"


@pytest.mark.django_db
@pytest.mark.parametrize(("reason", "said"), [("", "Ended before its time"), ("enough", "enough")])
def test_a_refund_says_why_and_the_history_what_goes_back(reason: str, said: str) -> None:
    row, nothing = monthly(), monthly()
    cycle = running(row)
    row.cancel_reason = "too dear"
    (refund,) = ending.end_now(row, reason=reason, actor="her")
    assert (refund.reason, refund.actor, refund.payment_id) == (said, "her", cycle.pk)
    assert row.cancel_reason == (reason or "too dear")
    details = row.changes.get(kind="end_now").details
    assert details == {"refund_paise": refund.amount_paise, "why": "", "by_hand": False}
    assert ending.end_now(nothing, reason=reason, actor="her") == []
    assert nothing.changes.get(kind="end_now").details == {"refund_paise": 0, "why": "", "by_hand": False}


# With the cycle, and not after all -------------------------------------------------------------------
def test_who_asks_twice_for_the_end_of_the_cycle_is_heard_once(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    stopping.cancel(Holder(user.pk), "cycle_end", "too dear", "her")
    stopping.cancel(Holder(user.pk), "cycle_end", "", "somebody")
    row = again(row)
    assert (row.cancel_at_cycle_end, row.cancel_reason, kinds(row).count("cancel_asked")) == (True, "too dear", 1)


def test_nothing_is_taken_back_that_was_not_asked_for_or_that_razorpay_knows(world: World) -> None:
    row = again(world.subscribed(world.person()))
    assert not ending.keep_on(row, actor="her")
    ending.end_with_cycle(row, reason="", actor="her")
    row.cancel_sent_at = now()
    assert not ending.keep_on(row, actor="her") and row.cancel_at_cycle_end


def test_a_pause_whose_end_is_taken_back_gives_no_days_of_grace(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    stopping.pause(Holder(user.pk))
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    stopping.undo(Holder(user.pk), "her")
    row = again(row)
    assert (row.cancel_at_cycle_end, row.cancel_reason, str(row.status)) == (False, "", "paused")
    world.pass_until(row.current_period_end)
    world.pass_time(hours=25)
    assert tokens(user) == FREE


def test_a_trial_whose_end_is_taken_back_is_bridged_to_its_first_charge(world: World) -> None:
    Plan.objects.filter(code="plus").update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    row = world.subscribe(user)
    world.pay(row, method="upi")
    world.hear()
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    stopping.undo(Holder(user.pk), "her")
    assert tokens(user) == PLUS // 2
    world.pass_until(again(row).starts_at)
    world.pass_time(hours=2)
    assert tokens(user) == PLUS // 20  # its first charge has not been heard of yet
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("active", PLUS)


@pytest.mark.django_db
def test_what_had_nothing_to_bridge_has_nothing_when_its_end_is_taken_back() -> None:
    row = monthly()
    row.status, row.starts_at = "authenticated", now() + DAY
    ending.end_with_cycle(row, reason="", actor="her")
    assert ending.keep_on(row, actor="her") and not row.cancel_at_cycle_end
    assert not Allowance.objects.filter(user=row.user).exists()


# To Razorpay -----------------------------------------------------------------------------------------
def test_razorpay_is_told_three_days_before_the_end_and_not_before(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    end = again(row).current_period_end
    assert end is not None
    world.pass_until(end - timedelta(hours=72, minutes=5))
    assert ending.send_due() == [] and again(row).cancel_sent_at is None
    world.pass_time(minutes=6)
    assert ending.send_due() == [row.razorpay_subscription_id]
    assert ending.send_due() == []
    assert str(again(row).status) == "active"
    world.pass_time(days=4, hours=1)  # a quota's month may end a day after Razorpay's
    world.hear()
    assert (str(again(row).status), again(row).paid_count, tokens(user)) == ("cancelled", 1, FREE)


def test_an_end_that_razorpay_refuses_keeps_no_other_from_being_told(world: World) -> None:
    ended = [world.subscribed(world.person()) for _ in range(3)]
    first = ended[0]
    for each in ended:
        world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
        stopping.cancel(Holder(each.user_id), "now", "", "her")
        assert again(each).cancel_sent_at is None
    path = f"/subscriptions/{first.razorpay_subscription_id}/cancel"
    world.control("fault", {"fault": "url-not-found", "method": "POST", "path": path})
    reconciling.send_due()
    assert [again(each).cancel_sent_at is None for each in ended] == [True, False, False]
    assert [str(again(each).status) for each in ended] == ["active", "cancelled", "cancelled"]
    reconciling.send_due()
    assert again(first).cancel_sent_at is not None and str(again(first).status) == "cancelled"


def test_when_razorpay_has_no_answer_the_others_are_told_in_the_next_round(world: World) -> None:
    ended = [world.subscribed(world.person()) for _ in range(2)]
    for each in ended:
        world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
        stopping.cancel(Holder(each.user_id), "now", "", "her")
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    assert ending.send_due() == []
    assert [again(each).cancel_sent_at for each in ended] == [None, None]
    assert ending.send_due() == [each.razorpay_subscription_id for each in ended]


def test_an_end_that_razorpay_has_already_counts_as_told(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.walk(row, "cancel")
    stopping.cancel(Holder(user.pk), "now", "", "her")
    row = again(row)
    assert row.cancel_sent_at is not None and (str(row.status), tokens(user)) == ("cancelled", FREE)


def test_without_a_key_nobody_is_told_and_with_one_again_it_is_made_up_for(world: World, settings: Any) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    key, settings.RAZORPAY_KEY_ID = settings.RAZORPAY_KEY_ID, ""
    assert ending.send_due() == [] and reconciling.reconcile_due() == 0
    assert again(row).cancel_sent_at is None
    settings.RAZORPAY_KEY_ID = key
    assert ending.send_due() == [row.razorpay_subscription_id]


def test_what_was_made_in_the_other_mode_is_not_told_of_in_this_one(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    Subscription.objects.filter(pk=row.pk).update(mode="live")
    assert ending.due(now()) == []


# What follows the last cycle -------------------------------------------------------------------------
def test_only_what_was_charged_for_the_last_time_and_still_runs_is_followed(world: World) -> None:
    user = world.person()
    holder = Holder(user.pk)
    row = world.subscribed(user)
    assert ending.running_out(holder) is None  # it is renewed by itself
    world.walk(row, "complete")
    world.hear()
    found = ending.running_out(holder)
    assert found is not None and found.pk == row.pk
    world.pass_until(again(row).current_period_end)
    world.pass_time(hours=1)
    assert ending.running_out(holder) is None


def test_a_last_cycle_whose_money_went_back_has_nothing_to_follow(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.walk(row, "complete")
    world.control(f"payment/{row.payments.get().razorpay_payment_id}/refund", {})
    world.hear()
    assert ending.running_out(Holder(user.pk)) is None


# A change and an end ---------------------------------------------------------------------------------
def test_a_change_that_is_heard_of_after_its_end_was_asked_for_gives_no_days_after_the_cycle(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.control("fault", {"fault": "lost-500", "method": "PATCH"})
    world.control("fault", {"fault": "503", "method": "GET", "times": 1})
    world.change(user, "pro")
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    world.hear()
    row, has = again(row), tokens(user)
    assert row.plan.code == "pro" and has is not None and PLUS < has <= PRO
    assert row.current_period_end is not None
    world.pass_until(row.current_period_end - 2 * DAY)
    world.reconcile()
    assert again(row).cancel_sent_at is not None
    world.pass_time(days=3, hours=1)
    assert tokens(user) == FREE


def test_an_end_leaves_no_change_to_wait(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", **INTERNATIONAL)
    world.change(user, "plus")
    stopping.cancel(Holder(user.pk), "now", "", "her")
    row = again(row)
    assert (row.next_price, row.next_quantity, row.cancel_at_cycle_end) == (None, None, False)
    assert refused(changing.current, Holder(user.pk)) == "no_subscription"


@pytest.mark.django_db
def test_it_ends_when_its_paid_cycle_or_its_trial_does() -> None:
    price, start = rows.price_of("plus"), now() + DAY
    values: dict[str, Any] = {"terms": prices.terms_of(price.plan), "starts_at": start}
    trial = rows.subscribed(paid.person(), "plus", status="authenticated", **values)
    assert (ending.is_running(trial), ending.ends_at(trial)) == (True, start)
    unpaid = rows.subscribed(paid.person(), "plus", **values)
    assert (ending.is_running(unpaid), ending.ends_at(unpaid)) == (False, unpaid.current_period_end)
    cycle = rows.paid(unpaid, effect_at=now(), period_end=start + DAY)
    assert (ending.is_running(unpaid), ending.ends_at(unpaid)) == (True, cycle.period_end)
