"""What a subscription gives for its money: once, also when it is heard of late, twice or in the last days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from billing import allowing, cycles, ending, prices
from billing.models import Payment, Plan, Subscription
from billing.proration import remaining
from oneai.kit.clock import add_months, now, travel
from quotas import reading
from quotas.models import Allowance
from tests.billing import paid, rows
from tests.billing.test_subscribing import FREE, PLUS, PRO
from tests.billing.test_topups import extra
from tests.billing.world import spend, tokens

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def terms_of(code: str, **more: Any) -> dict[str, Any]:
    return prices.terms_of(Plan.objects.get(code=code)) | more


def monthly(**terms: Any) -> Subscription:
    """Somebody's subscription to Plus, a day old, which has given nothing yet."""
    return rows.subscribed(paid.person(), "plus", terms=terms_of("plus", **terms))


def give(row: Subscription, start: datetime, end: datetime) -> bool:
    with transaction.atomic():
        given = allowing.give_cycle(row, row.terms, row.quantity, start, end)
        row.save()
    return given


def running(row: Subscription) -> Payment:
    """The payment of the cycle that runs, which has been given."""
    cycle = rows.paid(row, effect_at=now())
    assert cycle.period_start is not None and cycle.period_end is not None
    assert give(row, cycle.period_start, cycle.period_end)
    return cycle


def used(user: User) -> int:
    found = reading.standing(user.pk).limits
    return next(each.used for each in found if (each.scope, each.unit) == ("*", "tokens"))


# A cycle -------------------------------------------------------------------------------------------
def test_a_cycle_that_is_brought_again_gives_no_second_quota() -> None:
    row, start = monthly(), now()
    assert give(row, start, add_months(start, 1))
    spend(row.user, 300_000)
    assert not give(row, start, add_months(start, 1))
    assert (tokens(row.user), used(row.user), row.allowed_until) == (PLUS, 300_000, add_months(start, 1))
    assert Allowance.objects.filter(user=row.user, source=allowing.cycle_source(row, start)).count() == 1


def test_a_cycle_that_is_over_when_it_is_heard_of_gives_its_tokens_once_for_a_month() -> None:
    row, start = monthly(), now() - 40 * DAY
    assert give(row, start, now() - 9 * DAY)
    assert not give(row, start, now() - 9 * DAY)
    assert (tokens(row.user), extra(row.user)) == (FREE, PLUS)
    with travel(27 * DAY):
        assert extra(row.user) == PLUS
    with travel(32 * DAY):
        assert extra(row.user) == 0


def test_a_cycle_that_was_given_in_time_gives_nothing_more_when_it_is_over() -> None:
    row, start = monthly(), now()
    end = add_months(start, 1)
    assert give(row, start, end)
    with travel(40 * DAY):
        assert not give(row, start, end)
        assert (tokens(row.user), extra(row.user)) == (FREE, 0)


@pytest.mark.parametrize("limit", [0, None])
def test_a_cycle_paid_late_gives_no_top_up_of_what_has_no_amount(limit: int | None) -> None:
    row = monthly(limits=[{"scope": "*", "unit": "tokens", "limit": limit}])
    assert not give(row, now() - 40 * DAY, now() - 9 * DAY)
    assert extra(row.user) == 0


def test_of_a_class_of_models_a_cycle_paid_late_gives_nothing_that_any_model_could_use() -> None:
    row = monthly(limits=[{"scope": "class:large", "unit": "tokens", "limit": 700}])
    assert not give(row, now() - 40 * DAY, now() - 9 * DAY)
    assert extra(row.user) == 0


def test_a_cycle_that_is_paid_when_only_days_after_its_last_month_are_left_gives_their_part() -> None:
    row, start = monthly(), add_months(now() - DAY, -1)
    last, end = add_months(start, 1), now() + 2 * DAY
    assert give(row, start, end)
    assert tokens(row.user) == PLUS * int((end - last).total_seconds()) // (30 * 86_400) < PLUS // 3


def test_a_cycle_that_is_paid_ends_what_bridged_the_way_to_it_and_a_stop() -> None:
    row = monthly()
    cycle = running(row)
    start, end = cycle.period_start, cycle.period_end
    assert start is not None and end is not None
    with travel(end + HOUR - now()):
        assert tokens(row.user) == PLUS // 10
        row.metadata = {"stopped": {"why": allowing.DISPUTE}, "kept": 1}
        assert give(row, end, add_months(end, 1))
        assert (tokens(row.user), allowing.stopped_for(row), row.metadata["kept"]) == (PLUS, "", 1)
    bridged = Allowance.objects.get(user=row.user, source=f"{allowing.cycle_source(row, start)}:{allowing.GRACE}")
    assert bridged.until is not None and bridged.until < end + 2 * HOUR


