"""Changes that are refused, come to nothing or meet each other: what somebody has then, and is asked to pay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing import changing, ending, stopping
from billing.models import Payment, Plan, Subscription
from billing.standing import Holder
from tests.billing import paid, rows
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import FREE, PLUS, PRO, refused
from tests.billing.world import World, live, tokens


def kinds(row: Subscription) -> list[str]:
    return list(row.changes.values_list("kind", flat=True))


# Refused -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("plan", "interval", "seats"), [("plus", "", None), ("", "month", None), ("", "", 1)])
def test_what_one_has_already_is_no_change(world: World, plan: str, interval: str, seats: int | None) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    assert refused(world.change, user, plan, interval, seats) == "nothing_to_change"
    assert "change_asked" not in kinds(row)


@pytest.mark.parametrize(("fault", "code"), [("429", "payments_unavailable"), ("401", "payments_unconfigured")])
def test_a_change_that_razorpay_has_not_taken_waits_for_nothing(world: World, fault: str, code: str) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.control("fault", {"fault": fault, "method": "PATCH"})
    assert refused(world.change, user, "pro") == code
    row = again(row)
    assert (row.plan.code, row.next_price, "change" in row.metadata, tokens(user)) == ("plus", None, False, PLUS)
    assert kinds(row)[-1] == "change_failed"
    assert world.change(user, "pro").way == "in_place"
    assert again(row).plan.code == "pro"


@pytest.mark.parametrize("method", ["card_international", "upi"])
def test_what_is_to_end_is_changed_only_once_that_is_taken_back(world: World, method: str) -> None:
    user = world.person()
    row = world.subscribed(user, method=method)
    stopping.cancel(Holder(user.pk), "cycle_end", "", "her")
    assert refused(world.change, user, "pro") == "change_pending"
    assert not Subscription.objects.filter(replaces=row).exists() and again(row).next_price is None
    stopping.undo(Holder(user.pk), "her")
    assert world.change(user, "pro").row.pk == row.pk


def test_what_has_ended_at_once_is_not_changed_while_razorpay_does_not_know_it(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert str(again(row).status) == "active"
    assert refused(world.change, user, "pro") == "subscription_state"
    assert not Subscription.objects.filter(replaces=row).exists()


# A mandate that is another one by now --------------------------------------------------------------
@pytest.mark.parametrize("method", ["card_domestic", "upi"])
def test_a_mandate_that_was_changed_unheard_to_one_that_cannot_be_updated_is_replaced(
    world: World, method: str
) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.walk(row, "change-method", method=method)
    found = world.change(user, "pro")
    assert (found.way, found.when, found.replacement.plan.code) == ("replaced", "now", "pro")
    row = again(row)
    assert (row.plan.code, row.next_price, "change" in row.metadata, tokens(user)) == ("plus", None, False, PLUS)
    world.pay(found.replacement, method=method)
    world.hear()
    assert (again(row).metadata["ended"]["why"], tokens(user)) == ("replaced", PRO)


def test_a_change_that_failed_takes_back_no_other_that_was_asked_for_meanwhile(world: World) -> None:
    user = world.person()
    row = again(world.subscribed(user, "pro", **INTERNATIONAL))
    world.change(user, "plus")
    changing.drop(row, "another change", "Razorpay said no")
    row = again(row)
    assert row.next_price is not None and row.next_price.plan.code == "plus"
    assert "change_failed" not in kinds(row)
    changing.drop(row, row.metadata["change"]["key"], "Razorpay said no")
    row = again(row)
    assert (row.next_price, "change" in row.metadata, kinds(row)[-1]) == (None, False, "change_failed")


# Replacements --------------------------------------------------------------------------------------
def test_who_changes_their_mind_before_paying_has_the_last_wish_open_and_may_pay_either(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    first = world.change(user, "pro").replacement
    second = world.change(user, "team", seats=2).replacement
    assert first.pk != second.pk
    assert (again(first).replaces_id, again(second).replaces_id) == (None, old.pk)
    world.pay(first, method="upi")
    world.hear()
    assert (tokens(user), again(old).metadata["ended"]["why"]) == (PRO, "replaced")
    assert [row.pk for row in live(user) if "ended" not in row.metadata] == [first.pk]


def test_the_same_wish_at_another_time_is_another_replacement(world: World) -> None:
    user = world.person()
    world.subscribed(user, method="upi")
    at_once = world.change(user, "pro").replacement
    later = world.change(user, "pro", when="cycle_end").replacement
    assert (at_once.starts_at is None, later.starts_at is None) == (True, False)
    assert at_once.pk != later.pk == world.change(user, "pro", when="cycle_end").replacement.pk


def test_a_replacement_whose_link_is_about_to_end_is_not_given_out_again(world: World) -> None:
    user = world.person()
    world.subscribed(user, method="upi")
    first = world.change(user, "pro").replacement
    world.pass_time(hours=23, minutes=29)
    assert world.change(user, "pro").replacement.pk == first.pk
    world.pass_time(minutes=2)
    assert world.change(user, "pro").replacement.pk != first.pk


@pytest.mark.parametrize(("minutes", "when"), [(16, "cycle_end"), (14, "now")])
def test_one_for_later_begins_at_once_when_there_is_no_time_left_to_pay_it_before(
    world: World, minutes: int, when: str
) -> None:
    user = world.person()
    row = again(world.subscribed(user, "pro", method="upi"))
    assert row.current_period_end is not None
    world.pass_until(row.current_period_end - timedelta(minutes=minutes))
    found = world.change(user, "plus")
    assert (found.way, found.when, found.replacement.starts_at is None) == ("replaced", when, when == "now")


# Bigger and smaller --------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("has", "wants", "smaller"),
    [
        (("plus", "month", 1), ("pro", "month", 1), False),
        (("pro", "month", 1), ("plus", "month", 1), True),
        (("plus", "month", 1), ("plus", "year", 1), False),
        (("pro", "month", 1), ("plus", "year", 1), False),
        (("plus", "year", 1), ("pro", "month", 1), True),
        (("pro", "year", 1), ("plus", "year", 1), True),
        (("plus", "month", 1), ("plus", "month", 1), False),
        (("team", "month", 3), ("team", "month", 2), True),
        (("team", "month", 2), ("team", "month", 3), False),
    ],
)
def test_smaller_is_what_costs_less_or_is_paid_for_a_shorter_time(
    has: tuple[str, str, int], wants: tuple[str, str, int], smaller: bool
) -> None:
    row = rows.subscribed(paid.person(), has[0], quantity=has[2])
    row.price = rows.price_of(*has[:2])
    assert changing.is_smaller(row, rows.price_of(*wants[:2]), wants[2]) == smaller


def test_seats_stay_with_another_interval_and_go_with_a_plan_that_has_none(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, "team", seats=3)
    world.pay(row, **INTERNATIONAL)
    world.hear()
    yearly = world.change(user, interval="year")
    assert (yearly.way, yearly.when, yearly.replacement.quantity) == ("replaced", "now", 3)
    smaller = world.change(user, "plus")
    assert (smaller.way, smaller.when, again(row).next_quantity) == ("in_place", "cycle_end", 1)


def test_a_years_plan_that_is_raised_has_the_new_terms_in_each_month_to_come(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, interval="year", **INTERNATIONAL)
    world.pass_time(days=10)
    assert world.change(user, "pro").way == "in_place"
    has = tokens(user)
    assert has is not None and PLUS < has < PRO
    for days in (25, 200, 100):
        world.pass_time(days=days)
        assert tokens(user) == PRO
    world.pass_until(again(row).current_period_end)
    world.pass_time(hours=25)
    assert tokens(user) == PRO // 10
    world.pass_time(days=3)
    assert tokens(user) == FREE


# Whose it is ---------------------------------------------------------------------------------------
def test_what_is_changed_is_what_runs_and_not_what_waits_to_take_over(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, "pro", method="upi")
    waiting = world.change(user, "plus").replacement
    world.pay(waiting, method="upi")
    world.hear()
    assert changing.current(Holder(user.pk)).pk == old.pk
    assert refused(world.change, user, "team") == "change_pending"
    assert ending.ends_at(again(waiting)) == again(waiting).starts_at
    assert Payment.objects.filter(subscription=old).count() == 1


def test_a_plan_that_is_not_sold_any_more_or_was_made_for_somebody_else_is_not_changed_to(world: World) -> None:
    user = world.person()
    world.subscribed(user, **INTERNATIONAL)
    Plan.objects.filter(code="pro").update(only_for=world.person())
    Plan.objects.filter(code="team").update(is_active=False)
    for plan in ("pro", "team", "free", "no such", "\0"):
        assert refused(world.change, user, plan) == "plan_not_found"
    Plan.objects.filter(code="pro").update(only_for=user)
    assert world.change(user, "pro").way == "in_place"
