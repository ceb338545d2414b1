"""The platform's daily ceiling: what all accounts together may cost the owner on one UTC day.

The day's limit lies in shards, so that batches of several processes don't wait for one row. A batch
locks the shard it works on, after its accounts; when that is short, all of them, and moves room over.
Locks are only waited for in the order of (day, shard). A batch that would have to wait against that
order raises ``Contended`` before anything is written: run again, it takes all locks from the start.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, connection

from oneai.kit import rows
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from oneai.kit.money import nano_from_usd
from quotas.models import OwnerAlert, PlatformCounter

SHARDS: Final = {"sqlite": 1, "postgresql": 8}
ROOMY: Final = 8
"""One shard is enough while it has room for this many calls of the size at hand."""
ALL_LOCKED_SECONDS: Final = 5.0
SAID_SECONDS: Final = 60.0

Key = tuple[date, int]
_NAMES: Final = ("id", "day", "shard", "quota_limit", "used", "held", "overrun")
_take_all_until = 0.0
_said = (date.min, float("-inf"))  # the day of which this process said last that it is full, and when
_seen: tuple[date, int] | None = None  # the day whose shards this process found there, and its limit then


class Contended(OperationalError):
    """Two batches need each other's shards. Nothing was written; the transaction is to be run again."""


@dataclass(slots=True)
class Shard:
    """A part of the day's limit, under our lock."""

    id: int
    day: date
    shard: int
    quota_limit: int
    used: int
    held: int
    overrun: int
    changed: bool = False

    @property
    def room(self) -> int:
        return self.quota_limit - self.used - self.held


def daily_limit() -> int:
    """The day's limit in nano-USD, from PLATFORM_DAILY_USD."""
    return nano_from_usd(settings.PLATFORM_DAILY_USD)


