"""What all accounts used and cost at the upstreams, out of the sums by day that stand beside the ledger.

Days are those of each account's own time zone, as on its page of usage. Amounts are tokens and nano-USD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from accounts.models import Membership, Team, User
from billing.models import Subscription
from billing.standing import LIVE
from oneai.kit import rows
from quotas.models import UsageDaily
from quotas.usage import NAMES, Sums

_MODEL: Final = UsageDaily.Part.MODEL.value
_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class Used:
    """What one day, plan or model used, and by how many accounts."""

    sums: Sums
    active: int


def _read(columns: str, first: date, last: date) -> list[Sequence[Any]]:
    """Rows of the named columns, the number of accounts and every sum, for the days from ``first`` to ``last``."""
    this = rows.table(UsageDaily)
    sums = ", ".join(f"COALESCE(SUM({name}), 0)" for name in NAMES)
    head = f"{columns}, " if columns else ""
    tail = f" GROUP BY {columns}" if columns else ""
    sql = (
        f"SELECT {head}COUNT(DISTINCT user_id), {sums} FROM {this.name} "  # noqa: S608 (names of ours)
        f"WHERE part = %s AND day >= %s AND day <= %s{tail}"
    )
    return list(rows.query(this, sql, [_MODEL, this.to_db("day", first), this.to_db("day", last)]))


def _used(active: Any, sums: Sequence[Any]) -> Used:
    return Used(Sums(*map(int, sums)), int(active))


def total(first: date, last: date) -> Used:
    """All of it."""
    ((active, *sums),) = _read("", first, last)
    return _used(active, sums)


def by_day(first: date, last: date) -> dict[date, Used]:
    """By day."""
    this = rows.table(UsageDaily)
    found = _read("day", first, last)
    return {this.from_db("day", day): _used(active, sums) for day, active, *sums in found}


def by_model(first: date, last: date) -> dict[str, Used]:
    """By model."""
    return {str(model): _used(active, sums) for model, active, *sums in _read("model_id", first, last)}


def by_plan(first: date, last: date) -> dict[str, Used]:
    """By the plan that the account has now: its own, or that of the team that it is in."""
    this = rows.table(UsageDaily)
    by_user = {this.from_db("user_id", user): sums for user, _, *sums in _read("user_id", first, last)}
    plans = plans_of(list(by_user))
    found: dict[str, tuple[int, list[int]]] = {}
    for user_id, sums in by_user.items():
        plan = plans.get(user_id, "")
        count, before = found.get(plan, (0, [0] * len(NAMES)))
        found[plan] = count + 1, [was + int(more) for was, more in zip(before, sums, strict=True)]
    return {plan: _used(count, sums) for plan, (count, sums) in found.items()}


def plans_of(ids: Sequence[UUID]) -> dict[UUID, str]:
    """The plan of each account."""
    found: dict[UUID, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        found.update(User.objects.filter(pk__in=some).values_list("pk", "current_subscription"))
        places = dict(
            Membership.objects.filter(user_id__in=some, team__state=Team.State.ACTIVE).values_list("user_id", "team_id")
        )
        paid = dict(
            Subscription.objects.filter(team_id__in=set(places.values()), status__in=LIVE)
            .order_by("created_at", "pk")
            .values_list("team_id", "plan__code")
        )
        found.update({user_id: paid[team_id] for user_id, team_id in places.items() if team_id in paid})
    return found
