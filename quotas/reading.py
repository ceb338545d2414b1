"""What an account may still use, for whoever only looks: nothing is locked and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from oneai.kit import rows
from oneai.kit.clock import now
from quotas import allowances, grants, holding, pockets
from quotas.figures import LimitState, limits_of
from quotas.holding import Account
from quotas.models import QuotaAccount
from quotas.pockets import DEBT, EXTRA, GrantState
from quotas.policy import RATES, Terms


@dataclass(frozen=True, slots=True)
class Standing:
    """The terms in force, the period they are counted in and what is left of each limit.

    ``grants``: top-ups that are valid or come later, and debts.
    """

    terms: Terms
    period_start: datetime
    period_end: datetime
    limits: list[LimitState]
    grants: list[GrantState] = field(default_factory=list)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def account(user_id: UUID, at: datetime | None = None) -> Account:
    """The account at ``at`` (now) with the counters of its period. User.DoesNotExist when there is no such person."""
    return _account(user_id, at)[0]


def _account(user_id: UUID, at: datetime | None) -> tuple[Account, list[GrantState]]:
    at = at or now()
    kept = rows.select(QuotaAccount, holding.ACCOUNT, by="user_id", values=[user_id])
    if kept:
        row = kept[0]
    else:
        signed_up = User.objects.only("created_at").get(pk=user_id).created_at
        row = holding.blank_account(user_id, signed_up)
    found = holding.account_of(row, holding.default_allowance(at), at)
    beside = holding.read_grants([user_id], (), at) if found.has_grants else []
    found.grants = pockets.usable(beside, at)
    for counter in holding.read_counters([user_id], (), at):
        if counter.period_start == found.period_start:
            found.counters[counter.scope, counter.unit] = counter
    return found, pockets.in_order(beside)


def standing(user_id: UUID, at: datetime | None = None) -> Standing:
    """Where the account stands at ``at`` (now). User.DoesNotExist when there is no such person."""
    found, beside = _account(user_id, at)
    return Standing(found.terms, found.period_start, found.reset_at, limits_of(found), beside)


def limits_json(user_id: UUID) -> list[dict[str, Any]]:
    """The account's limits as the end of a stream shows them."""
    return [limit.as_json() for limit in standing(user_id).limits]


def statement(user_id: UUID, at: datetime | None = None) -> dict[str, Any]:
    """As ``GET /api/user/quota`` answers: the standing, with the overrides and top-ups behind it."""
    at = at or now()
    found = standing(user_id, at)
    moved: dict[tuple[str, str], dict[str, Any]] = {}
    rates_moved: list[dict[str, Any]] = []
    for row in allowances.in_force(user_id, at):
        shown = {
            "reason": row.reason,
            "starts_at": _text(row.starts_at),
            "until": None if row.until is None else _text(row.until),
        }
        if row.kind == "rates":
            rates_moved.append(shown | {"rates": sorted(row.values)})
        else:
            moved[row.scope, row.unit] = shown
    limits = []
    for limit in found.limits:
        override = moved.get((limit.scope, limit.unit))
        limits.append(limit.as_json() | ({"override": override} if override else {}))
    answer: dict[str, Any] = {
        "plan": found.terms.plan,
        "period": {"start": _text(found.period_start), "end": _text(found.period_end)},
        "limits": limits,
        "rates": {name: getattr(found.terms, name) for name in RATES},
        "topups": [grants.as_json(grant) for grant in found.grants if grant.kind == EXTRA],
    }
    owed = [grant for grant in found.grants if grant.kind == DEBT]
    if owed:
        answer["owed"] = [{"scope": grant.scope, "unit": grant.unit, "amount": grant.left} for grant in owed]
    if rates_moved:
        answer["rate_overrides"] = rates_moved
    return answer
