"""Several calls of one turn, admitted together or not at all: pure, as admission itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from oneai.kit.errors import Refusal
from quotas import rates
from quotas.admission import FLOOR, UNTOUCHED, AccountState, Ask, CounterState, Decision, decide, rate_scopes
from quotas.policy import LimitKey, Terms
from quotas.rates import Window


def decide_all(
    account: AccountState,
    counters: Mapping[LimitKey, CounterState],
    terms: Terms,
    asks: Sequence[Ask],
    at: datetime,
    reset_at: datetime,
) -> list[Decision]:
    """A decision for each of ``asks``, all of one account, or the Refusal of the first that does not fit.

    What they share is shared out evenly: when it does not cover all that was asked for, none gets more
    completion tokens than the others unless something else bounds those. As with one call, nothing is
    refused while what is left covers every input and ``least`` completion tokens for each.
    """
    alone = [decide(account, counters, terms, ask, at, reset_at) for ask in asks]
    if len(asks) == 1:
        return alone
    caps = [decision.max_tokens for decision in alone]

    def capped(most: int) -> list[Ask]:
        return [replace(ask, wanted_tokens=min(cap, most)) for ask, cap in zip(asks, caps, strict=True)]

    most = max(caps)
    low = min(most, FLOOR)
    found = _one_after_the_other(account, counters, terms, capped(low), at, reset_at)
    look = most  # nearly always all that was asked for fits, and then there is no second look
    while low < most:
        try:
            tried = _one_after_the_other(account, counters, terms, wanted := capped(look), at, reset_at)
            fits = all(decision.max_tokens == ask.cap for decision, ask in zip(tried, wanted, strict=True))
        except Refusal:
            fits = False
        if fits:
            low, found = look, tried
        else:
            most = look - 1
        look = (low + most + 1) // 2
    return found


def _one_after_the_other(
    account: AccountState,
    counters: Mapping[LimitKey, CounterState],
    terms: Terms,
    asks: Sequence[Ask],
    at: datetime,
    reset_at: datetime,
) -> list[Decision]:
    second = rates.second_of(at)
    states = dict(counters)
    windows: dict[str, Window] = dict(account.windows)
    decisions: list[Decision] = []
    for number, ask in enumerate(asks):
        decision = decide(AccountState(account.in_flight + number, windows), states, terms, ask, at, reset_at)
        decisions.append(decision)
        for line in decision.lines:
            before = states.get((line.scope, line.unit), UNTOUCHED)
            states[line.scope, line.unit] = before.with_held(line.amount, line.limit)
        for scope, _, _ in rate_scopes(terms, ask):
            # A turn that is alone in its minute is not refused or cut by the tokens' rate, whatever it asks.
            if rates.totals(account.windows.get(scope, ()), second)[1]:
                windows[scope] = rates.add(windows[scope], second, 0, decision.tokens)
    return decisions
