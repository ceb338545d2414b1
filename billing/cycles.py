"""What a paid cycle gives and until when: pure arithmetic over times and limits, whole numbers only.

A quota's months are counted from the start of the cycle. Razorpay ends a cycle at its own hour, up to a day
before or some days after the quota's month, so a cycle is cut into spans that no month's quota begins twice in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from billing.proration import Remaining
from oneai.kit.clock import add_months

GRACE_DAYS: Final = 4
"""Razorpay tries again on three days after a failed charge, and debits up to 36 hours after its notice."""
GRACE_SHARE: Final = 10
"""What grace gives: one part in so many of the plan's limits."""
SLACK: Final = timedelta(days=1)
MONTH: Final = timedelta(days=30)

Limit = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Limits from ``start`` until ``until``."""

    start: datetime
    until: datetime
    limits: list[Limit]


def times(limits: Sequence[Mapping[str, Any]], by: int, over: int = 1) -> list[Limit]:
    """The limits multiplied by ``by`` and divided by ``over``, rounded down; unlimited stays so."""
    return [dict(row) | {"limit": None if row["limit"] is None else row["limit"] * by // over} for row in limits]


def months_end(start: datetime, end: datetime) -> datetime:
    """The end of the last month, counted from ``start``, that ends by ``end`` or within a day after it.

    A cycle shorter than a month ends where it ends.
    """
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    while months and add_months(start, months) > end + SLACK:
        months -= 1
    return add_months(start, months) if months else end


def spans(start: datetime, end: datetime, limits: Sequence[Mapping[str, Any]]) -> list[Span]:
    """A paid cycle: whole months of ``limits``, and for what is left after the last one a part of them.

    Hours that a cycle ends before its last month are given, too: nothing is used up a day too early.
    """
    last = months_end(start, end)
    found = [Span(start, last, times(limits, 1))]
    if last < end:
        seconds = int((end - last).total_seconds())
        found.append(Span(last, end, times(limits, min(seconds, _seconds(MONTH)), _seconds(MONTH))))
    return found


def grace(start: datetime, end: datetime, limits: Sequence[Mapping[str, Any]]) -> Span:
    """What is given after a cycle while its renewal is being charged: a tenth, for four days from its end."""
    return Span(max(end, months_end(start, end)), end + timedelta(days=GRACE_DAYS), times(limits, 1, GRACE_SHARE))


def trial(start: datetime, end: datetime, limits: Sequence[Mapping[str, Any]]) -> Span:
    """What a trial gives: the part of a month's limits that its days are of thirty, and never more than a month's.

    A day that has begun counts.
    """
    days = -(-(end - start) // timedelta(days=1))
    return Span(start, end, times(limits, min(max(0, days), MONTH.days), MONTH.days))


def raised(
    held: Sequence[Mapping[str, Any]],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    left: Remaining,
) -> list[Limit]:
    """The limits of a running month after an upgrade: ``held`` and the difference of terms for the time left.

    ``held`` is what the month has, which earlier upgrades may have raised above ``before``. A limit that the new
    terms don't have is gone, one that only they have is given in part, and none gets smaller.
    """
    has, had = _by_key(held), _by_key(before)
    found = []
    for row in after:
        key, limit = (row["scope"], row["unit"]), row["limit"]
        now_held, old = has.get(key, had.get(key, 0)), had.get(key, 0)
        if limit is None or now_held is None or old is None:
            value = None
        else:
            value = now_held + max(0, left.of(limit) - left.of(old))
        found.append(dict(row) | {"limit": value})
    return found


def _by_key(limits: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], int | None]:
    return {(row["scope"], row["unit"]): row["limit"] for row in limits}


def unused(paid: int, time_left: Remaining, shares: Sequence[tuple[int, int]]) -> int:
    """What is paid back of ``paid``: the smaller of the time and the quota that are left, rounded down to the paisa.

    ``shares`` are (left, of) for each limit of the cycle; an unlimited one is not among them.
    """
    found = time_left.of(paid)
    for left, whole in shares:
        if whole > 0:
            found = min(found, paid * max(0, min(left, whole)) // whole)
    return found


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
