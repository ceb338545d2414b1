"""Whether a call may be made, and how much may be held for it: a pure function over what was read.

No database, no clock and no settings here, so that every rule can be driven with made-up states.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from oneai.kit.errors import Refusal
from oneai.kit.money import nano_from_pico
from quotas import rates
from quotas.cost import Price, affordable_completion, input_bound_nano
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS, LimitKey, Terms, matches
from quotas.rates import RateState, Window
from quotas.refusals import exceeded, rate_exceeded, too_many_running

FLOOR: Final = 16
"""Completion tokens below which an answer isn't worth starting, unless fewer were asked for."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """An API key's own limits, per period and per minute; None: only the account's."""

    id: UUID
    limit_tokens: int | None = None
    limit_nano_usd: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def scope(self) -> str:
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish to call a model. ``input_bound`` is a true upper bound of the prompt in tokens.

    ``learnt_bound`` is what the model's calls so far make of it, for where the true one would refuse the
    call or cut the answer short, and None unless the owner trusts it: only with it can a limit be overrun.
    ``learns`` says that the prompt is of text alone, and something can be learnt from it. ``wanted_tokens``
    is the completion that was asked for; without it ``default_tokens`` is the most that is held.
    ``fees_nano`` is what pictures and the like cost by number, at most, beside their tokens.
    ``counts_as_request`` is False for the second and later generations of one turn.
    """

    account_id: UUID
    reference: str
    model_id: str
    input_bound: int
    wanted_tokens: int | None
    default_tokens: int
    price: Price
    api_key: KeyLimits | None = None
    model_classes: tuple[str, ...] = ()
    learnt_bound: int | None = None
    learns: bool = False
    worker: str = ""
    counts_as_request: bool = True
    fees_nano: int = 0

    @property
    def is_free(self) -> bool:
        """Whether the call can't cost anything."""
        return self.price.is_free and not self.fees_nano

    @property
    def cap(self) -> int:
        """The most completion tokens to hold for."""
        return max(1, self.default_tokens if self.wanted_tokens is None else self.wanted_tokens)

    @property
    def least(self) -> int:
        """The fewest completion tokens worth a call."""
        return min(FLOOR, self.cap)


@dataclass(frozen=True, slots=True)
class CounterState:
    """What a counter says before the decision. ``extra`` is what top-ups add to its limit, less what is owed."""

    used: int = 0
    held: int = 0
    extra: int = 0

    def plan_room(self, limit: int) -> int:
        """What is left of ``limit`` itself."""
        return max(0, limit - self.used - self.held)

    def room(self, limit: int) -> int:
        """What may still be held; below 0 when more is owed than there is."""
        return self.plan_room(limit) + self.extra

    def with_held(self, amount: int, limit: int | None) -> CounterState:
        """As it is once ``amount`` is held: of the limit first, then of the top-ups."""
        own = amount if limit is None else min(amount, self.plan_room(limit))
        return CounterState(self.used, self.held + own, self.extra - (amount - own))


UNTOUCHED: Final = CounterState()


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the account's row says before the decision."""

    in_flight: int = 0
    windows: Mapping[str, Window] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """What is held of one counter; ``limit`` is its limit now (None: unlimited)."""

    scope: str
    unit: str
    limit: int | None
    amount: int


@dataclass(frozen=True, slots=True)
class Decision:
    """An admission: the clamped completion, what is held in all, and where."""

    max_tokens: int
    tokens: int
    nano_usd: int
    lines: tuple[Line, ...]
    remaining_tokens: int | None


def applicable(terms: Terms, ask: Ask, counted: Collection[LimitKey] = ()) -> Iterator[tuple[str, str, int | None]]:
    """(scope, unit, limit) of every counter that the call moves, plan-wide ones first.

    A counter that is ``counted`` already goes on without its limit, which may have ended by itself: one that
    is set again later must not have missed what was used meanwhile.
    """
    limits = terms.limits
    yield PLAN_WIDE, TOKENS, limits.get((PLAN_WIDE, TOKENS))
    yield PLAN_WIDE, NANO_USD, limits.get((PLAN_WIDE, NANO_USD))
    scopes = {ask.model_id, *(f"class:{name}" for name in ask.model_classes)}
    for scope, unit in sorted(key for key in {*limits, *counted} if key[0] in scopes):
        yield scope, unit, limits.get((scope, unit))
    for unit, cap in terms.caps:
        if cap is not None or (terms.team, unit) in counted:
            yield terms.team, unit, cap
    key = ask.api_key
    if key is not None:
        for unit, own in ((TOKENS, key.limit_tokens), (NANO_USD, key.limit_nano_usd)):
            if own is not None or (key.scope, unit) in counted:
                yield key.scope, unit, own


def rate_scopes(terms: Terms, ask: Ask) -> list[tuple[str, int | None, int | None]]:
    """(window, requests a minute, tokens a minute) of the windows with a limit."""
    found: list[tuple[str, int | None, int | None]] = []
    if terms.requests_per_minute is not None or terms.tokens_per_minute is not None:
        found.append((PLAN_WIDE, terms.requests_per_minute, terms.tokens_per_minute))
    key = ask.api_key
    if key is not None and (key.requests_per_minute is not None or key.tokens_per_minute is not None):
        found.append((key.scope, key.requests_per_minute, key.tokens_per_minute))
    return found


