"""The banner on top of every page: what it says now, and how it is set.

It is read at most once every few seconds in a process, so that no page pays for it; a new one is seen within that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest

from accounts.audit import Actor
from content.models import Banner
from oneai.kit.clock import now

log = structlog.get_logger("content")

LONGEST: Final = 300
READ_EVERY: Final = 5.0  # seconds

_read: dict[str, Any] = {"at": float("-inf"), "rows": []}


def upcoming() -> list[Banner]:
    """The banners that hold or are to come, the newest first."""
    return list(Banner.objects.filter(Q(until=None) | Q(until__gt=now()), ended_at=None))


def current() -> Banner | None:
    """What is shown now; None: nothing."""
    if time.monotonic() - _read["at"] >= READ_EVERY:
        try:
            rows = upcoming()
        except DatabaseError:  # an outage is told in another way
            log.warning("banner_not_read")
            rows = []
        _read.update(at=time.monotonic(), rows=rows)
    at = now()
    rows = _read["rows"]
    return next((row for row in rows if row.starts_at <= at and (row.until is None or row.until > at)), None)


def put_up(actor: Actor, text: str, level: str, starts: datetime | None, until: datetime | None) -> Banner:
    """Show ``text`` from ``starts`` (now) until ``until`` (by hand). ValueError for dates that don't fit."""
    text, at = text.strip(), now()
    begins = starts or at
    if not text or len(text) > LONGEST:
        raise ValueError(f"A banner has one to {LONGEST} characters.")
    if until is not None and until <= max(begins, at):
        raise ValueError("Its end lies in the past or before its beginning.")
    with transaction.atomic():
        row = Banner.objects.create(text=text, level=level, starts_at=begins, until=until, actor=actor.label)
        details = {"from": begins.isoformat(), "until": until.isoformat() if until else None, "level": level}
        actor.record("banner.put_up", target=str(row.pk), reason=text, details=details)
    _read["at"] = float("-inf")
    return row


def take_down(actor: Actor, row: Banner) -> bool:
    """End a banner now; False when it had ended."""
    with transaction.atomic():
        ended = Banner.objects.filter(pk=row.pk, ended_at=None).update(ended_at=now())
        if ended:
            actor.record("banner.taken_down", target=str(row.pk), reason=row.text)
    _read["at"] = float("-inf")
    return bool(ended)


def on_page(request: HttpRequest) -> Mapping[str, Any]:
    """``banner`` for the templates of pages."""
    return {"banner": current()}
