"""Changing, ending and taking back: what it costs, what it gives, and that nobody pays twice or waits in between."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from accounts import teams
from accounts.models import Membership, User
from billing import changing, checkout, ending, holders, reconciling, shown, stopping, takeover
from billing.models import Difference, Payment, Refund, Subscription
from billing.standing import Holder
from quotas import allowances, audit, reading
from tests.billing.test_subscribing import FREE, PLUS, PRO, refused
from tests.billing.world import World, dead, live, spend, state, tokens

INTERNATIONAL = {"method": "card_international"}


def again(row: Subscription) -> Subscription:
    return Subscription.objects.select_related("plan", "price", "next_price").get(pk=row.pk)


def shortly_before_the_end_of(row: Subscription) -> datetime:
    """When Razorpay is told of an end and has not charged the next cycle, however long the month is."""
    end = again(row).current_period_end
    assert end is not None
    return end - timedelta(days=2)


# An upgrade now ------------------------------------------------------------------------------------
def test_an_international_card_is_changed_in_place_for_the_difference(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    spend(user, 500_000)
    world.pass_time(days=15)
    found = world.change(user, "pro")
    assert (found.way, found.when, found.replacement) == ("in_place", "now", None)
    row = again(row)
    assert (row.plan.code, str(row.status), row.next_price) == ("pro", "active", None)
    limit = tokens(user)
    # Half of the month is left: half of what pro has more, on top of plus.
    assert limit is not None and PLUS + 2_700_000 < limit < PLUS + 3_200_000
    paid = Payment.objects.filter(subscription=row).order_by("created_at").last()
    assert paid is not None and paid.effect_at is not None and paid.period_start is None
    assert 45_000 < paid.amount_paise < 52_000
    assert not Difference.objects.filter(kind="proration").exists()
    world.hear()
    assert tokens(user) == limit
    world.pass_time(days=17)
    world.hear()
    assert tokens(user) == PRO and not dead()


def test_an_end_after_a_change_gives_back_what_the_change_cost_too(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.pass_time(days=15)
    world.change(user, "pro")
    cycle, extra = Payment.objects.filter(subscription=row).order_by("created_at")
    row = again(row)
    back, paid = ending.unused(row)
    assert paid == cycle.amount_paise + extra.amount_paise
    # Half of the cycle is left, and all of what the change cost, but for the minutes between.
    assert cycle.amount_paise * 45 // 100 + extra.amount_paise * 95 // 100 < back <= paid
    stopping.cancel(Holder(user.pk), "now", "not for me", "her")
    world.reconcile()
    world.hear()
    given = {each.razorpay_payment_id: each.refunded_paise for each in Payment.objects.filter(subscription=row)}
    assert 0 < given[cycle.razorpay_payment_id] < cycle.amount_paise * 55 // 100
    assert extra.amount_paise * 95 // 100 < given[extra.razorpay_payment_id] <= extra.amount_paise


def test_a_change_whose_charge_fails_changes_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.walk(row, "outcomes", next=[False])
    assert refused(world.change, user, "pro") == "payment_refused"
    row = again(row)
    assert (row.plan.code, row.next_price, "change" in row.metadata, tokens(user)) == ("plus", None, False, PLUS)


def test_a_change_whose_answer_was_lost_is_seen_by_its_event(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.control("fault", {"fault": "lost-500", "method": "PATCH"})
    world.control("fault", {"fault": "503", "method": "GET", "times": 1})
    world.change(user, "pro")
    assert again(row).plan.code == "plus"
    world.hear()
    row = again(row)
    assert (row.plan.code, "change" in row.metadata) == ("pro", False)
    assert tokens(user) is not None and tokens(user) > PLUS  # type: ignore[operator]


@pytest.mark.parametrize("method", ["upi", "card_domestic", "emandate"])
def test_a_mandate_that_cannot_be_changed_is_replaced_once_the_new_one_is_paid(world: World, method: str) -> None:
    user = world.person()
    old = world.subscribed(user, method=method)
    spend(user, 500_000)
    world.pass_time(days=10)
    found = world.change(user, "pro")
    assert (found.way, found.when) == ("replaced", "now")
    new = found.replacement
    assert world.change(user, "pro").replacement.pk == new.pk
    assert (str(again(old).status), tokens(user)) == ("active", PLUS)
    world.pay(new, method=method)
    world.hear()
    old, new = again(old), again(new)
    assert (str(new.status), tokens(user)) == ("active", PRO)
    world.reconcile()
    world.hear()
    old = again(old)
    assert (str(old.status), [row.pk for row in live(user)]) == ("cancelled", [new.pk])
    back = Refund.objects.get(payment__subscription=old)
    # Two thirds of the time and three quarters of the quota were left: the smaller is given back.
    assert 31_000 < back.amount_paise < 49_900 * 2 // 3 + 700
    assert back.status == "processed"
    world.pass_time(days=40)
    world.hear()
    assert Payment.objects.filter(subscription=old).count() == 1


def test_what_was_ended_in_the_app_meanwhile_goes_back_in_part_when_its_replacement_is_paid(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    world.pass_time(days=10)
    new = world.change(user, "pro").replacement
    world.walk(old, "cancel")
    world.hear()
    assert (str(again(old).status), tokens(user)) == ("cancelled", PLUS)
    world.pay(new, method="upi")
    world.hear()
    back = Refund.objects.get(payment__subscription=old)
    assert 0 < back.amount_paise < 49_900 and again(old).metadata["ended"]["why"] == takeover.REPLACED
    assert state(user)["label"] == ("pro", "active")


def test_a_replacement_that_is_never_paid_leaves_the_old_one_as_it_was(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    world.change(user, "pro")
    world.pass_time(days=31)
    world.hear()
    world.reconcile()
    assert (str(again(old).status), again(old).paid_count, tokens(user)) == ("active", 2, PLUS)
    other = world.change(user, "team", seats=3)
    assert other.way == "replaced"


# A downgrade at the end ----------------------------------------------------------------------------
def test_a_smaller_plan_begins_when_the_cycle_ends_and_can_be_taken_back(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, "pro", **INTERNATIONAL)
    assert refused(world.change, user, "plus", when="now") == "only_at_cycle_end"
    found = world.change(user, "plus")
    assert (found.way, found.when) == ("in_place", "cycle_end")
    assert shown.subscription(again(row))["next"]["plan"] == "plus"
    assert refused(world.change, user, "team") == "change_pending"
    stopping.undo(Holder(user.pk), "her")
    assert again(row).next_price is None
    world.change(user, "plus")
    world.pass_time(days=31)
    world.hear()
    row = again(row)
    assert (row.plan.code, tokens(user), row.next_price) == ("plus", PLUS, None)
    assert Payment.objects.filter(subscription=row).order_by("-created_at")[0].amount_paise == 49_900
    assert not dead()


def test_a_smaller_plan_on_upi_is_authorised_now_and_begins_when_the_cycle_ends(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, "pro", method="upi")
    found = world.change(user, "plus")
    assert (found.way, found.when) == ("replaced", "cycle_end")
    world.pay(found.replacement, method="upi")
    world.hear()
    old, new = again(old), again(found.replacement)
    assert (old.cancel_at_cycle_end, str(new.status), tokens(user)) == (True, "authenticated", PRO)
    world.pass_until(shortly_before_the_end_of(old))
    world.reconcile()
    assert again(old).cancel_sent_at is not None
    world.pass_time(days=4)
    assert tokens(user) == PLUS // 10  # until its first charge is heard of there is no gap
    world.hear()
    old, new = again(old), again(new)
    assert (str(old.status), str(new.status), tokens(user)) == ("cancelled", "active", PLUS)
    assert Payment.objects.filter(subscription=old, effect_at__isnull=False).count() == 1
    assert not Refund.objects.exists() and not dead()


def test_a_replacement_that_waits_can_be_taken_back(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, "pro", method="upi")
    found = world.change(user, "plus")
    world.pay(found.replacement, method="upi")
    world.hear()
    stopping.undo(Holder(user.pk), "her")
    world.hear()
    old, new = again(old), again(found.replacement)
    assert (old.cancel_at_cycle_end, str(new.status)) == (False, "cancelled")
    world.pass_time(days=31)
    world.hear()
    assert (tokens(user), again(old).paid_count) == (PRO, 2)


# Ending ------------------------------------------------------------------------------------------
def test_an_end_with_the_cycle_waits_here_and_can_be_taken_back_until_shortly_before(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    stopping.cancel(Holder(user.pk), "cycle_end", "too dear", "her")
    world.pass_time(days=20)
    world.reconcile()
    assert again(row).cancel_sent_at is None
    stopping.undo(Holder(user.pk), "her")
    assert refused(stopping.undo, Holder(user.pk), "her") == "nothing_to_undo"
    stopping.cancel(Holder(user.pk), "cycle_end", "still too dear", "her")
    world.pass_until(shortly_before_the_end_of(row))
    world.reconcile()
    assert again(row).cancel_sent_at is not None
    assert refused(stopping.undo, Holder(user.pk), "her") == "too_late_to_undo"
    assert tokens(user) == PLUS
    world.pass_time(days=4)
    world.hear()
    row = again(row)
    assert (str(row.status), row.paid_count, tokens(user)) == ("cancelled", 1, FREE)
    world.reconcile()
    user.refresh_from_db()
    assert (user.current_subscription, user.subscription_status) == ("free", "cancelled")


def test_after_taking_back_the_end_the_renewal_has_its_grace_again(world: World) -> None:
    user = world.person()
    world.subscribed(user)
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    stopping.undo(Holder(user.pk), "her")
    world.pass_time(days=31)
    assert tokens(user) == PLUS // 10


@pytest.mark.parametrize(("days", "used", "part"), [(0, 0, 1.0), (15, 0, 0.5), (3, 1_500_000, 0.25), (0, PLUS, 0.0)])
def test_an_end_now_gives_back_the_smaller_of_time_and_quota_left(
    world: World, days: int, used: int, part: float
) -> None:
    user = world.person()
    row = world.subscribed(user)
    if used:
        spend(user, used)
    if days:
        world.pass_time(days=days)
    promised = shown.subscription(again(row))["unused"]
    stopping.cancel(Holder(user.pk), "now", "not for me", "her")
    assert (tokens(user), str(again(row).status)) == (FREE, "cancelled")
    world.reconcile()
    world.hear()
    back = Refund.objects.filter(payment__subscription=row).first()
    if not part:
        assert back is None
        return
    assert back is not None and back.status == "processed"
    assert abs(back.amount_paise - 49_900 * part) < 49_900 * 0.04
    assert abs(promised - back.amount_paise) <= 5
    assert not live(user) and not dead()


def test_an_end_now_while_razorpay_is_away_is_sent_later(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "503", "times": 3})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert (tokens(user), str(again(row).status)) == (FREE, "active")
    for _ in range(4):
        world.pass_time(minutes=5)
        reconciling.send_due()
    assert str(again(row).status) == "cancelled"
    assert Refund.objects.get(payment__subscription=row).status == "processed"


def test_a_mandate_cancelled_in_the_upi_app_lasts_as_long_as_it_was_paid(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.walk(row, "cancel", by="customer")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("cancelled", PLUS)
    world.pass_time(days=31)
    assert tokens(user) == FREE


def test_who_has_ended_can_subscribe_again(world: World) -> None:
    user = world.person()
    world.subscribed(user, **INTERNATIONAL)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    row = world.subscribed(user, "pro", method="upi")
    assert (str(row.status), tokens(user)) == ("active", PRO)


def test_the_days_before_a_first_charge_give_no_more_than_what_was_paid_for_before(world: World) -> None:
    user = world.person()
    world.subscribed(user, method="upi")
    found = world.change(user, "team", seats=10, when="cycle_end")
    world.pay(found.replacement, method="upi")
    world.hear()
    world.pass_time(days=31)
    assert tokens(user) == PLUS // 10


def test_subscribing_and_ending_at_once_begins_no_new_month_of_the_free_plan(world: World) -> None:
    user = world.person()
    spend(user, FREE)
    row = world.subscribed(user)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert again(row).payments.get().refunds.exists()
    left = next(each for each in reading.standing(user.pk).limits if (each.scope, each.unit) == ("*", "tokens"))
    assert (left.limit, left.used) == (FREE, FREE)
    world.subscribed(user, "pro")
    assert reading.standing(user.pk).limits[0].used == 0 and not audit.replay(user.pk, lock=False)


# Seats, pause --------------------------------------------------------------------------------------
def test_seats_multiply_price_and_quota_and_more_of_them_cost_the_rest_of_the_cycle(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, "team", seats=3)
    world.pay(row, **INTERNATIONAL)
    world.hear()
    assert tokens(user) == 3 * 6_000_000
    assert Payment.objects.get(subscription=row).amount_paise == 3 * 129_900
    world.change(user, seats=5)
    row = again(row)
    limit = tokens(user)
    assert row.quantity == 5 and limit is not None and 29_000_000 < limit <= 30_000_000
    fewer = world.change(user, seats=2)
    assert (fewer.when, again(row).quantity) == ("cycle_end", 5)
    world.pass_time(days=31)
    world.hear()
    assert (again(row).quantity, tokens(user)) == (2, 2 * 6_000_000)
    assert not dead()


def test_what_is_paid_for_a_team_is_the_teams(world: World) -> None:
    owner, stranger = world.person(), world.person()
    team = teams.create_team(owner, "Weavers")
    assert refused(holders.holder_for, stranger, team.pk) == "not_found"
    row = checkout.subscribe(owner, holders.holder_for(owner, team.pk), "team", "month", seats=4)
    world.pay(row, **INTERNATIONAL)
    world.hear()
    team.refresh_from_db()
    account = User.objects.get(pk=team.pk)
    # Its people draw on it.
    assert (tokens(account), tokens(owner), team.seats) == (4 * 6_000_000, 4 * 6_000_000, 4)
    assert refused(teams.delete_team, owner, team.pk) == "team_subscribed"
    stopping.cancel(holders.holder_for(owner, team.pk), "now", "", "her")
    assert (tokens(account), tokens(owner)) == (0, FREE)  # a team without a plan has nothing of its own
    teams.delete_team(owner, team.pk)


def test_a_pause_keeps_what_is_left_until_it_is_resumed(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    spend(user, 500_000)
    stopping.pause(Holder(user.pk))
    assert (str(again(row).status), tokens(user)) == ("paused", FREE)
    world.pass_time(days=40)
    world.hear()
    assert tokens(user) == FREE
    stopping.resume(Holder(user.pk))
    row = again(row)
    assert (str(row.status), tokens(user)) == ("active", PLUS - 500_000)
    assert refused(stopping.resume, Holder(user.pk)) == "subscription_state"


def test_an_end_while_paused_gives_back_what_was_left(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    spend(user, 500_000)
    stopping.pause(Holder(user.pk))
    stopping.cancel(Holder(user.pk), "now", "", "her")
    world.reconcile()
    back = Refund.objects.get(payment__subscription=row)
    assert 49_900 * 3 // 4 - 10 <= back.amount_paise <= 49_900 * 3 // 4


def test_what_was_paused_in_the_upi_app_is_resumed_only_there(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.walk(row, "pause", by="customer")
    world.hear()
    assert tokens(user) == FREE
    assert refused(stopping.resume, Holder(user.pk)) == "payment_refused"
    world.walk(row, "resume", by="customer")
    world.hear()
    assert (str(again(row).status), tokens(user)) == ("active", PLUS)


def test_without_a_subscription_there_is_nothing_to_change(world: World) -> None:
    holder = Holder(world.person().pk)
    for call in (stopping.pause, stopping.resume):
        assert refused(call, holder) == "no_subscription"
    assert refused(stopping.undo, holder, "") == "no_subscription"
    assert refused(stopping.cancel, holder, "now", "", "") == "no_subscription"


def test_who_has_a_team_now_can_not_raise_what_its_owner_before_is_charged(world: World) -> None:
    owner, heir = world.person(), world.person()
    team = teams.create_team(owner, "Circle", seats=3)
    Membership.objects.create(team=team, user=heir)
    row = checkout.subscribe(owner, Holder(owner.pk, team.pk), "team", "month", seats=3)
    world.pay(row, **INTERNATIONAL)
    world.hear()
    teams.transfer(owner, team.pk, heir.pk)
    found = changing.change(heir, Holder(heir.pk, team.pk), "", "", 100, "now")
    assert (found.way, found.replacement.user_id) == ("replaced", heir.pk)
    assert Payment.objects.filter(user=owner).count() == 1 and again(row).quantity == 3


def test_what_was_used_up_is_not_given_back_to_who_has_joined_a_team_since(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    spend(user, PLUS)
    team = teams.create_team(user, "Circle")
    allowances.assign(team.pk, "team", [{"scope": "*", "unit": "tokens", "limit": 9_000_000}], {}, ["*"], "test")
    assert (tokens(user), ending.unused(row)[0]) == (9_000_000, 0)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert not Refund.objects.exists()