def decide(
    account: AccountState,
    counters: Mapping[LimitKey, CounterState],
    terms: Terms,
    ask: Ask,
    at: datetime,
    reset_at: datetime,
) -> Decision:
    """Admit ``ask`` with the most completion tokens that everything affords, or raise the Refusal.

    ``counters`` are the account's of the period around ``at``, which ends at ``reset_at``; a missing
    one is untouched. The order is: rates, running generations, allowed models, limits. Whoever has
    room for the input and ``ask.least`` completion tokens everywhere is not refused. Where the true bound of
    the input would refuse the call or cut the answer short, the learnt one decides, if there is one.
    """
    if ask.input_bound < 0:
        raise ValueError("input_bound is negative")
    if ask.learnt_bound is None or not 0 <= ask.learnt_bound < ask.input_bound:
        return _decide(account, counters, terms, ask, at, reset_at)
    try:
        found = _decide(account, counters, terms, ask, at, reset_at)
        if found.max_tokens == ask.cap:
            return found
    except Refusal:
        pass  # then the learnt bound says which
    tight = replace(ask, input_bound=ask.learnt_bound, learnt_bound=None)
    return _decide(account, counters, terms, tight, at, reset_at)


def _decide(
    account: AccountState,
    counters: Mapping[LimitKey, CounterState],
    terms: Terms,
    ask: Ask,
    at: datetime,
    reset_at: datetime,
) -> Decision:
    most = min(ask.cap, _rate_room(account, terms, ask, at))
    _check_running(account, terms)
    if not matches(terms.patterns, ask.model_id):
        raise Refusal("model_not_allowed", details={"model": ask.model_id, "plan": terms.plan}, param="model")
    free = ask.is_free
    binding = (PLAN_WIDE, TOKENS, 0, UNTOUCHED)
    lines: list[tuple[str, str, int | None]] = []
    for scope, unit, limit in applicable(terms, ask, counters):
        lines.append((scope, unit, limit))
        if limit is None or (free and unit == NANO_USD):
            continue
        state = counters.get((scope, unit), UNTOUCHED)
        room = state.room(limit)
        affordable: int | None = room - ask.input_bound
        if unit == NANO_USD:
            affordable = affordable_completion(ask.price, room, ask.input_bound, ask.fees_nano)
        if affordable is not None and affordable < most:
            most, binding = affordable, (scope, unit, limit, state)
    if most < ask.least:
        # The rates leave at least that, so it is a limit that binds.
        scope, unit, limit, state = binding
        asked = ask.input_bound + ask.least if unit == TOKENS else held_nano(ask, ask.least)
        raise exceeded(
            scope, unit, limit, state.used, state.held, state.extra, asked, at=at, reset_at=reset_at, team=terms.team
        )
    tokens = ask.input_bound + most
    nano = held_nano(ask, most)
    made = tuple(Line(scope, unit, limit, tokens if unit == TOKENS else nano) for scope, unit, limit in lines)
    return Decision(most, tokens, nano, made, _remaining_tokens(made, counters))


def held_nano(ask: Ask, completion: int) -> int:
    """What is held in nano-USD: no outcome within the bounds costs more."""
    bound = input_bound_nano(ask.price, ask.input_bound, ask.fees_nano)
    return bound + nano_from_pico(completion * ask.price.completion_pico)


def _remaining_tokens(lines: tuple[Line, ...], counters: Mapping[LimitKey, CounterState]) -> int | None:
    left: int | None = None
    for line in lines:
        if line.unit == TOKENS and line.limit is not None:
            state = counters.get((line.scope, TOKENS), UNTOUCHED)
            room = max(0, state.room(line.limit) - line.amount)
            left = room if left is None else min(left, room)
    return left


def _rate_room(account: AccountState, terms: Terms, ask: Ask, at: datetime) -> int:
    """How many completion tokens the minute has room for.

    A call that is alone in its minute is never refused or cut by the tokens' rate, however large:
    else a long conversation could not be continued at all.
    """
    second = rates.second_of(at)
    room = ask.cap
    for scope, requests_limit, tokens_limit in rate_scopes(terms, ask):
        window = account.windows.get(scope, ())
        requests, tokens = rates.totals(window, second)
        if ask.counts_as_request and requests_limit is not None and requests >= requests_limit:
            wait = rates.wait_for(window, second, 1, requests_limit - 1)
            raise rate_exceeded(scope, "requests_per_minute", requests_limit, 0, wait)
        if tokens_limit is None or (tokens == 0 and tokens_limit > 0):
            continue
        left = tokens_limit - tokens
        if left < ask.input_bound + ask.least:
            wait = rates.wait_for(window, second, 2, max(0, tokens_limit - ask.input_bound - ask.least))
            asked = ask.input_bound + ask.least
            raise rate_exceeded(scope, "tokens_per_minute", tokens_limit, max(0, left), wait, asked)
        room = min(room, left - ask.input_bound)
    return room


def _check_running(account: AccountState, terms: Terms) -> None:
    limit = terms.concurrent_generations
    if limit is not None and account.in_flight >= limit:
        raise too_many_running(limit, account.in_flight)


def rate_state(windows: Mapping[str, Window], terms: Terms, ask: Ask, at: datetime) -> RateState:
    """The rates after an admission; of several windows, the tightest."""
    second = rates.second_of(at)
    requests: tuple[int | None, int | None, int] = (None, None, 0)
    tokens: tuple[int | None, int | None, int] = (None, None, 0)
    for scope, requests_limit, tokens_limit in rate_scopes(terms, ask):
        window = windows.get(scope, ())
        used_requests, used_tokens = rates.totals(window, second)
        if requests_limit is not None:
            left = max(0, requests_limit - used_requests)
            if requests[1] is None or left < requests[1]:
                requests = (requests_limit, left, rates.reset_in(window, second, 1))
        if tokens_limit is not None:
            left = max(0, tokens_limit - used_tokens)
            if tokens[1] is None or left < tokens[1]:
                tokens = (tokens_limit, left, rates.reset_in(window, second, 2))
    return RateState(*requests, *tokens)
