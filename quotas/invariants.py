"""What must hold at every committed state, by number, and one check of all of it.

The audit replays an account's ledger and names what differs; here each name belongs to the invariant
that it breaks. What only shows over time (a top-up, an upgrade or an override never lowers what remains;
any order of the same facts ends alike) is driven by the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from oneai.kit.clock import now
from quotas import audit
from quotas.audit import Difference
from quotas.leases import STALE_AFTER
from quotas.models import Hold, UsageRecord

W: Final = timedelta(seconds=30)
"""How long a hold may stay open after its producer was last heard, or after it was due."""

INVARIANTS: Final = {
    "I1": "conservation: replaying the ledger gives every counter and top-up, to the unit, and its chain is whole",
    "I2": "bound: nothing was held beyond a limit, and overrun is what was used beyond the holds",
    "I3": "once: a hold ends once, a cause grants once, a call is charged once",
    "I4": "quiescence: what is held and what counts as running belongs to open holds, and none is left behind",
    "I5": "completeness: no generation of an upstream is in two usage records",
    "I6": "isolation: usage belongs to the account and the period of its admission",
    "I8": "refunds: no more is taken back, owed or forgiven than was given",
    "I9": "reproducible: a charge is of the tokens in its record",
}
_BROKEN: Final = {
    "bound": "I2",
    "usage.overrun": "I2",
    "hold.ends": "I3",
    "usage.records": "I3",
    "counter.granted": "I3",
    "grant.given": "I3",
    "holds.held": "I4",
    "holds.of_grant": "I4",
    "account.in_flight": "I4",
    "hold.left_behind": "I4",
    "usage.upstream": "I5",
    "hold.period": "I6",
    "hold.counter": "I6",
    "hold.grant": "I6",
    "usage.period": "I6",
    "usage.payer": "I6",
    "grant.refunds": "I8",
    "usage.tokens": "I9",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a check looked at and what it found."""

    accounts: int
    differences: list[Difference]

    @property
    def broken(self) -> list[str]:
        """The numbers of the invariants that do not hold."""
        return sorted({broken_by(difference) for difference in self.differences})


def broken_by(difference: Difference) -> str:
    """The invariant that ``difference`` breaks; whatever is not named is a sum that does not add up."""
    return _BROKEN.get(difference.what, "I1")


def as_json(difference: Difference) -> dict[str, Any]:
    """A difference with the number of its invariant."""
    return {"invariant": broken_by(difference)} | difference.as_json()


@contextmanager
def _snapshot() -> Iterator[bool]:
    """One state of the database for all reads inside, locking nobody out; False in the caller's transaction."""
    if connection.in_atomic_block:
        yield False
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield True
    else:
        connection.ensure_connection()
        connection.connection.execute("BEGIN DEFERRED")  # Django's would take the one writer's place
        try:
            yield True
        finally:
            connection.connection.execute("ROLLBACK")


def check_account(user_id: UUID) -> list[Difference]:
    """Every invariant of one account; empty when all hold."""
    with _snapshot() as alone:
        found = audit.replay(user_id, lock=not alone)
        records = UsageRecord.objects.filter(user_id=user_id)
        doubled = records.exclude(upstream_id="").values("upstream_id").annotate(many=Count("id")).filter(many__gt=1)
        found += [Difference(user_id, "usage.upstream", row["upstream_id"], row["many"], 1) for row in doubled]
        found += [
            Difference(user_id, "usage.tokens", record.reference, record.tokens, total)
            for record in records.iterator()
            if record.tokens > (total := record.prompt_tokens + record.completion_tokens)
        ]
    return found


def check_platform(at: datetime | None = None, since: date | None = None) -> list[Difference]:
    """What belongs to no single account: the daily ceiling (from ``since`` on), holds that nobody looks after."""
    found = audit.replay_platform(since)
    late = (at or now()) - STALE_AFTER - W
    left = Hold.objects.filter(state__in=["held", "orphaned"], heartbeat_at__lt=late)
    silent = left.filter(check_at=None) | left.filter(check_at__lt=late)
    found += [
        Difference(hold.user_id, "hold.left_behind", hold.reference, hold.heartbeat_at.isoformat(), None)
        for hold in silent.order_by("id")[:100]
    ]
    return found


def check(user_ids: Iterable[UUID]) -> Report:
    """Every invariant, over these accounts and the platform."""
    found: list[Difference] = []
    number = 0
    for user_id in user_ids:
        number += 1
        found += check_account(user_id)
    return Report(number, found + check_platform())
