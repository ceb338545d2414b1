"""Time: the one clock that the product reads, period edges and time-ordered ids."""

from __future__ import annotations

import calendar
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final

from oneai.kit import entropy

_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_offset = timedelta(0)


def now() -> datetime:
    """The current time in UTC, with its zone."""
    return datetime.now(UTC) + _offset


def utc_text(at: datetime) -> str:
    """A time in UTC as the API writes it: ``2026-01-31T09:30:00Z``."""
    return at.isoformat().replace("+00:00", "Z")


def calendar_day(text: str) -> date:
    """The day in ``text``, written like 2026-01-31. ValueError for anything else, other ISO 8601 included."""
    if not _DAY.fullmatch(text):
        raise ValueError("A day is written like 2026-01-31.")
    return date.fromisoformat(text)


@contextmanager
def travel(delta: timedelta) -> Iterator[None]:
    """Move the clock of this process by ``delta`` while the block runs (tests of period edges)."""
    global _offset
    before = _offset
    _offset = before + delta
    try:
        yield
    finally:
        _offset = before


def add_months(anchor: datetime, months: int) -> datetime:
    """``anchor`` moved by whole months, its day kept where the month has it, else that month's last day."""
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    day = min(anchor.day, calendar.monthrange(year, month)[1])
    return anchor.replace(year=year, month=month, day=day)


def period_edges(anchor: datetime, at: datetime) -> tuple[datetime, datetime]:
    """The monthly period [start, end) around ``at``, counted from the original ``anchor``.

    Always from the anchor, never from the last edge: 31 January, 28 February, 31 March.
    A time before the anchor lies in the period that ends there or earlier.
    """
    months = (at.year - anchor.year) * 12 + at.month - anchor.month
    start = add_months(anchor, months)
    if start > at:
        months -= 1
        start = add_months(anchor, months)
    return start, add_months(anchor, months + 1)


_last = 0
_lock = threading.Lock()


def uuid7() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): sorts by time, strictly increasing within this process.

    48 bits of milliseconds, 12 bits of the fraction of a millisecond as a counter, 62 random bits.
    """
    global _last
    with _lock:
        stamp = time.time_ns() * 4096 // 1_000_000
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
    milliseconds, fraction = divmod(stamp, 4096)
    random = int.from_bytes(entropy.take(8), "big") & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random
    return uuid.UUID(int=value)