def test_grace_lasts_four_days_from_the_end_of_the_cycle() -> None:
    row = monthly()
    cycle = running(row)
    assert cycle.period_end is not None
    for after, has in ((-HOUR, PLUS), (HOUR, PLUS // 10), (4 * DAY - HOUR, PLUS // 10), (4 * DAY + HOUR, FREE)):
        with travel(cycle.period_end + after - now()):
            assert tokens(row.user) == has, after


# A trial -------------------------------------------------------------------------------------------
def test_a_trial_is_given_once_and_its_first_charge_is_bridged() -> None:
    row, start = monthly(), now()
    with transaction.atomic():
        assert allowing.give_trial(row, start, start + 15 * DAY)
        assert not allowing.give_trial(row, start, start + 15 * DAY)
    assert (tokens(row.user), row.allowed_until) == (PLUS // 2, start + 15 * DAY)
    assert Allowance.objects.filter(user=row.user, source=f"sub:{row.pk}:trial").count() == 1
    for days, has in ((14, PLUS // 2), (16, PLUS // 20), (18, PLUS // 20), (20, FREE)):
        with travel(days * DAY):
            assert tokens(row.user) == has, days


def test_a_trial_that_is_heard_of_when_it_is_over_gives_nothing() -> None:
    row = monthly()
    with transaction.atomic():
        assert not allowing.give_trial(row, now() - 16 * DAY, now() - DAY)
    assert (tokens(row.user), row.allowed_until) == (FREE, None)
    assert not Allowance.objects.filter(user=row.user).exists()


@pytest.mark.parametrize(
    ("before", "after", "tenth"), [(100, 900, 10), (900, 100, 10), (None, 100, 10), (100, None, 10), (None, None, None)]
)
def test_before_its_first_charge_one_that_takes_over_gives_a_tenth_of_the_smaller_once(
    before: int | None, after: int | None, tenth: int | None
) -> None:
    old, new = (monthly(limits=[{"scope": "*", "unit": "tokens", "limit": limit}]) for limit in (before, after))
    start = now() + DAY
    with transaction.atomic():
        allowing.bridge(new, start, old)
        allowing.bridge(new, start + DAY, old)
    found = Allowance.objects.get(source=f"sub:{new.pk}:{allowing.GRACE}")
    assert (found.limits[0]["limit"], found.starts_at, found.until) == (tenth, start, start + 4 * DAY)


# A change ------------------------------------------------------------------------------------------
def test_a_change_raises_the_running_cycle_once_and_never_one_that_is_over() -> None:
    row = monthly()
    cycle = running(row)
    plus, pro = (row.terms, 1), (terms_of("pro"), 1)
    assert cycle.period_start is not None and cycle.period_end is not None
    with transaction.atomic():
        left = remaining(cycle.period_start, cycle.period_end, now())
        assert allowing.raise_now(row, cycle, plus, pro, "a change")
    raised = tokens(row.user)
    assert raised is not None and abs(raised - PLUS - left.of(PRO) + left.of(PLUS)) <= 100
    with transaction.atomic():
        assert not allowing.raise_now(row, cycle, plus, pro, "a change")
    assert tokens(row.user) == raised
    with travel(cycle.period_end + HOUR - now()):
        assert tokens(row.user) == PRO // 10
        with transaction.atomic():
            assert not allowing.raise_now(row, cycle, plus, pro, "another change")
        assert tokens(row.user) == PRO // 10


# A stop --------------------------------------------------------------------------------------------
def test_what_gave_nothing_when_it_was_stopped_gives_nothing_when_it_goes_on() -> None:
    row = monthly()
    with transaction.atomic():
        allowing.pause(row)
        assert allowing.stopped_for(row) == allowing.PAUSE
        allowing.resume(row)
    assert (allowing.stopped_for(row), tokens(row.user)) == ("", FREE)
    assert not Allowance.objects.filter(user=row.user).exists()


def test_what_was_stopped_goes_on_until_its_paid_end_or_for_as_long_as_it_had_left() -> None:
    early, late = monthly(), monthly()
    for row, days in ((early, 2), (late, 50)):
        cycle = running(row)
        assert cycle.period_end is not None
        spend(row.user, 500_000)
        with transaction.atomic():
            allowing.pause(row)
        assert tokens(row.user) == FREE
        left = cycle.period_end - now()
        with travel(days * DAY):
            with transaction.atomic():
                allowing.resume(row)
            if row is early:
                assert (tokens(row.user), used(row.user)) == (PLUS, 500_000)
                ends = cycle.period_end
            else:
                assert (tokens(row.user), used(row.user)) == (PLUS - 500_000, 0)
                ends = now() + left
        for after, has in ((-HOUR, True), (HOUR, False)):
            with travel(ends + after - now()):
                assert (tokens(row.user) != FREE) == has


# What is left --------------------------------------------------------------------------------------
def test_of_a_plan_without_limits_the_time_alone_says_what_is_unused() -> None:
    row = monthly(
        limits=[
            {"scope": "*", "unit": "tokens", "limit": None},
            {"scope": "class:large", "unit": "tokens", "limit": 10},
        ]
    )
    cycle = running(row)
    spend(row.user, 900_000)
    assert cycle.period_start is not None and cycle.period_end is not None
    by_time = remaining(cycle.period_start, cycle.period_end, now()).of(cycle.amount_paise)
    assert 0 <= by_time - ending.unused(row)[0] <= 1


@pytest.mark.parametrize(("months_in", "use", "left"), [(0, 0, 12), (0, 1, 11), (3, 0, 9), (11, 1, 0)])
def test_of_a_year_the_months_to_come_are_left_whole(months_in: int, use: int, left: int) -> None:
    start = add_months(now(), -months_in) - HOUR
    end = add_months(start, 12)
    row = monthly()
    row.current_period_start, row.current_period_end = start, end
    cycle = rows.paid(row, effect_at=now())
    assert give(row, start, end)
    if use:
        spend(row.user, PLUS)
    found = allowing.quota_left(row, cycle)
    assert found[0] == (left * PLUS, 12 * PLUS)


def test_where_nothing_is_in_force_nothing_of_the_cycle_is_left() -> None:
    row = monthly()
    cycle = running(row)
    assert allowing.quota_left(row, cycle)[0] == (PLUS, PLUS)
    allowing.end_all(row)
    assert allowing.quota_left(row, cycle)[0] == (0, PLUS)


def test_grace_is_a_tenth_of_what_all_the_seats_have() -> None:
    limits = allowing.limits_of(terms_of("plus"), 3)
    start = now()
    grace = cycles.grace(start, add_months(start, 1), limits)
    assert next(each["limit"] for each in grace.limits if each["unit"] == "tokens") == 3 * PLUS // 10
