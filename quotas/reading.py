"""What an account may still use, for whoever only looks: nothing is locked and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from oneai.kit import rows
from oneai.kit.clock import now
from quotas import holding
from quotas.figures import LimitState, limits_of
from quotas.holding import Account
from quotas.models import QuotaAccount
from quotas.policy import RATES, Terms


@dataclass(frozen=True, slots=True)
class Standing:
    """The terms in force, the period they are counted in and what is left of each limit."""

    terms: Terms
    period_start: datetime
    period_end: datetime
    limits: list[LimitState]

    def as_json(self) -> dict[str, Any]:
        """As ``GET /api/user/quota`` answers."""
        return {
            "plan": self.terms.plan,
            "period": {"start": _text(self.period_start), "end": _text(self.period_end)},
            "limits": [limit.as_json() for limit in self.limits],
            "rates": {name: getattr(self.terms, name) for name in RATES},
            "topups": [],
        }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def account(user_id: UUID, at: datetime | None = None) -> Account:
    """The account at ``at`` (now) with the counters of its period. User.DoesNotExist when there is no such person."""
    at = at or now()
    kept = rows.select(QuotaAccount, holding.ACCOUNT, by="user_id", values=[user_id])
    if kept:
        row = kept[0]
    else:
        signed_up = User.objects.only("created_at").get(pk=user_id).created_at
        row = holding.blank_account(user_id, signed_up)
    found = holding.account_of(row, holding.default_allowance(at), at)
    for counter in holding.read_counters([user_id], (), at):
        if counter.period_start == found.period_start:
            found.counters[counter.scope, counter.unit] = counter
    return found


def standing(user_id: UUID, at: datetime | None = None) -> Standing:
    """Where the account stands at ``at`` (now). User.DoesNotExist when there is no such person."""
    found = account(user_id, at)
    return Standing(found.terms, found.period_start, found.reset_at, limits_of(found))


def limits_json(user_id: UUID) -> list[dict[str, Any]]:
    """The account's limits as the end of a stream shows them."""
    return [limit.as_json() for limit in standing(user_id).limits]
