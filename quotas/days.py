"""Days in a time zone: what a moment's date is there, and when a date begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=512)
def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC for one that is not known."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def day_of(at: datetime, zone: str) -> date:
    """The day that ``at`` lies in."""
    return at.astimezone(zone_of(zone)).date()


def begin_of(day: date, zone: str) -> datetime:
    """The first moment of ``day``, in UTC."""
    return datetime.combine(day, time.min, zone_of(zone)).astimezone(UTC)