def next_midnight(at: datetime) -> datetime:
    """When the UTC day of ``at`` ends."""
    return datetime.combine(at.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def _refusal(at: datetime) -> Refusal:
    ends = next_midnight(at)
    return Refusal(
        "platform_limit_reached",
        details={"reset_at": ends.isoformat().replace("+00:00", "Z")},
        retry_after=max(1, math.ceil((ends - at).total_seconds())),
    )


def _shares(total: int, count: int) -> list[int]:
    """``total`` in ``count`` whole parts that differ by at most one and sum to it."""
    least, rest = divmod(total, count)
    return [least + (1 if index < rest else 0) for index in range(count)]


class Ceiling:
    """The shards as one batch sees and changes them; lives as long as its transaction.

    What is given back is only noted until the shards are locked, so that one sorted lock serves both.
    """

    def __init__(self, at: datetime, older: Iterable[Key] = ()) -> None:
        """``older`` are the shards in which holds of this batch lie."""
        self._at = at
        self._today = at.astimezone(UTC).date()
        self._older = set(older)
        self._closing: list[tuple[Key, int, int, int]] = []  # held, used and overrun, each with its sign
        self._mine: dict[Key, Shard] = {}
        self._home: Shard | None = None
        self._whole: set[date] = set()  # days of which all shards are locked
        self._full: date | None = None

    def take(self, nano: int) -> Key:
        """Hold ``nano`` of today's limit; the shard it lies in. Refusal when the day has not that much left."""
        if self._home is None:
            self._home = self._open(nano)
        self._apply_closing()
        home = self._home
        if home.room < nano:
            self._gather(home, nano)
        if home.room < nano:
            self._full = home.day
            raise _refusal(self._at)
        home.held += nano
        home.changed = True
        return home.day, home.shard

    def take_more(self, key: Key, nano: int) -> None:
        """Hold ``nano`` more in the shard ``key``, where a hold of this batch lies. Refusal when its day is full."""
        self._apply_closing()
        self._lock({key} | self._older)
        shard = self._mine[key]
        if shard.room < nano:
            self._gather(shard, nano)
        if shard.room < nano:
            self._full = shard.day
            raise _refusal(self._at)
        shard.held += nano
        shard.changed = True

    def close(self, key: Key | None, held: int, actual: int) -> None:
        """Give back ``held`` and count ``actual`` in the shard ``key``.

        None: nothing was held, the price being 0, but the provider billed all the same.
        """
        self._closing.append((key or (self._today, 0), -held, actual, max(0, actual - held)))

    def correct(self, key: Key, held: int, before: int, after: int) -> None:
        """Count ``after`` instead of ``before`` in the shard ``key``, where ``held`` was given back at the end."""
        self._closing.append((key, 0, after - before, max(0, after - held) - max(0, before - held)))

    def _apply_closing(self) -> None:
        if not self._closing:
            return
        keys = {key for key, *_ in self._closing}
        self._lock(keys | self._older)
        if missing := keys - self._mine.keys():  # nothing was held that day, the price being 0
            for day in sorted({day for day, _ in missing}):
                self._make(day)
            self._lock(missing)
        for key, held, used, overrun in self._closing:
            shard = self._mine[key]
            shard.held += held
            shard.used += used
            shard.overrun += overrun
            shard.changed = True
        self._closing.clear()
        for key in sorted(keys):
            if self._mine[key].room < 0:  # what went beyond its hold is the whole day's: the others have less
                self._gather(self._mine[key], 0)

    def write(self) -> None:
        """Write what changed, in one statement."""
        self._apply_closing()
        changed = [shard for shard in self._mine.values() if shard.changed]
        rows.update(
            PlatformCounter,
            [
                {
                    "id": shard.id,
                    "quota_limit": shard.quota_limit,
                    "used": shard.used,
                    "held": shard.held,
                    "overrun": shard.overrun,
                }
                for shard in changed
            ],
        )
        for shard in changed:
            shard.changed = False
        if self._full is not None:
            self._say_full(self._full)

    def _say_full(self, day: date) -> None:
        """Note that calls are refused, for the owners to hear of once; said again now and then, a commit may fail."""
        global _said
        if _said[0] == day and time.monotonic() < _said[1] + SAID_SECONDS:
            return
        _said = (day, time.monotonic())
        limit = sum(row.quota_limit for row in self._read("day = %s", [day]))
        alert = {
            "id": uuid7(),
            "day": day,
            "kind": OwnerAlert.Kind.CEILING.value,
            "percent": 100,
            "quota_limit": limit,
            "until": None,
            "created_at": self._at,
            "told_at": None,
        }
        rows.insert(OwnerAlert, [alert], ignore_conflicts=True)

    # Locks ---------------------------------------------------------------------------------------
    def _open(self, nano: int) -> Shard:
        """Lock the shards to begin with and choose the one to hold in."""
        global _seen
        if _seen == (self._today, daily_limit()) and time.monotonic() >= _take_all_until:
            # The day is shared out. Any shard will do: when it turns out short, ``take`` gathers.
            known = [key for key in self._older if key[0] == self._today]
            start = known[0] if known else (self._today, random.randrange(SHARDS[connection.vendor]))  # noqa: S311
            self._lock({start} | self._older)
            shard = self._mine.get(start)
            if shard is not None:
                if shard.room < nano * ROOMY:
                    _seen = None  # from now on, look before locking
                return shard
        seen = self._read("day = %s", [self._today])
        if not seen:
            self._make(self._today)
            seen = self._read("day = %s", [self._today])
        if connection.vendor == "sqlite":
            self._mine |= {(row.day, row.shard): row for row in seen}  # the transaction is the lock
        mine = [row for row in seen if (row.day, row.shard) in self._older]
        choice = max(mine, key=lambda row: row.room, default=None) or random.choice(seen)  # noqa: S311 (not a secret)
        tight = choice.room < nano * ROOMY or time.monotonic() < _take_all_until
        if tight or sum(row.quota_limit for row in seen) != daily_limit():
            self._lock({(row.day, row.shard) for row in seen} | self._older)
            self._whole.add(self._today)
            self._rescale()
            _seen = (self._today, daily_limit())
            shards = [shard for shard in self._mine.values() if shard.day == self._today]
            return max(shards, key=lambda shard: shard.room)
        key = (choice.day, choice.shard)
        self._lock({key} | self._older)
        _seen = (self._today, daily_limit())
        return self._mine[key]

    def _gather(self, home: Shard, nano: int) -> None:
        """Move room of the other shards to ``home``, under the lock of all of them."""
        if home.day not in self._whole:
            self._lock((row.day, row.shard) for row in self._read("day = %s", [home.day]))
            self._whole.add(home.day)
        for shard in self._mine.values():
            if shard is home or shard.day != home.day:
                continue
            moved = min(max(0, shard.room), nano - home.room)
            if moved <= 0:
                continue
            shard.quota_limit -= moved
            home.quota_limit += moved
            shard.changed = home.changed = True

    def _rescale(self) -> None:
        """Share the day's limit out again when the setting has changed; the sum is exact again."""
        shards = [shard for shard in self._mine.values() if shard.day == self._today]
        total = daily_limit()
        if sum(shard.quota_limit for shard in shards) == total:
            return
        left = total - sum(shard.used + shard.held for shard in shards)
        for shard, share in zip(shards, _shares(left, len(shards)), strict=True):
            shard.quota_limit = shard.used + shard.held + share
            shard.changed = True

    def _lock(self, keys: Iterable[Key]) -> None:
        """Lock ``keys`` in order and read them. Those before one that we hold are not waited for."""
        wanted = sorted(set(keys) - self._mine.keys())
        if not wanted:
            return
        last = max(self._mine, default=None)
        if last is None or connection.vendor == "sqlite":
            early, late = [], wanted
        else:
            early = [key for key in wanted if key < last]
            late = [key for key in wanted if key > last]
        self._keep(early, "FOR UPDATE SKIP LOCKED")
        if any(key not in self._mine for key in early):
            global _take_all_until
            _take_all_until = time.monotonic() + ALL_LOCKED_SECONDS
            raise Contended("another batch works on the shards that this one needs")
        self._keep(late, "FOR UPDATE")

    def _keep(self, keys: Sequence[Key], locking: str) -> None:
        if not keys:
            return
        condition = " OR ".join(["(day = %s AND shard = %s)"] * len(keys))
        params = [value for key in keys for value in key]
        for shard in self._read(condition, params, locking):
            self._mine[shard.day, shard.shard] = shard

    def _read(self, condition: str, params: Sequence[Any], locking: str = "") -> list[Shard]:
        this = rows.table(PlatformCounter)
        suffix = f" {locking}" if connection.vendor == "postgresql" else ""
        sql = f"SELECT {','.join(_NAMES)} FROM {this.name} WHERE {condition} ORDER BY day, shard{suffix}"  # noqa: S608
        values = [this.to_db("day", value) if isinstance(value, date) else value for value in params]
        return [Shard(**row) for row in this.decoded(_NAMES, rows.query(this, sql, values))]

    def _make(self, day: date) -> None:
        """The shards of ``day``, unless somebody was faster."""
        count = SHARDS[connection.vendor]
        made = [
            {"day": day, "shard": index, "quota_limit": share, "used": 0, "held": 0, "overrun": 0}
            for index, share in enumerate(_shares(daily_limit(), count))
        ]
        rows.insert(PlatformCounter, made, ignore_conflicts=True)
