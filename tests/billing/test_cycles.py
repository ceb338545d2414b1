"""What a paid cycle is cut into and what is given back of it: for any cycle, in whole numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import cycles
from billing.proration import Remaining, remaining
from oneai.kit.clock import add_months, period_edges

DAY = timedelta(days=1)
STARTS = st.integers(1_735_689_600, 1_956_528_000).map(lambda second: datetime.fromtimestamp(second, UTC))
LIMITS = [
    {"scope": "*", "unit": "tokens", "limit": 2_000_000},
    {"scope": "class:large", "unit": "tokens", "limit": 30_000},
    {"scope": "*", "unit": "nano_usd", "limit": None},
]


def tokens(span: cycles.Span) -> int:
    limit = span.limits[0]["limit"]
    assert isinstance(limit, int)
    return limit


@given(STARTS, st.integers(1, 12), st.integers(-20 * 3600, 4 * 86_400))
def test_no_quota_begins_twice_in_a_cycle_and_no_hour_of_it_is_without_one(
    start: datetime, months: int, off: int
) -> None:
    end = add_months(start, months) + timedelta(seconds=off)
    found = cycles.spans(start, end, LIMITS)
    assert found[0].start == start and tokens(found[0]) == 2_000_000
    assert found[-1].until >= end
    for before, after in pairwise(found):
        assert before.until == after.start
    # The last whole month ends where a month of the quota does, and what follows has only its part.
    assert period_edges(start, found[0].until)[0] == found[0].until
    if len(found) > 1:
        assert tokens(found[1]) <= 2_000_000 * (end - found[1].start) / timedelta(days=30)
    grace = cycles.grace(start, end, LIMITS)
    assert grace.start == found[-1].until
    assert (tokens(grace), grace.until) == (200_000, end + 4 * DAY)


@given(STARTS, st.integers(0, 10**7), st.integers(0, 31), st.integers(0, 2_000_000))
def test_what_is_given_back_is_never_more_than_either_share(start: datetime, paid: int, days: int, left: int) -> None:
    end = add_months(start, 1)
    time_left = remaining(start, end, start + days * DAY)
    back = cycles.unused(paid, time_left, [(left, 2_000_000)])
    assert 0 <= back <= paid
    assert back * time_left.whole <= paid * time_left.left
    assert back * 2_000_000 <= paid * left
    assert (back + 1) * time_left.whole > paid * time_left.left or (back + 1) * 2_000_000 > paid * left


@pytest.mark.parametrize(
    ("shares", "back"),
    [([], 50), ([(0, 0)], 50), ([(0, 0), (1, 4)], 25), ([(5, 4)], 50), ([(-1, 4)], 0), ([(0, 4)], 0)],
)
def test_a_limit_of_nothing_keeps_no_money_and_more_than_all_of_one_gives_none(
    shares: list[tuple[int, int]], back: int
) -> None:
    assert cycles.unused(100, Remaining(1, 2), shares) == back


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), STARTS, st.integers(0, 31))
def test_an_upgrade_adds_the_difference_for_the_time_left_and_never_takes(
    held: int, had: int, wanted: int, start: datetime, days: int
) -> None:
    left = remaining(start, add_months(start, 1), start + days * DAY)

    def limits(amount: int) -> list[cycles.Limit]:
        return [{"scope": "*", "unit": "tokens", "limit": amount}]

    (after,) = cycles.raised(limits(held), limits(had), limits(wanted), left)
    assert after["limit"] == held + max(0, left.of(wanted) - left.of(had))
    assert held <= after["limit"] <= held + max(0, wanted - had) + 1


def test_what_is_unlimited_stays_so_and_what_is_new_is_given_in_part() -> None:
    start, end = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)
    left = remaining(start, end, datetime(2027, 1, 16, tzinfo=UTC))
    before = [{"scope": "*", "unit": "tokens", "limit": None}]
    after = [{"scope": "*", "unit": "tokens", "limit": 10}, {"scope": "x/y", "unit": "tokens", "limit": 101}]
    assert [row["limit"] for row in cycles.raised(before, before, after, left)] == [None, 50]
    assert [row["limit"] for row in cycles.raised(before, before, after, remaining(start, end, start))] == [None, 101]
    assert [row["limit"] for row in cycles.raised(after, after, before, left)] == [None]


@pytest.mark.parametrize(("early", "whole"), [(timedelta(hours=24), True), (timedelta(hours=24, seconds=1), False)])
def test_a_month_is_whole_when_its_cycle_ends_up_to_a_day_before_it(early: timedelta, whole: bool) -> None:
    start = datetime(2027, 1, 10, tzinfo=UTC)
    month = add_months(start, 1)
    assert cycles.months_end(start, month - early) == (month if whole else month - early)


@given(STARTS, st.integers(1, 90))
def test_a_trial_gives_the_part_of_a_month_that_its_days_are(start: datetime, days: int) -> None:
    assert tokens(cycles.trial(start, start + days * DAY, LIMITS)) == 2_000_000 * min(days, 30) // 30


def test_limits_are_multiplied_by_seats_and_unlimited_stays_so() -> None:
    assert [row["limit"] for row in cycles.times(LIMITS, 3)] == [6_000_000, 90_000, None]
