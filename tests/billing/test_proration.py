"""A period divided at a second: nothing is lost or made, in paise and in tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.proration import Remaining, change, remaining, shares

ANY = settings(deadline=None)  # a machine under load is no fault
amounts = st.integers(0, 10**12)
moments = st.integers(946_684_800, 3_786_912_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=366))


@st.composite
def some_left(draw: st.DrawFn) -> Remaining:
    whole = draw(st.integers(1, 366 * 86_400))
    return Remaining(draw(st.integers(0, whole)), whole)


START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (START, 30 * 86_400),
        (START - timedelta(days=3), 30 * 86_400),
        (START + timedelta(days=15), 15 * 86_400),
        (START + timedelta(microseconds=1), 30 * 86_400 - 1),  # a second that has begun is used
        (END - timedelta(seconds=1), 1),
        (END - timedelta(microseconds=1), 0),
        (END, 0),
        (END + timedelta(days=99), 0),
    ],
)
def test_what_is_left_is_counted_in_whole_seconds(at: datetime, left: int) -> None:
    assert remaining(START, END, at) == Remaining(left, 30 * 86_400)


def test_a_period_without_length_has_nothing_left() -> None:
    with pytest.raises(ValueError, match="length"):
        remaining(START, START + timedelta(milliseconds=999), START)


def test_what_is_left_is_rounded_down_so_that_nobody_is_credited_more_than_they_paid() -> None:
    thirds = [Remaining(left, 3).of(100) for left in (0, 1, 2, 3)]
    assert thirds == [0, 33, 66, 100]


def test_half_a_month_from_plus_to_pro_costs_half_the_difference() -> None:
    half = remaining(START, END, START + timedelta(days=15))
    found = change(half, paid=49_900, price=149_900, had=2_000_000, gives=8_000_000)
    assert (found.credit, found.charge, found.pay, found.over, found.tokens) == (24_950, 74_950, 50_000, 0, 3_000_000)
    back = change(half, paid=149_900, price=49_900, had=8_000_000, gives=2_000_000)
    assert (back.pay, back.over, back.tokens) == (0, 50_000, 0)


@ANY
@given(moments, lengths, st.timedeltas(timedelta(days=-400), timedelta(days=800)), amounts)
def test_used_and_left_are_the_whole_and_neither_is_negative(
    start: datetime, length: timedelta, after: timedelta, amount: int
) -> None:
    left = remaining(start, start + length, start + after)
    assert 0 <= left.left <= left.whole
    assert 0 <= left.of(amount) <= amount


@ANY
@given(some_left(), amounts, amounts, amounts, amounts)
def test_a_change_adds_up_to_the_paisa_and_is_never_negative(
    left: Remaining, paid: int, price: int, had: int, gives: int
) -> None:
    found = change(left, paid=paid, price=price, had=had, gives=gives)
    assert found.charge + found.over == found.credit + found.pay
    assert min(found.pay, found.over, found.tokens, found.credit, found.charge) >= 0
    assert not (found.pay and found.over)
    assert found.credit <= paid and found.charge <= price


@ANY
@given(some_left(), amounts, amounts)
def test_the_same_plan_again_costs_nothing_and_gives_nothing(left: Remaining, price: int, tokens: int) -> None:
    found = change(left, paid=price, price=price, had=tokens, gives=tokens)
    assert (found.pay, found.over, found.tokens) == (0, 0, 0)


@ANY
@given(some_left(), amounts, amounts, amounts)
def test_a_dearer_plan_never_costs_less_than_a_cheaper_one(left: Remaining, paid: int, price: int, more: int) -> None:
    cheap, dear = (change(left, paid=paid, price=each, had=0, gives=0) for each in (price, price + more))
    assert dear.pay >= cheap.pay
    assert dear.over <= cheap.over


@ANY
@given(st.integers(1, 366 * 86_400), st.lists(st.integers(0, 366 * 86_400), max_size=6), amounts)
def test_any_number_of_changes_credits_at_most_what_was_paid(whole: int, ends: list[int], paid: int) -> None:
    """Going to and fro between two plans, each change crediting what the one before charged for the rest."""
    lefts = sorted((min(end, whole) for end in ends), reverse=True)
    spent, value = paid, paid
    for index, left in enumerate(lefts):
        found = change(Remaining(left, whole), paid=value, price=paid * (2 - index % 2), had=0, gives=0)
        spent += found.pay - found.over
        value = paid * (2 - index % 2)
        assert spent >= found.charge
    assert spent >= 0


def test_a_negative_amount_has_no_part() -> None:
    with pytest.raises(ValueError, match="negative"):
        Remaining(1, 2).of(-1)


@ANY
@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_shares_add_up_and_are_less_than_one_away_from_exact(amount: int, weights: list[int]) -> None:
    found = shares(amount, weights)
    assert sum(found) == amount
    whole = sum(weights)
    assert all(abs(share * whole - amount * weight) < whole for share, weight in zip(found, weights, strict=True))


def test_what_rounding_leaves_goes_to_those_that_lost_most_by_it() -> None:
    assert shares(100, [1, 1, 1]) == [34, 33, 33]
    assert shares(10, [15, 85]) == [2, 8]
    assert shares(0, [1, 2]) == [0, 0]


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, []), (1, [0, 0]), (1, [2, -1])])
def test_no_shares_of_nothing_or_by_nothing(amount: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="shares"):
        shares(amount, weights)
