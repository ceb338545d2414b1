"""Holds whose producer may be gone: signs of life, and whoever takes over the settling.

Neither function waits for a row that another transaction has in hand, so they can't take part in a
deadlock: a hold in hand is being settled or claimed at this moment anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from oneai.kit import rows
from quotas.models import Hold

STALE_AFTER: Final = timedelta(seconds=12)
"""Four missed heartbeats: a producer that is silent for longer is taken for dead."""

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NAMES: Final = (
    "id", "user_id", "api_key_id", "reference", "model_id", "price_id", "max_tokens", "tokens", "nano_usd", "worker",
    "heartbeat_at", "checks", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DueHold:
    """A hold that the caller has claimed for its lease and is to settle or release.

    ``checks`` counts the claims, this one included.
    """

    id: UUID
    user_id: UUID
    api_key_id: UUID | None
    reference: str
    model_id: str
    price_id: UUID | None
    max_tokens: int
    tokens: int
    nano_usd: int
    worker: str
    heartbeat_at: datetime
    checks: int
    created_at: datetime


def _unlocked() -> str:
    return " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""


def heartbeat(hold_ids: Sequence[UUID], at: datetime) -> None:
    """Note that the producers of these holds live. One statement; a hold that was closed is left alone.

    One that was claimed because its producer could not be heard for a while is its producer's again.
    """
    if not hold_ids:
        return
    this = rows.table(Hold)
    ids = [this.to_db("id", value) for value in sorted(set(hold_ids))]
    sql = (
        f"UPDATE {this.name} SET heartbeat_at = %s, state = 'held', check_at = NULL, checks = 0 "  # noqa: S608
        f"WHERE id IN (SELECT id FROM {this.name} WHERE id IN ({rows.marks(len(ids))}) "
        f"AND state IN ('held', 'orphaned') ORDER BY id{_unlocked()})"
    )
    rows.flush()
    with connection.cursor() as cursor:
        cursor.execute(sql, [this.to_db("heartbeat_at", at), *ids])


def still_open(hold_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these holds that nobody has closed."""
    found = rows.select(Hold, ("id",), by="id", values=hold_ids, where="state IN ('held', 'orphaned')")
    return {row["id"] for row in found}


_DUE: Final = (
    # The first condition stands by itself, letter by letter that of the partial index holds_open:
    # only so is it used, and a sweep costs what is open, not what there ever was.
    "state IN ('held', 'orphaned') AND ((check_at IS NULL AND heartbeat_at < %s) OR check_at <= %s)"
)


def anything_due(at: datetime) -> bool:
    """Whether a claim would find something: a read that takes no lock."""
    this = rows.table(Hold)
    sql = f"SELECT 1 FROM {this.name} WHERE {_DUE} LIMIT 1"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [this.to_db("heartbeat_at", at - STALE_AFTER), this.to_db("check_at", at)])
        return cursor.fetchone() is not None


def claim_due(
    at: datetime, limit: int, lease: timedelta, *, silent: bool = True, checked: bool = True
) -> list[DueHold]:
    """Up to ``limit`` holds that are due, claimed until ``at + lease``; nobody else gets them before.

    Due is a running hold without a heartbeat for STALE_AFTER (unless ``silent`` is False), and any whose
    ``check_at`` has come (unless ``checked`` is).
    """
    this = rows.table(Hold)
    moment = this.to_db("check_at", at if checked else _NEVER)
    stale = this.to_db("heartbeat_at", at - STALE_AFTER if silent else _NEVER)
    names = ",".join(this.columns[name] for name in _NAMES)
    # Read once, whatever plan is made: PostgreSQL may run a locking subquery again for each row that it joins,
    # and each time skip what it has locked before.
    sql = (
        f"WITH due AS MATERIALIZED (SELECT id FROM {this.name} WHERE {_DUE} "  # noqa: S608
        f"ORDER BY heartbeat_at, id LIMIT %s{_unlocked()}) "
        f"UPDATE {this.name} SET state = 'orphaned', check_at = %s, checks = checks + 1 "
        f"WHERE id IN (SELECT id FROM due) RETURNING {names}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [stale, moment, limit, this.to_db("check_at", at + lease)])
        found = this.decoded(_NAMES, cursor.fetchall())
    return sorted((DueHold(**row) for row in found), key=lambda hold: hold.id)
