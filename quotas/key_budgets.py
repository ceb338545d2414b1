"""What keys have used of their own budgets in the present period, for whoever only looks."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from accounts.models import ApiKey
from quotas import backfill, reading
from quotas.admission import KeyLimits
from quotas.figures import LimitState
from quotas.policy import NANO_USD, TOKENS


def of(user_id: UUID, keys: Iterable[ApiKey]) -> dict[UUID, list[LimitState]]:
    """The limits of each of ``keys``, which are all of one person, as they stand now; none for a key without."""
    limited = [key for key in keys if key.limit_tokens is not None or key.limit_nano_usd is not None]
    if not limited:
        return {}
    payer = reading.payer(user_id)
    counters, reset_at = payer.counters, payer.account.reset_at
    found: dict[UUID, list[LimitState]] = {}
    for key in limited:
        scope = KeyLimits(key.pk).scope
        for unit, limit in ((TOKENS, key.limit_tokens), (NANO_USD, key.limit_nano_usd)):
            if limit is None:
                continue
            counter = counters.get((scope, unit))
            # A budget that no call has met yet: the call will find what the period has seen before.
            state = counter.state if counter else backfill.earlier(payer, scope, {}, ()).state(unit)
            states = found.setdefault(key.pk, [])
            states.append(LimitState(scope, unit, limit, state.used, state.held, reset_at))
    return found
