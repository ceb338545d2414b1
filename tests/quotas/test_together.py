"""Several calls admitted together: all or none, shared evenly, and never refused while their least fits."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneai.kit.errors import Refusal
from quotas.admission import FLOOR, AccountState, Ask, CounterState
from quotas.cost import Price
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS, Terms
from quotas.together import decide_all

AT = datetime(2026, 5, 1, tzinfo=UTC)
WHO = uuid4()
ONE = st.tuples(st.integers(0, 300), st.none() | st.integers(1, 200), st.integers(0, 5000))


def asks(wishes: list[tuple[int, int | None, int]]) -> list[Ask]:
    return [
        Ask(
            account_id=WHO,
            reference=f"r{number}",
            model_id=f"m{number}",
            input_bound=bound,
            wanted_tokens=wanted,
            default_tokens=400,
            price=Price(None, price, price),
            counts_as_request=number == 0,
        )
        for number, (bound, wanted, price) in enumerate(wishes)
    ]


def terms(tokens: int | None, nano: int | None, **rates: int | None) -> Terms:
    limits = {(PLAN_WIDE, TOKENS): tokens, (PLAN_WIDE, NANO_USD): nano, ("m1", TOKENS): 500}
    known = {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_generations": None} | rates
    return Terms("test", limits, ("*",), *known.values())


@given(st.lists(ONE, min_size=1, max_size=4), st.integers(0, 3000), st.none() | st.integers(0, 4000))
def test_what_is_held_together_fits_and_nothing_that_fits_is_refused(
    wishes: list[tuple[int, int | None, int]], left: int, nano: int | None
) -> None:
    wanted = asks(wishes)
    in_force = terms(left + 100, nano)
    counters = {(PLAN_WIDE, TOKENS): CounterState(60, 40)}
    try:
        found = decide_all(AccountState(), counters, in_force, wanted, AT, AT)
    except Refusal:
        found = None
    least = sum(ask.input_bound + ask.least for ask in wanted)
    own = len(wanted) < 2 or wanted[1].input_bound + wanted[1].least <= 500
    if nano is None:
        assert (found is not None) == (least <= left and own)
    if found is None:
        return
    assert sum(decision.tokens for decision in found) <= left
    assert nano is None or sum(decision.nano_usd for decision in found) <= nano
    for ask, decision in zip(wanted, found, strict=True):
        assert ask.least <= decision.max_tokens <= ask.cap
        assert decision.tokens == ask.input_bound + decision.max_tokens


def test_a_tight_limit_is_shared_out_evenly_and_one_s_own_limit_cuts_only_that_one() -> None:
    shared = decide_all(AccountState(), {}, terms(300, None), asks([(50, None, 0), (50, None, 0)]), AT, AT)
    assert [decision.max_tokens for decision in shared] == [100, 100]
    counters = {("m1", TOKENS): CounterState(400, 0)}
    own = decide_all(AccountState(), counters, terms(None, None), asks([(50, None, 0), (50, None, 0)]), AT, AT)
    assert [decision.max_tokens for decision in own] == [400, 50]
    small = decide_all(AccountState(), {}, terms(300, None), asks([(50, 20, 0), (50, None, 0)]), AT, AT)
    assert [decision.max_tokens for decision in small] == [20, 180]


def test_each_counts_as_running_and_all_as_one_request() -> None:
    three = asks([(1, 20, 0)] * 3)
    with pytest.raises(Refusal, match="too_many_generations"):
        decide_all(AccountState(in_flight=1), {}, terms(None, None, concurrent_generations=3), three, AT, AT)
    assert len(decide_all(AccountState(), {}, terms(None, None, concurrent_generations=3), three, AT, AT)) == 3
    assert len(decide_all(AccountState(), {}, terms(None, None, requests_per_minute=1), three, AT, AT)) == 3


def test_a_turn_alone_in_its_minute_is_not_cut_by_the_tokens_rate() -> None:
    pair = asks([(300, 100, 0)] * 2)
    slow = terms(None, None, tokens_per_minute=350)
    assert [decision.max_tokens for decision in decide_all(AccountState(), {}, slow, pair, AT, AT)] == [100, 100]
    busy = AccountState(windows={PLAN_WIDE: [[int(AT.timestamp()), 1, 10]]})
    with pytest.raises(Refusal, match="rate_limited"):
        decide_all(busy, {}, slow, pair, AT, AT)
    roomy = terms(None, None, tokens_per_minute=10 + 2 * (300 + FLOOR) + 8)
    assert [decision.max_tokens for decision in decide_all(busy, {}, roomy, pair, AT, AT)] == [FLOOR + 4] * 2
