"""Time and money: period edges without drift, ids in order, amounts never rounded away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneai.kit import money
from oneai.kit.clock import add_months, period_edges, uuid7

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_periods_keep_the_day_of_the_anchor_where_the_month_has_it() -> None:
    anchor = datetime(2026, 1, 31, 10, tzinfo=UTC)
    starts = [add_months(anchor, month).strftime("%m-%d") for month in range(5)]
    assert starts == ["01-31", "02-28", "03-31", "04-30", "05-31"]
    assert add_months(datetime(2027, 8, 29, tzinfo=UTC), 6).strftime("%Y-%m-%d") == "2028-02-29"


@given(MOMENTS, MOMENTS)
def test_every_moment_lies_in_exactly_one_period(anchor: datetime, at: datetime) -> None:
    start, end = period_edges(anchor, at)
    assert start <= at < end
    assert timedelta(days=28) <= end - start <= timedelta(days=31)
    assert period_edges(anchor, end)[0] == end
    assert period_edges(anchor, start) == (start, end)


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [uuid7() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert {identity.version for identity in made} == {7}


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "-0.0000001", "", "free", "1e400000"])
def test_a_price_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        money.pico_from_price(value)


def test_prices_are_read_exactly() -> None:
    assert money.pico_from_price("0.00000015") == 150_000
    assert money.pico_from_price("1.5e-7") == 150_000
    assert money.pico_from_price("0.0000000000005") == 1
    assert money.nano_from_usd(0.0000415) == 41_500
    assert money.per_million_string(150_000) == "0.15"


@given(st.integers(0, 10**15))
def test_amounts_survive_being_written_and_read(nano: int) -> None:
    assert money.nano_from_usd(Decimal(money.usd_string(nano))) == nano
    assert money.nano_from_pico(nano) * 1000 >= nano
