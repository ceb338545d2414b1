"""Limits on attempts, exact across processes: one row a window, one statement an attempt.

A window opens with its first attempt and lasts ``seconds``; an attempt is counted before it is
made, so parallel ones can't all be let in. Neither Redis nor the cache is involved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import connection
from django.db.models import F

from accounts.models import AttemptWindow
from oneai.kit import rows
from oneai.kit.clock import now
from oneai.kit.derived import keyed_hash
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` attempts by one subject (an address, an account, a session) in ``seconds``."""

    name: str
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """An attempt that was counted, as ``give_back`` needs it."""

    key: str
    window: datetime


SIGN_IN_BY_ACCOUNT: Final = Limit("sign-in/account", 5, 300)
SIGN_IN_BY_ADDRESS: Final = Limit("sign-in/address", 10, 60)
SIGN_UP_BY_ADDRESS: Final = Limit("sign-up/address", 20, 60)
SIGN_UP_BY_ADDRESS_DAILY: Final = Limit("sign-up/address/day", 100, 86_400)
SIGN_UP_BY_ACCOUNT: Final = Limit("sign-up/account", 5, 3600)
MAIL_BY_ACCOUNT: Final = Limit("code-mail/account", 5, 600)
MAIL_BY_ADDRESS: Final = Limit("code-mail/address", 20, 60)
CODE_BY_SESSION: Final = Limit("code/session", 10, 900)
CODE_BY_ADDRESS: Final = Limit("code/address", 30, 60)
PASSWORD_BY_ACCOUNT: Final = Limit("password/account", 5, 300)
GOOGLE_BY_ADDRESS: Final = Limit("google/address", 30, 60)

_TAKE: Final = """
INSERT INTO attempt_windows (key, started_at, count) VALUES (%s, %s, 1)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN attempt_windows.started_at <= %s THEN 1 ELSE attempt_windows.count + 1 END,
    started_at = CASE WHEN attempt_windows.started_at <= %s THEN excluded.started_at
                      ELSE attempt_windows.started_at END
WHERE attempt_windows.started_at <= %s OR attempt_windows.count < %s
RETURNING started_at
"""


def _key(limit: Limit, subject: str) -> str:
    """Who is counted is kept as a keyed hash: the table names no address and no person."""
    return f"{limit.name}:{keyed_hash('throttles', subject)[:40]}"


def take(limit: Limit, subject: str) -> Ticket:
    """Count an attempt by ``subject``; Refusal ``too_many_attempts`` (429) when the window is full."""
    key = _key(limit, subject)
    at = now()
    table = rows.table(AttemptWindow)
    over = table.to_db("started_at", at - timedelta(seconds=limit.seconds))
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [key, table.to_db("started_at", at), over, over, over, limit.most])
        row = cursor.fetchone()
    if row is None:
        log.warning("attempts_refused", limit=limit.name, subject=key.rpartition(":")[2][:16])
        raise Refusal("too_many_attempts", retry_after=_wait(limit, key, at))
    return Ticket(key, table.from_db("started_at", row[0]))


def has_room(limit: Limit, subject: str) -> bool:
    """Whether ``take`` would count an attempt now; nothing is written."""
    over = now() - timedelta(seconds=limit.seconds)
    full = AttemptWindow.objects.filter(key=_key(limit, subject), started_at__gt=over, count__gte=limit.most)
    return not full.exists()


def _wait(limit: Limit, key: str, at: datetime) -> int:
    """Seconds until the window of ``key`` is over, at least 1."""
    started = AttemptWindow.objects.filter(key=key).values_list("started_at", flat=True).first()
    if started is None:
        return 1
    return max(1, math.ceil((started - at).total_seconds() + limit.seconds))


def give_back(ticket: Ticket) -> None:
    """Uncount an attempt that turned out well; nothing happens when its window is over."""
    AttemptWindow.objects.filter(key=ticket.key, started_at=ticket.window, count__gt=0).update(count=F("count") - 1)


def forget(limit: Limit, subject: str) -> None:
    """Open the window of ``subject`` anew, after it was proved in a stronger way."""
    AttemptWindow.objects.filter(key=_key(limit, subject)).delete()
