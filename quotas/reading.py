"""What an account may still use, for whoever only looks: nothing is locked and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import Membership
from oneai.kit.clock import now
from quotas import allowances, grants, holding, payers, pockets
from quotas.figures import LimitState, limits_of
from quotas.payers import Payer
from quotas.pockets import DEBT, EXTRA, GrantState
from quotas.policy import RATES, Terms
from quotas.refusals import named


@dataclass(frozen=True, slots=True)
class Standing:
    """The terms in force, the period they are counted in and what is left of each limit.

    They are those of whoever pays: the account itself, or the team ``payer_id``. ``grants``: top-ups that are
    valid or come later, and debts.
    """

    payer_id: UUID
    terms: Terms
    period_start: datetime
    period_end: datetime
    limits: list[LimitState]
    grants: list[GrantState] = field(default_factory=list)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def payer(user_id: UUID, at: datetime | None = None) -> Payer:
    """Who pays for the account at ``at`` (now), with the counters of the period. User.DoesNotExist for nobody's id."""
    return _payer(user_id, at or now())[0]


def _payer(user_id: UUID, at: datetime) -> tuple[Payer, list[GrantState]]:
    default = holding.default_allowance(at)
    accounts = {row["user_id"]: holding.account_of(row, default, at) for row in holding.read_accounts(user_id)}
    counters = holding.read_counters(list(accounts), (), at)
    for counter in counters:
        owner = accounts[counter.user_id]
        if counter.period_start == owner.period_start:
            owner.counters[counter.scope, counter.unit] = counter
    found = payers.payer_of(accounts[user_id], accounts, counters, at)
    beside = holding.read_grants([found.account.user_id], (), at) if found.account.has_grants else []
    found.account.grants = pockets.usable(beside, at)
    return found, pockets.in_order(beside)


def standing(user_id: UUID, at: datetime | None = None) -> Standing:
    """Where the account stands at ``at`` (now). User.DoesNotExist when there is no such person."""
    found, beside = _payer(user_id, at or now())
    paying = found.account
    return Standing(paying.user_id, found.terms, paying.period_start, paying.reset_at, limits_of(found), beside)


def limits_json(user_id: UUID) -> list[dict[str, Any]]:
    """The account's limits as the end of a stream shows them."""
    return [limit.as_json() for limit in standing(user_id).limits]


def _team_json(user_id: UUID) -> dict[str, Any] | None:
    """The member's team; None for the team's own account."""
    place = Membership.objects.select_related("team").filter(user_id=user_id).first()
    if place is None:
        return None
    return {"id": str(place.team_id), "name": place.team.name, "role": place.role}


def statement(user_id: UUID, at: datetime | None = None) -> dict[str, Any]:
    """As ``GET /api/user/quota`` answers: the standing, with the overrides and top-ups behind it."""
    at = at or now()
    found = standing(user_id, at)
    moved: dict[tuple[str, str], dict[str, Any]] = {}
    rates_moved: list[dict[str, Any]] = []
    for row in allowances.in_force(found.payer_id, at):
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
        "topups": [grants.as_json(grant, found.terms.team) for grant in found.grants if grant.kind == EXTRA],
    }
    if found.terms.team and (team := _team_json(user_id)) is not None:
        answer["team"] = team
    owed = [grant for grant in found.grants if grant.kind == DEBT]
    if owed:
        answer["owed"] = [
            {"scope": named(grant.scope, found.terms.team), "unit": grant.unit, "amount": grant.left} for grant in owed
        ]
    if rates_moved:
        answer["rate_overrides"] = rates_moved
    return answer
