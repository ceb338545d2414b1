"""What an account used, for whoever asks: sums by day, model, key or conversation, out of ``usage_daily``.

Every figure is an integer until it is shown: tokens, calls and nano-USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Max, QuerySet, Sum

from accounts.models import User
from oneai.kit import rows
from oneai.kit.clock import calendar_day, now
from oneai.kit.money import usd_string
from quotas import payers, rollup
from quotas.days import begin_of, day_of, zone_of
from quotas.models import UsageDaily, UsageRecord

GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "day": ("day", UsageDaily.Part.MODEL.value),
    "model": ("model_id", UsageDaily.Part.MODEL.value),
    "key": ("api_key_id", UsageDaily.Part.MODEL.value),
    "conversation": ("conversation_id", UsageDaily.Part.CONVERSATION.value),
}
"""By the name of a group: the column that it is by, and the part of the rows that have it."""
USUAL_DAYS: Final = 30
FIRST_DAY: Final = date(1970, 1, 31)
LAST_DAY: Final = date(9998, 12, 31)
_LONGEST_PERIOD: Final = timedelta(days=400)
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sums:
    """Calls, tokens by kind and nano-USD; ``estimated_*`` is the part that no upstream has confirmed."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    nano_usd: int = 0
    estimated_calls: int = 0
    estimated_nano_usd: int = 0

    def as_json(self) -> dict[str, Any]:
        """As the API shows them, money as decimal strings in USD."""
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "cached_tokens": self.cached_tokens,
            "total_tokens": self.tokens,
            "cost_usd": usd_string(self.nano_usd),
            "average_cost_usd": average(self.nano_usd, self.calls),
            "cost_per_1k_tokens_usd": average(self.nano_usd * 1000, self.tokens),
            "estimated_calls": self.estimated_calls,
            "estimated_cost_usd": usd_string(self.estimated_nano_usd),
        }

    def less(self, parts: Iterable[Sums]) -> Sums:
        """What is left of these sums without ``parts``, which are in them."""
        left = [getattr(self, name) for name in NAMES]
        for part in parts:
            left = [amount - getattr(part, name) for amount, name in zip(left, NAMES, strict=True)]
        return Sums(*left)


NAMES: Final = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True)
class Group:
    """What one day, model, key or conversation used. ``value`` None: no key, no conversation."""

    value: Any
    sums: Sums


@dataclass(frozen=True, slots=True)
class Span:
    """The days from ``first`` to ``last``, both included; with ``period_start``, only what belongs to that period."""

    first: date
    last: date
    period_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose usage it is: the zone of its days and the period that runs now."""

    user_id: UUID
    zone: str
    at: datetime
    period_start: datetime
    period_end: datetime

    @property
    def today(self) -> date:
        return day_of(self.at, self.zone)

    @property
    def period(self) -> Span:
        """The days of the running period."""
        return Span(day_of(self.period_start, self.zone), day_of(self.period_end, self.zone), self.period_start)

    def span(self, first: date | None, last: date | None) -> Span:
        """The days from ``first`` to ``last``; of the running period when neither is given. ValueError if backwards."""
        if first is None and last is None:
            return self.period
        last = last or max(self.today, first or self.today)
        first = first or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise ValueError("The first day comes after the last.")
        return Span(first, last)


def read_day(text: str) -> date | None:
    """The day in ``text``, as 2026-01-31; None when it is empty. ValueError for anything else.

    A day before there was anything is as good as the first, and one beyond the calendar as the last.
    """
    if not text:
        return None
    return min(max(calendar_day(text), FIRST_DAY), LAST_DAY)


def average(amount: int, count: int) -> str | None:
    """``amount`` nano-USD over ``count``, to the nearest nano, as USD; None over nothing."""
    return usd_string((2 * amount + count) // (2 * count)) if count else None


def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` as a decimal string from 0 to 1 with four places, rounded half up."""
    ten_thousandths = (20_000 * part + whole) // (2 * whole) if whole else 0
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"


def account_of(user_id: UUID, at: datetime | None = None) -> Account:
    """The account; its days follow the person into another time zone. User.DoesNotExist when there is none.

    Its period is that of the team while a team pays.
    """
    at = at or now()
    user = User.objects.only("timezone", "created_at").get(pk=user_id)
    zone = rollup.follow_zone(user_id, user.timezone)
    start, end = payers.period_of(user_id, user.created_at, at)
    return Account(user_id, str(zone_of(zone)), at, start, end)


def _rows(user_id: UUID, span: Span, part: str) -> QuerySet[UsageDaily]:
    found = UsageDaily.objects.filter(user_id=user_id, part=part, day__gte=span.first, day__lte=span.last)
    return found if span.period_start is None else found.filter(period_start=span.period_start)


def _sums(row: Mapping[str, Any]) -> Sums:
    return Sums(*(int(row[f"sum_{name}"] or 0) for name in NAMES))


