"""The figures that go in and out of a book: what was admitted, what is charged, what is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from quotas import pockets
from quotas.models import UsageRecord
from quotas.payers import Payer
from quotas.policy import PLAN_WIDE, UNITS
from quotas.rates import RateState
from quotas.refusals import limit_json, named, remaining


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made: nothing beyond ``max_tokens`` of completion is covered by its hold."""

    hold_id: UUID
    max_tokens: int
    tokens: int
    nano_usd: int
    period_start: datetime
    rate: RateState
    remaining_tokens: int | None


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call really used and cost, and who says so. ``billed_usd``: the upstream's own bill, in plain decimals."""

    tokens: int
    nano_usd: int
    prompt_tokens: int
    completion_tokens: int
    source: UsageRecord.Source
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    upstream_id: str = ""
    conversation_id: UUID | None = None
    billed_usd: str = ""

    def __post_init__(self) -> None:
        if min(self.tokens, self.nano_usd, self.prompt_tokens, self.completion_tokens) < 0:
            raise ValueError("a charge is never negative")


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit as people see it. ``extra``: what top-ups add to it, less what is owed; ``team``: the one that pays."""

    scope: str
    unit: str
    limit: int | None
    used: int
    held: int
    reset_at: datetime
    extra: int = 0
    team: str = ""

    @property
    def name(self) -> str:
        """The scope as it is told."""
        return named(self.scope, self.team)

    @property
    def remaining(self) -> int | None:
        return remaining(self.limit, self.used, self.held, self.extra)

    def as_json(self) -> dict[str, Any]:
        """As ``GET /api/user/quota`` shows it."""
        return limit_json(
            self.scope, self.unit, self.limit, self.used, self.held, self.extra, self.reset_at, team=self.team
        )


def limits_of(payer: Payer) -> list[LimitState]:
    """Plan-wide limits first, then a member's caps, those of models and classes, and of keys that were used."""
    found: list[LimitState] = []
    account, terms, counters = payer.account, payer.terms, payer.counters
    listed = dict(terms.limits)
    listed |= {(terms.team, unit): cap for unit, cap in terms.caps if cap is not None}
    extras = pockets.extras(account.grants)
    for (scope, unit), counter in counters.items():
        if scope.startswith("key:"):
            listed[scope, unit] = counter.limit
    for scope, unit in sorted(listed, key=_order):
        counter_or_none = counters.get((scope, unit))
        used, held = (counter_or_none.used, counter_or_none.held) if counter_or_none else (0, 0)
        extra = extras.get((scope, unit), 0)
        found.append(LimitState(scope, unit, listed[scope, unit], used, held, account.reset_at, extra, terms.team))
    return found


def _order(key: tuple[str, str]) -> tuple[bool, bool, bool, str, int]:
    scope, unit = key
    return scope != PLAN_WIDE, scope.startswith("key:"), not scope.startswith("team:"), scope, UNITS.index(unit)
