"""What a period has seen of a scope before it had a counter: a limit may come in the middle of a period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Sum

from accounts.team_ids import is_team_id
from quotas import holding
from quotas.admission import CounterState
from quotas.holding import OPEN, HoldState
from quotas.models import Hold, UsageRecord
from quotas.payers import Payer
from quotas.policy import TOKENS


@dataclass(frozen=True, slots=True)
class Earlier:
    """Used so far, and the holds that are still open."""

    tokens: int
    nano_usd: int
    holds: tuple[HoldState, ...]

    def state(self, unit: str) -> CounterState:
        """As a counter of ``unit`` would have it."""
        if unit == TOKENS:
            return CounterState(self.tokens, sum(hold.tokens for hold in self.holds))
        return CounterState(self.nano_usd, sum(hold.nano_usd for hold in self.holds))


def earlier(
    payer: Payer, scope: str, in_hand: Mapping[UUID, HoldState], unwritten: Iterable[Mapping[str, Any]]
) -> Earlier:
    """What ``scope`` (a model, ``key:<id>`` or a member's cap ``team:<id>``) has seen in the payer's current period.

    ``in_hand`` are the holds of the running book, which are newer than the table's; ``unwritten`` its
    usage records. A class begins at nothing: which models were in it before is not recorded.
    """
    if scope.startswith("class:"):
        return Earlier(0, 0, ())
    owner = payer.owner(scope)
    mine: dict[str, Any] = {"period_start": payer.account.period_start, "team_id": payer.account.user_id}
    if not is_team_id(payer.account.user_id):
        mine["team_id"] = None
    if not is_team_id(owner.user_id):
        mine["user_id"] = owner.user_id
    if scope.startswith("key:"):
        mine["api_key_id"] = UUID(scope[4:])
    elif not scope.startswith("team:"):
        mine["model_id"] = scope
    used = UsageRecord.objects.filter(**mine).aggregate(tokens=Sum("tokens"), nano_usd=Sum("nano_usd"))
    fresh = [row for row in unwritten if all(row[name] == wanted for name, wanted in mine.items())]
    ids = Hold.objects.filter(state__in=OPEN, **mine).values_list("id", flat=True)
    open_holds = holding.read_holds(ids) | dict(in_hand)
    return Earlier(
        (used["tokens"] or 0) + sum(row["tokens"] for row in fresh),
        (used["nano_usd"] or 0) + sum(row["nano_usd"] for row in fresh),
        tuple(
            hold
            for hold in open_holds.values()
            if hold.is_open and all(getattr(hold, name) == wanted for name, wanted in mine.items())
        ),
    )