_ALL: Final = {f"sum_{name}": Sum(name) for name in NAMES}


class Groups:
    """What was used in a span, one by one: days in their order, all else with the costliest first."""

    def __init__(self, user_id: UUID, span: Span, group: str) -> None:
        column, part = GROUPS[group]
        this = rows.table(UsageDaily)
        self._column = column
        self._order = column if group == "day" else f"sum_nano_usd DESC, sum_tokens DESC, {column}"
        sums = ", ".join(f"SUM({name}) AS sum_{name}" for name in NAMES)
        where = "user_id = %s AND part = %s AND day >= %s AND day <= %s"
        self._values = [
            this.to_db("user_id", user_id), part, this.to_db("day", span.first), this.to_db("day", span.last),
        ]  # fmt: skip
        if span.period_start is not None:
            where += " AND period_start = %s"
            self._values.append(this.to_db("period_start", span.period_start))
        # One pass: the number of all groups comes with each of them.
        self._sql = (
            f"SELECT {column}, COUNT(*) OVER () AS sum_all, {sums} FROM {this.name} "  # noqa: S608 (names of ours)
            f"WHERE {where} GROUP BY {column} ORDER BY "
        )

    def page(self, start: int, count: int) -> tuple[list[Group], int]:
        """``count`` groups from the one numbered ``start`` on, and how many there are; 0 when it is beyond them."""
        found = self._read(f"{self._order} LIMIT %s OFFSET %s", [count, start])
        return [group for group, _ in found], found[0][1] if found else 0

    def all(self) -> list[Group]:
        """Every group."""
        return [group for group, _ in self._read(self._order, [])]

    def costliest(self) -> Group | None:
        """The group that cost most, and of those that cost nothing the one with most tokens."""
        found = self._read(f"sum_nano_usd DESC, sum_tokens DESC, {self._column} LIMIT 1", [])
        return found[0][0] if found else None

    def _read(self, tail: str, values: list[int]) -> list[tuple[Group, int]]:
        this = rows.table(UsageDaily)
        found = []
        for value, size, *sums in rows.query(this, self._sql + tail, [*self._values, *values]):
            shown = this.from_db(self._column, value)
            found.append((Group(None if shown == rollup.NONE else shown, Sums(*map(int, sums))), size))
        return found


def total_of(user_id: UUID, span: Span) -> Sums:
    """Everything that was used in ``span``."""
    return _sums(_rows(user_id, span, UsageDaily.Part.MODEL.value).aggregate(**_ALL))


# Where it leads --------------------------------------------------------------------------------------


def projected(amount: int, account: Account) -> int | None:
    """What ``amount``, used so far in the running period, comes to at its end at this pace; None on its first day."""
    elapsed, whole = account.at - account.period_start, account.period_end - account.period_start
    if elapsed < _A_DAY:
        return None
    return amount * int(whole.total_seconds()) // int(elapsed.total_seconds())


def used_up_at(amount: int, limit: int | None, account: Account) -> datetime | None:
    """When ``limit`` is used up at this pace, if that is before the period ends."""
    elapsed = account.at - account.period_start
    if limit is None or amount <= 0 or elapsed < _A_DAY:
        return None
    seconds = int(elapsed.total_seconds()) * limit // amount
    if seconds >= int((account.period_end - account.period_start).total_seconds()):
        return None  # and beyond the calendar it could not be said at all
    return max(account.period_start + timedelta(seconds=seconds), account.at)


@dataclass(frozen=True, slots=True)
class LastPeriod:
    """The period before the running one: all of it, and its days up to the one that is today's counterpart."""

    start: datetime
    whole: Sums
    by_this_day: Sums


def last_period(account: Account) -> LastPeriod | None:
    """The latest earlier period in which something was used; None when there is none."""
    earliest = account.period.first - _LONGEST_PERIOD
    before = _rows(account.user_id, Span(earliest, account.period.first), UsageDaily.Part.MODEL.value)
    start = before.filter(period_start__lt=account.period_start).aggregate(at=Max("period_start"))["at"]
    if start is None:
        return None
    first = day_of(start, account.zone)
    counterpart = first + (account.today - account.period.first)
    return LastPeriod(
        start,
        total_of(account.user_id, Span(first, account.period.first, start)),
        total_of(account.user_id, Span(first, min(counterpart, account.period.first), start)),
    )


def records(account: Account, span: Span) -> QuerySet[UsageRecord]:
    """The usage records that ``span`` adds up."""
    first, after = begin_of(span.first, account.zone), begin_of(span.last + _A_DAY, account.zone)
    found = UsageRecord.objects.filter(user_id=account.user_id, asked_at__gte=first, asked_at__lt=after)
    return found if span.period_start is None else found.filter(period_start=span.period_start)
