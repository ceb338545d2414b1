"""The decision itself, driven with made-up states: no database here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from quotas import rates
from quotas.admission import AccountState, Ask, CounterState, Decision, KeyLimits, decide, rate_state
from quotas.cost import Price, cost_nano
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS, LimitKey, Terms, matches

AT = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RESET = AT + timedelta(days=9)
ACCOUNT = uuid7()
KEY = uuid7()
Rates = tuple[int | None, int | None, int | None]
UNLIMITED_RATES: Rates = (None, None, None)

amounts = st.integers(0, 10**12)
limits = st.none() | amounts
prices = st.builds(
    Price,
    st.none(),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
)
states = st.builds(CounterState, amounts, amounts, st.just(0) | st.integers(-(10**6), 10**12))
scopes = st.sampled_from([PLAN_WIDE, "maker/model", "class:large", f"key:{KEY}", "other/model"])
keys = st.tuples(scopes, st.sampled_from([TOKENS, NANO_USD]))


def ask(**more: object) -> Ask:
    given: dict[str, object] = {
        "account_id": ACCOUNT,
        "reference": "generation:1",
        "model_id": "maker/model",
        "input_bound": 100,
        "wanted_tokens": None,
        "default_tokens": 1000,
        "price": Price(None, 150_000, 600_000),
    }
    return Ask(**(given | more))  # type: ignore[arg-type]


asks = st.builds(
    ask,
    input_bound=st.integers(0, 10**6),
    wanted_tokens=st.none() | st.integers(1, 10**6),
    default_tokens=st.integers(1, 10**6),
    price=prices,
    api_key=st.none() | st.builds(KeyLimits, st.just(KEY), limits, limits),
    model_classes=st.sampled_from([(), ("large",)]),
    fees_nano=st.just(0) | st.integers(0, 10**6),
)


def terms(given_limits: dict[LimitKey, int | None], rates_: Rates = UNLIMITED_RATES) -> Terms:
    return Terms("free", {(PLAN_WIDE, TOKENS): None, (PLAN_WIDE, NANO_USD): None} | given_limits, ("*",), *rates_)


def bound_limits(one: Ask, allowed: Terms) -> dict[LimitKey, int]:
    """Every limit that applies to the call, read off the rules and not off the code."""
    found = {
        key: limit
        for key, limit in allowed.limits.items()
        if limit is not None and (key[0] in (PLAN_WIDE, one.model_id) or key[0][6:] in one.model_classes)
    }
    if one.api_key:
        for unit, limit in ((TOKENS, one.api_key.limit_tokens), (NANO_USD, one.api_key.limit_nano_usd)):
            if limit is not None:
                found[one.api_key.scope, unit] = limit
    return found


def covers(one: Ask, completion: int, limit: int, unit: str, state: CounterState) -> bool:
    """Whether what remains of a limit covers the worst outcome of the call."""
    if unit == TOKENS:
        return one.input_bound + completion <= left(limit, state)
    if one.is_free:
        return True
    every_cached = [0, one.input_bound, one.input_bound // 2]
    worst = max(cost_nano(one.price, one.input_bound, completion, cached) for cached in every_cached)
    return worst + one.fees_nano <= left(limit, state)


def left(limit: int, state: CounterState) -> int:
    """What is left of a limit, and what top-ups add to it less what is owed."""
    return max(0, limit - state.used - state.held) + state.extra


def outcome(one: Ask, allowed: Terms, counters: dict[LimitKey, CounterState]) -> tuple[Decision | None, Refusal | None]:
    try:
        return decide(AccountState(), counters, allowed, one, AT, RESET), None
    except Refusal as refusal:
        return None, refusal


@settings(max_examples=400, deadline=None)
@given(asks, st.dictionaries(keys, limits, max_size=6), st.dictionaries(keys, states, max_size=8))
def test_an_admission_fits_every_limit_and_a_refusal_names_one_that_it_does_not_fit(
    one: Ask, given_limits: dict[LimitKey, int | None], counters: dict[LimitKey, CounterState]
) -> None:
    allowed = terms({key: limit for key, limit in given_limits.items() if not key[0].startswith("key:")})
    binding = bound_limits(one, allowed)
    decision, refusal = outcome(one, allowed, counters)
    if refusal is not None:
        assert refusal.code == "quota_exceeded"
        named = (refusal.details or {})["limit"]
        key = (named["scope"], named["unit"])
        state = counters.get(key, CounterState())
        assert binding[key] == named["limit"]
        assert (named["used"], named["held"]) == (state.used, state.held)
        # Two nano are what rounding three lines up may cost more than what remains shows.
        slack = binding[key] - (2 if key[1] == NANO_USD else 0)
        if state.plan_room(binding[key]) < 2:  # then they are missing of the top-ups
            state = CounterState(0, 0, left(binding[key], state) - slack)
        assert not covers(one, min(16, one.cap), slack, key[1], state)
        return
    assert decision is not None
    assert min(16, one.cap) <= decision.max_tokens <= one.cap
    assert decision.tokens == one.input_bound + decision.max_tokens
    for (scope, unit), limit in binding.items():
        assert covers(one, decision.max_tokens, limit, unit, counters.get((scope, unit), CounterState()))
    for line in decision.lines:
        assert line.amount == (decision.tokens if line.unit == TOKENS else decision.nano_usd)
        state = counters.get((line.scope, line.unit), CounterState())
        if line.limit is not None and line.amount:
            assert line.amount <= left(line.limit, state)
            after = state.with_held(line.amount, line.limit)
            assert after.held <= max(state.held, line.limit - state.used)
            assert left(line.limit, after) == left(line.limit, state) - line.amount
    assert {(line.scope, line.unit) for line in decision.lines} >= set(binding)
    assert len({(line.scope, line.unit) for line in decision.lines}) == len(decision.lines)


@settings(max_examples=200, deadline=None)
@given(asks, st.integers(0, 10**6), st.integers(0, 10**6))
def test_whoever_has_room_for_the_input_and_sixteen_is_not_refused(one: Ask, used: int, spare: int) -> None:
    limit = used + one.input_bound + min(16, one.cap) + spare
    allowed = terms({(PLAN_WIDE, TOKENS): limit})
    plain = ask(input_bound=one.input_bound, wanted_tokens=one.wanted_tokens, default_tokens=one.default_tokens)
    counters = {(PLAN_WIDE, TOKENS): CounterState(used, 0)}
    decision = decide(AccountState(), counters, allowed, plain, AT, RESET)
    assert decision.max_tokens == min(plain.cap, min(16, plain.cap) + spare)


@settings(max_examples=200, deadline=None)
@given(prices, st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_no_outcome_within_the_bounds_costs_more_than_is_held(
    price: Price, prompt: int, completion: int, data: st.DataObject
) -> None:
    one = ask(price=price, input_bound=prompt, wanted_tokens=max(1, completion))
    decision = decide(AccountState(), {}, terms({}), one, AT, RESET)
    used_prompt = data.draw(st.integers(0, prompt))
    cached = data.draw(st.integers(0, used_prompt))
    used_completion = data.draw(st.integers(0, decision.max_tokens))
    assert cost_nano(price, used_prompt, used_completion, cached) <= decision.nano_usd


def refused(account: AccountState, allowed: Terms, one: Ask | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decide(account, {}, allowed, one or ask(), AT, RESET)
    return caught.value


def window(*entries: tuple[int, int, int]) -> dict[str, list[list[int]]]:
    """Entries as (seconds ago, requests, tokens), oldest first."""
    second = rates.second_of(AT)
    return {PLAN_WIDE: [[second - ago, requests, tokens] for ago, requests, tokens in entries]}


def test_a_request_beyond_the_rate_waits_until_the_oldest_is_a_minute_old() -> None:
    refusal = refused(AccountState(0, window((50, 1, 10), (5, 2, 10))), terms({}, (3, None, None)))
    assert (refusal.code, refusal.retry_after) == ("rate_limited", 11)
    assert (refusal.details or {})["rate"]["name"] == "requests_per_minute"
    admitted = decide(
        AccountState(0, window((61, 1, 10), (5, 2, 10))), {}, terms({}, (3, None, None)), ask(), AT, RESET
    )
    assert admitted.max_tokens == 1000


def test_another_generation_of_the_same_turn_is_no_request() -> None:
    full = AccountState(0, window((5, 3, 10)))
    assert decide(full, {}, terms({}, (3, None, None)), ask(counts_as_request=False), AT, RESET).max_tokens == 1000


def test_the_tokens_of_a_minute_clamp_and_then_refuse() -> None:
    allowed = terms({}, (None, 1000, None))
    assert decide(AccountState(0, window((5, 1, 700))), {}, allowed, ask(), AT, RESET).max_tokens == 200
    refusal = refused(AccountState(0, window((20, 1, 200), (5, 1, 700))), allowed)
    assert (refusal.code, refusal.retry_after) == ("rate_limited", 41)
    assert (refusal.details or {})["rate"] == {
        "scope": "*",
        "name": "tokens_per_minute",
        "limit": 1000,
        "remaining": 100,
        "reset_seconds": 41,
    }


def test_a_call_alone_in_its_minute_is_not_cut_by_the_tokens_rate() -> None:
    decision = decide(AccountState(), {}, terms({}, (None, 1000, None)), ask(input_bound=5000), AT, RESET)
    assert decision.tokens == 6000


def test_rates_of_nothing_refuse_everything() -> None:
    assert refused(AccountState(), terms({}, (0, None, None))).code == "rate_limited"
    assert refused(AccountState(), terms({}, (None, 0, None))).code == "rate_limited"
    assert refused(AccountState(), terms({}, (None, None, 0))).code == "too_many_generations"


def test_the_answers_that_run_are_counted_before_the_quota_is_looked_at() -> None:
    refusal = refused(AccountState(4), terms({(PLAN_WIDE, TOKENS): 0}, (None, None, 4)))
    assert refusal.code == "too_many_generations"
    assert refusal.retry_after


def test_a_key_has_rates_of_its_own() -> None:
    key = KeyLimits(KEY, requests_per_minute=1)
    windows = {key.scope: [[rates.second_of(AT) - 3, 1, 0]]}
    refusal = refused(AccountState(0, windows), terms({}, (20, None, None)), ask(api_key=key))
    assert (refusal.details or {})["rate"]["scope"] == key.scope
    assert decide(AccountState(0, windows), {}, terms({}, (20, None, None)), ask(), AT, RESET).max_tokens == 1000


def test_a_model_outside_the_patterns_is_refused_before_its_price_is_looked_at() -> None:
    narrow = Terms("free", {(PLAN_WIDE, TOKENS): 0}, ("openai/*", "maker/mod"), None, None, None)
    assert refused(AccountState(), narrow).code == "model_not_allowed"
    assert refused(AccountState(), narrow, ask(model_id="openai/x")).code == "quota_exceeded"


@pytest.mark.parametrize(
    ("pattern", "model", "covered"),
    [
        ("*", "a/b", True),
        ("openai/*", "openai/gpt", True),
        ("openai/*", "xopenai/gpt", False),
        ("*:free", "a/b:free", True),
        ("*:free", "a/b:freed", False),
        ("a.b", "axb", False),
        ("a[1]", "a1", False),
        ("a/*-mini*", "a/gpt-mini-2", True),
    ],
)
def test_patterns_cover_by_stars_alone(pattern: str, model: str, covered: bool) -> None:
    assert matches([pattern], model) is covered


def test_of_two_windows_the_tightest_is_shown() -> None:
    key = KeyLimits(KEY, requests_per_minute=5)
    second = rates.second_of(AT)
    windows = {PLAN_WIDE: [[second, 1, 100]], key.scope: [[second, 4, 100]]}
    shown = rate_state(windows, terms({}, (20, 1000, None)), ask(api_key=key), AT)
    assert (shown.limit_requests, shown.remaining_requests, shown.reset_requests) == (5, 1, 61)
    assert (shown.limit_tokens, shown.remaining_tokens) == (1000, 900)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 6))
def test_no_minute_ever_holds_more_requests_than_the_limit(gaps: list[int], limit: int) -> None:
    """Gaps in tenths of a second; afterwards every window of 60 s is looked at."""
    at, made = AT, []
    windows: dict[str, list[list[int]]] = {}
    allowed = terms({}, (limit, None, None))
    for gap in gaps:
        at += timedelta(milliseconds=100 * gap)
        try:
            decision: Decision = decide(AccountState(0, windows), {}, allowed, ask(), at, RESET)
        except Refusal as refusal:
            again = at + timedelta(seconds=refusal.retry_after or 0)
            decide(AccountState(0, windows), {}, allowed, ask(), again, RESET)
            continue
        windows[PLAN_WIDE] = rates.add(windows.get(PLAN_WIDE, []), rates.second_of(at), 1, decision.tokens)
        made.append(at)
    for start in made:
        assert sum(start <= each < start + timedelta(seconds=60) for each in made) <= limit


def test_a_corrected_window_counts_what_was_used() -> None:
    second = rates.second_of(AT)
    corrected = rates.correct([[second - 1, 1, 500], [second, 1, 900]], second - 1, -450)
    assert rates.totals(corrected, second) == (2, 950)


def test_of_limits_that_are_equally_short_the_plan_s_is_named() -> None:
    refusal = refused(AccountState(), terms({(PLAN_WIDE, TOKENS): 110, ("maker/model", TOKENS): 110}))
    assert (refusal.details or {})["limit"]["scope"] == PLAN_WIDE


def test_what_remains_is_the_least_of_what_the_limits_leave() -> None:
    allowed = terms({(PLAN_WIDE, TOKENS): 9000, ("maker/model", TOKENS): 1300, (PLAN_WIDE, NANO_USD): 10**9})
    assert decide(AccountState(), {}, allowed, ask(), AT, RESET).remaining_tokens == 200
    owed = {(PLAN_WIDE, TOKENS): CounterState(0, 0, 1500)}
    assert decide(AccountState(), owed, terms({(PLAN_WIDE, TOKENS): 0}), ask(), AT, RESET).remaining_tokens == 400


def test_a_learnt_bound_of_nothing_is_one() -> None:
    allowed = terms({(PLAN_WIDE, TOKENS): 50})
    assert decide(AccountState(), {}, allowed, ask(learnt_bound=0), AT, RESET).max_tokens == 50
    assert refused(AccountState(), allowed, ask(learnt_bound=100)).code == "quota_exceeded"
    with pytest.raises(ValueError, match="negative"):
        decide(AccountState(), {}, allowed, ask(input_bound=-1), AT, RESET)


def test_of_equal_rates_the_account_s_is_shown_and_never_less_than_nothing_is_left() -> None:
    key = KeyLimits(KEY, requests_per_minute=5, tokens_per_minute=500)
    second = rates.second_of(AT)
    windows = {PLAN_WIDE: [[second, 16, 600]], key.scope: [[second - 1, 1, 100]]}
    shown = rate_state(windows, terms({}, (20, 1000, None)), ask(api_key=key), AT)
    assert shown == rates.RateState(20, 4, 61, 1000, 400, 61)
    over = rate_state(windows, terms({}, (15, 599, None)), ask(), AT)
    assert (over.remaining_requests, over.remaining_tokens) == (0, 0)


def test_a_key_may_have_a_rate_in_tokens_alone() -> None:
    key = KeyLimits(KEY, tokens_per_minute=200)
    windows = {key.scope: [[rates.second_of(AT) - 3, 1, 150]]}
    refusal = refused(AccountState(0, windows), terms({}), ask(api_key=key))
    assert (refusal.details or {})["rate"]["scope"] == key.scope


def test_whoever_asks_more_than_a_minute_has_waits_until_the_minute_is_empty() -> None:
    full = AccountState(0, window((30, 1, 700), (5, 1, 1)))
    refusal = refused(full, terms({}, (None, 100, None)), ask(input_bound=5000))
    assert (refusal.retry_after, (refusal.details or {})["rate"]["remaining"]) == (56, 0)
    assert (refusal.details or {})["asked"] == 5016
    assert decide(AccountState(), {}, terms({}, (None, 1, None)), ask(), AT, RESET).max_tokens == 1000
    many = refused(AccountState(0, window((5, 3, 10))), terms({}, (3, None, None)))
    assert ((many.details or {})["rate"]["remaining"], (many.details or {})["asked"]) == (0, 1)
