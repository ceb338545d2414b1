"""The small rules under the book, each at its edges: no database here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneai.kit.clock import uuid7
from quotas import pockets, rates
from quotas.admission import rate_state
from quotas.cost import Price, affordable_completion, cost_nano, input_bound_nano
from quotas.pockets import DEBT, EXTRA, GrantState
from quotas.policy import NANO_USD, RATES, TOKENS, Terms, has_allowance, micros, of_member, team_of, terms_at
from quotas.refusals import exceeded, rate_exceeded, remaining, too_many_running
from tests.quotas.test_admission import ask

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def grant(amount: int, kind: str = EXTRA, scope: str = "*", **more: object) -> GrantState:
    given: dict[str, object] = {
        "id": uuid7(), "user_id": uuid7(), "source_key": "pay:1", "kind": kind, "parent_id": None, "scope": scope,
        "unit": TOKENS, "amount": amount, "consumed": 0, "held": 0, "refunded": 0, "priority": 0, "valid_from": AT,
        "valid_until": None, "created_at": AT,
    }  # fmt: skip
    return GrantState(**(given | more))  # type: ignore[arg-type]


@given(st.integers(0, 500), st.none() | st.integers(0, 300), st.lists(st.integers(0, 100), max_size=4))
def test_a_split_takes_the_plan_first_then_each_in_order(amount: int, room: int | None, lefts: list[int]) -> None:
    grants = [grant(left + 3, consumed=1, held=1, refunded=1) for left in lefts]
    own, parts = pockets.split(amount, room, grants)
    assert own + sum(part for _, part in parts) == amount
    if room is None or amount <= room:
        assert (own, parts) == (amount, [])
        return
    assert own == room + max(0, amount - room - sum(lefts))
    taken = {one.id: part for one, part in parts}
    assert all(part > 0 for part in taken.values())
    for before, after in pairwise(grants):
        assert taken.get(after.id, 0) == 0 or taken.get(before.id, 0) == before.left


@given(
    st.integers(0, 900),
    st.integers(0, 300),
    st.none() | st.integers(0, 500),
    st.lists(st.integers(1, 100), max_size=4),
)
def test_what_is_used_is_paid_by_the_plan_as_far_as_it_goes(
    actual: int, own: int, room: int | None, held: list[int]
) -> None:
    parts = [(grant(part), part) for part in held]
    paid, excess, burned = pockets.burned(actual, own, room, parts)
    assert [part for _, part, _ in burned] == held
    used = [one for _, _, one in burned]
    assert paid + sum(used) == actual
    assert excess == max(0, actual - own - sum(held))
    if room is None:
        assert sum(used) == 0
    else:
        assert paid - excess == min(actual - excess, max(own, room))
    for index in range(1, len(used)):
        assert used[index] == 0 or used[index - 1] == held[index - 1]


def test_debts_count_against_top_ups_of_the_same_limit_alone() -> None:
    grants = [grant(50, consumed=5, held=6, refunded=7), grant(40, DEBT, consumed=3, refunded=2), grant(9, scope="m")]
    assert pockets.extras(grants) == {("*", TOKENS): 32 - 35, ("m", TOKENS): 9}


def test_a_top_up_is_valid_from_its_beginning_to_before_its_end() -> None:
    second = timedelta(seconds=1)
    one = grant(1, valid_until=AT + 2 * second)
    assert [one.is_valid(AT + number * second) for number in (-1, 0, 1, 2)] == [False, True, True, False]
    assert pockets.usable([one, debt := grant(1, DEBT)], AT + 5 * second) == [debt]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**9), st.integers(1, 10**9))
def test_what_is_affordable_is_affordable_and_one_more_is_not(
    prompt: int, room: int, prompt_pico: int, completion_pico: int
) -> None:
    price = Price(None, prompt_pico, completion_pico, request_nano=3)
    most = affordable_completion(price, room, prompt)
    assert most is not None
    if most < 0:
        assert input_bound_nano(price, prompt) > room
        return
    assert cost_nano(price, prompt, most) <= room
    assert input_bound_nano(price, prompt) + -(-(most + 1) * completion_pico // 1000) > room


def test_each_line_of_a_price_is_rounded_up_and_cached_tokens_have_their_own() -> None:
    price = Price(None, 1, 1, request_nano=5, cached_pico=1)
    assert cost_nano(price, 2, 1, 1) == 1 + 1 + 1 + 5
    assert cost_nano(Price(None, 1000, 0), 7, 9, 3) == 7
    assert cost_nano(Price(None, 2000, 0, cached_pico=500), 10, 0, 4) == 12 + 2
    assert input_bound_nano(Price(None, 1000, 0, request_nano=2, cached_pico=3000), 10) == 30 + 1 + 2
    assert input_bound_nano(Price(None, 1000, 0, request_nano=2, cached_pico=0), 10) == 10 + 2
    assert affordable_completion(Price(None, 0, 0), 0, 5) is None
    assert Price(None, 0, 0, cached_pico=0).is_free
    assert not any(
        price.is_free for price in (Price(None, 1, 0), Price(None, 0, 1), Price(None, 0, 0, 1), Price(None, 0, 0, 0, 1))
    )
    with pytest.raises(ValueError, match="negative"):
        Price(None, 0, 0, cached_pico=-1)


def test_a_minute_ends_after_sixty_whole_seconds() -> None:
    window = [[100, 1, 10], [120, 2, 20]]
    assert [rates.totals(window, second) for second in (160, 161, 180, 181)] == [(3, 30), (2, 20), (2, 20), (0, 0)]
    assert (rates.pruned(window, 160), rates.pruned(window, 161)) == (window, [[120, 2, 20]])
    assert rates.wait_for(window, 150, 1, 2) == 11
    assert rates.wait_for(window, 150, 1, 1) == 31
    assert rates.wait_for(window, 150, 2, 29) == 11
    assert rates.wait_for(window, 150, 2, 30) == 1
    assert rates.wait_for(window, 150, 1, -1) == 61
    assert rates.wait_for([[90, 1, 1]], 150, 1, 0) == 1
    assert (rates.reset_in(window, 150, 1), rates.reset_in([[120, 0, 5]], 150, 1), rates.reset_in([], 150, 1)) == (
        31, 0, 0,
    )  # fmt: skip
    assert rates.add([[150, 1, 5]], 150, 2, 7) == [[150, 3, 12]]
    assert rates.add([[151, 1, 5]], 150, 0, 7) == [[150, 0, 7], [151, 1, 5]]
    assert rates.add([[80, 1, 5]], 150, 1, 7) == [[150, 1, 7]]
    assert rates.correct(window, 120, -25) == [[100, 1, 10], [120, 2, 0]]
    assert rates.second_of(AT + timedelta(milliseconds=999)) == rates.second_of(AT)


def test_a_refusal_says_what_is_left_of_which_quota_and_when_it_is_new() -> None:
    soon = AT + timedelta(seconds=90, microseconds=1)
    tokens = exceeded("*", TOKENS, 100, 90, 5, 7, 16, at=AT, reset_at=soon)
    assert (tokens.headers, tokens.retry_after) == ({"X-Quota-Remaining-Tokens": "12"}, 91)
    assert "tokens quota does" in tokens.message
    money = exceeded("m", NANO_USD, 100, 200, 5, -3, 16, at=AT, reset_at=AT)
    assert (money.headers, money.retry_after) == ({}, 1)
    assert "cost quota (m) does" in money.message
    assert (money.details or {})["limit"]["remaining"] == 0
    assert (money.details or {})["asked"] == 16
    assert remaining(None, 5, 5, 5) is None
    assert (remaining(10, 4, 3, 2), remaining(10, 40, 3, 2), remaining(10, 4, 3, -9)) == (5, 2, 0)


def test_a_rate_without_a_limit_has_nothing_to_wait_for() -> None:
    state = rate_state({}, Terms("free", {}, ("*",), None, None, None), ask(), AT)
    assert state == rates.RateState(None, None, 0, None, None, 0)


def test_requests_and_tokens_are_free_again_each_at_its_time() -> None:
    second = rates.second_of(AT)
    windows = {"*": [[second - 10, 1, 0], [second - 5, 0, 7]]}
    state = rate_state(windows, Terms("free", {}, ("*",), 20, 1000, None), ask(), AT)
    assert state == rates.RateState(20, 19, 51, 1000, 993, 56)


def test_times_are_kept_as_microseconds_since_1970() -> None:
    assert micros(datetime(1970, 1, 1, 0, 0, 1, 7, tzinfo=UTC)) == 1_000_007


def test_a_plan_holds_from_its_first_microsecond_to_before_its_last() -> None:
    second = timedelta(seconds=1)
    plan = {"plan": "plus", "limits": [], "patterns": ["*"], **dict.fromkeys(RATES)}
    given = {"starts": micros(AT), "until": micros(AT + second)}
    policy = {"allowances": [plan | given], "overrides": []}
    moments = [AT - second, AT, AT + second / 2, AT + second]
    assert [terms_at(policy, None, at).plan for at in moments] == ["none", "plus", "plus", "none"]
    assert [has_allowance(policy, at) for at in moments] == [False, True, True, False]
    lasting = {"allowances": [plan | given | {"until": None}], "overrides": []}
    assert terms_at(lasting, None, AT + timedelta(days=999)).plan == "plus"


def test_without_a_plan_there_is_nothing_of_anything() -> None:
    nothing = terms_at(None, None, AT)
    assert nothing.limits == {("*", TOKENS): 0, ("*", NANO_USD): 0}
    assert (nothing.requests_per_minute, nothing.tokens_per_minute, nothing.concurrent_generations) == (0, 0, 0)
    assert not has_allowance(None, AT)


def test_a_member_s_caps_are_those_on_the_team_that_pays() -> None:
    team, other = uuid7(), uuid7()
    policy = {"team": {"id": str(team), TOKENS: 5, NANO_USD: None}}
    assert (team_of(policy), team_of({}), team_of(None)) == (team, None, None)
    terms = terms_at(None, None, AT)
    assert of_member(terms, team, policy).caps == ((TOKENS, 5), (NANO_USD, None))
    assert of_member(terms, other, policy).caps == of_member(terms, team, None).caps == ()
    assert of_member(terms, other, policy).team == f"team:{other}"


def test_a_refusal_says_to_a_member_whose_quota_it_is() -> None:
    said = {"at": AT, "reset_at": AT, "team": "team:1"}
    shared = exceeded("*", TOKENS, 9, 9, 0, 0, 16, **said)  # type: ignore[arg-type]
    assert "quota of your team does" in shared.message
    own = exceeded("team:1", TOKENS, 9, 9, 0, 0, 16, **said)  # type: ignore[arg-type]
    assert "quota that your team gives you does" in own.message
    key = exceeded("key:1", TOKENS, 9, 9, 0, 0, 16, **said)  # type: ignore[arg-type]
    assert "quota (key:1) does" in key.message
    limits = [(each.details or {})["limit"] for each in (shared, own, key)]
    assert [(each["scope"], each.get("shared")) for each in limits] == [
        ("team:1", True), ("team:1", False), ("key:1", None),
    ]  # fmt: skip


def test_a_rate_s_refusal_has_the_headers_of_that_rate() -> None:
    requests = rate_exceeded("*", "requests_per_minute", 20, 0, 7)
    assert requests.headers == {
        "X-RateLimit-Limit-Requests": "20", "X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "7s",
    }  # fmt: skip
    assert (requests.retry_after, (requests.details or {})["asked"]) == (7, 1)
    assert "20 requests a minute" in requests.message
    tokens = rate_exceeded("*", "tokens_per_minute", 1000, 5, 7, 50)
    assert set(tokens.headers) == {f"X-RateLimit-{name}-Tokens" for name in ("Limit", "Remaining", "Reset")}
    assert "1,000 tokens a minute" in tokens.message
    running = too_many_running(4, 4)
    assert (running.retry_after, (running.details or {})["asked"]) == (2, 1)


def test_a_price_of_one_pico_is_a_price_and_an_input_that_takes_all_leaves_none() -> None:
    assert affordable_completion(Price(None, 0, 1), 1, 0) == 1000
    assert affordable_completion(Price(None, 1000, 1), 5, 5) == 0
    assert affordable_completion(Price(None, 1000, 0), 5, 5) is None
    assert cost_nano(Price(None, 2000, 0, cached_pico=0), 10, 0, 4) == 12
    assert cost_nano(Price(None, 2000, 0, cached_pico=500), 10, 0) == 20


def test_a_correction_goes_to_the_plan_as_far_as_it_has_room_and_comes_back_from_the_last_top_up_first() -> None:
    roomy, narrow = grant(1000, consumed=100), grant(300, consumed=100)
    assert pockets.recharged(400, 1000, 300, 50, [(roomy, 400, 100)]) == (350, 300, [(roomy, 250)])
    assert pockets.recharged(400, 1000, 300, 50, [(narrow, 400, 100)]) == (400, 300, [(narrow, 200)])
    parts = [(roomy, 300, 300), (narrow, 200, 200)]
    assert pockets.recharged(900, 100, 400, 0, parts) == (-300, 0, [(narrow, -200), (roomy, -300)])
    assert pockets.recharged(900, 850, 400, 0, parts) == (0, 0, [(narrow, -50), (roomy, 0)])
