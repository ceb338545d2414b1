"""Prices become integers that bound a call, or are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.pricing import BadPrice, PriceList, read


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("0.00000015", "0.0000006", (150_000, 600_000)),
        ("1.5e-7", "6E-7", (150_000, 600_000)),
        (5e-7, 1e-6, (500_000, 1_000_000)),
        ("0", 0, (0, 0)),
        ("-0", "0.0", (0, 0)),
        ("0.0000000000001", "1e-300", (1, 1)),  # rounded up: what costs something is never free
        (" 0.000001 ", ".000001", (1_000_000, 1_000_000)),
        ("1", "1", (10**12, 10**12)),
    ],
)
def test_prices_in_every_spelling_become_pico_dollars(prompt: Any, completion: Any, expected: tuple[int, int]) -> None:
    price = read({"prompt": prompt, "completion": completion})
    assert (price.prompt_pico_usd, price.completion_pico_usd) == expected


@pytest.mark.parametrize(
    "pricing",
    [
        None,
        [],
        "0",
        {},
        {"prompt": "0.1"},
        {"completion": "0.1"},
        {"prompt": None, "completion": "0"},
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "0", "completion": "-0.000001"},
        {"prompt": "NaN", "completion": "0"},
        {"prompt": "0", "completion": "Infinity"},
        {"prompt": float("nan"), "completion": 0},
        {"prompt": "cheap", "completion": ""},
        {"prompt": True, "completion": 0},
        {"prompt": {}, "completion": 0},
        {"prompt": "1_0e-6", "completion": 0},
        {"prompt": "٠", "completion": 0},
        {"prompt": "2", "completion": 0},
        {"prompt": "1e999", "completion": 0},
        {"prompt": "0", "completion": "0", "request": "-1"},
        {"prompt": "0", "completion": "0", "request": "101"},
        {"prompt": "0", "completion": "0", "image": "nan"},
        {"prompt": "0", "completion": "0", "input_cache_read": "-1"},
        {"prompt": "0", "completion": "0", "overrides": {}},
        {"prompt": "0", "completion": "0", "overrides": [1]},
        {"prompt": "0", "completion": "0", "overrides": [{"prompt": "-1"}]},
    ],
)
def test_a_price_that_cannot_be_trusted_is_refused(pricing: Any) -> None:
    with pytest.raises(BadPrice):
        read(pricing)


def test_prices_of_calls_images_and_cached_input_are_kept() -> None:
    price = read(
        {
            "prompt": "0.000001",
            "completion": "0.000002",
            "request": "0.0001",
            "image": "3e-4",
            "input_cache_read": "1e-7",
        }
    )
    assert price == PriceList(1_000_000, 2_000_000, 100_000, 100_000, 300_000)


def test_the_highest_of_all_overrides_is_the_bound() -> None:
    long_prompts = {"min_prompt_tokens": 1000, "prompt": "0.000004", "completion": "0.000003"}
    by_night = {"utc_start": "16:30", "utc_end": "00:30", "prompt": "0.0000005", "completion": "0.000009"}
    price = read({"prompt": "0.000001", "completion": "0.000002", "overrides": [long_prompts, by_night]})
    assert (price.prompt_pico_usd, price.completion_pico_usd) == (4_000_000, 9_000_000)


def test_dear_reasoning_is_the_bound_of_the_completion() -> None:
    price = read({"prompt": "0", "completion": "0.000002", "internal_reasoning": "0.000005"})
    assert price.completion_pico_usd == 5_000_000


@given(st.decimals(min_value=0, max_value=1, allow_nan=False, places=18))
def test_a_bound_is_never_below_the_price_and_never_a_pico_above(price: Decimal) -> None:
    bound = read({"prompt": str(price), "completion": "0"}).prompt_pico_usd
    assert 0 <= bound - price * 10**12 < 1


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=4))
def test_nonsense_is_refused_or_not_negative(value: Any) -> None:
    try:
        assert read({"prompt": value, "completion": "0"}).prompt_pico_usd >= 0
    except BadPrice:
        pass
