"""How much more a running call may hold: pure over what a book has in hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from oneai.kit.money import nano_from_pico
from quotas import admission, pockets, rates
from quotas.admission import Ask
from quotas.cost import PICO_PER_NANO
from quotas.holding import Counter, HoldState
from quotas.payers import Payer
from quotas.policy import TOKENS


def more(
    payer: Payer, lines: Iterable[Counter], hold: HoldState, ask: Ask, wanted: int, at: datetime
) -> tuple[int, int]:
    """Of ``wanted`` completion tokens as many as everything affords, and what they may cost in nano-USD."""
    pico = ask.price.completion_pico
    before = nano_from_pico(hold.max_tokens * pico)
    extras = pockets.extras(payer.account.grants)
    granted = _rate_room(payer, hold, ask, wanted, at)
    for counter in lines:
        if counter.limit is None or (counter.unit != TOKENS and not pico):
            continue
        room = counter.state.plan_room(counter.limit) + extras.get((counter.scope, counter.unit), 0)
        if counter.unit != TOKENS:
            room = (room + before) * PICO_PER_NANO // pico - hold.max_tokens
        granted = min(granted, room)
    granted = max(0, granted)
    return granted, nano_from_pico((hold.max_tokens + granted) * pico) - before


def _rate_room(payer: Payer, hold: HoldState, ask: Ask, wanted: int, at: datetime) -> int:
    """What the minute has left of ``wanted``, maybe below 0; as with an admission, a call alone in it is not cut."""
    second = rates.second_of(at)
    own = hold.tokens if rates.second_of(hold.created_at) + rates.MINUTE >= second else 0
    room = wanted
    for scope, _, limit in admission.rate_scopes(payer.terms, ask):
        tokens = rates.totals(payer.caller.windows.get(scope, ()), second)[1]
        if limit is not None and (tokens > own or not limit):
            room = min(room, limit - tokens)
    return room


def count(payer: Payer, hold: HoldState, ask: Ask, tokens: int, at: datetime) -> None:
    """Count ``tokens`` in the minute: where the hold is counted, so that its end corrects both, else now."""
    second, began = rates.second_of(at), rates.second_of(hold.created_at)
    account = payer.caller
    for scope, _, _ in admission.rate_scopes(payer.terms, ask):
        window = account.windows.get(scope, [])
        there = began + rates.MINUTE >= second and any(entry[0] == began for entry in window)
        if there:
            account.windows[scope] = rates.correct(window, began, tokens)
        else:
            account.windows[scope] = rates.add(window, second, 0, tokens)
    account.changed = True
