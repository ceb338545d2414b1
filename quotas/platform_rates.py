"""Rates of the whole platform: requests and tokens a minute, and answers at once, of all accounts together.

Off unless the owner has set one, and then exact: whoever admits, extends or ends a call locks the one row,
after the accounts and before the day's shards, so batches of all processes stand in line. An end corrects
what its call was counted with in the minute; how many answers run is counted from the open holds. A process
that has seen the rates off looks again after a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from oneai.kit import rows
from quotas import rates
from quotas.models import Hold, PlatformRates
from quotas.rates import Window
from quotas.refusals import rate_exceeded, too_many_running

SCOPE: Final = "global"
ROW: Final = 1
LOOK_SECONDS: Final = 1.0
_off_until = 0.0
_NAMES: Final = ("requests_per_minute", "tokens_per_minute", "concurrent_generations", "recent")


@dataclass(slots=True)
class _State:
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_generations: int | None
    recent: Window

    @property
    def is_off(self) -> bool:
        return self.requests_per_minute is self.tokens_per_minute is self.concurrent_generations is None


class Platform:
    """The platform's rates as one batch sees and changes them; lives as long as its transaction."""

    def __init__(self, at: datetime) -> None:
        self._second = rates.second_of(at)
        self._state: _State | None = None
        self._running: int | None = None
        self._began = 0
        self._ended = 0
        self._noted: list[tuple[int, int]] = []
        self._changed = False

    def ended(self) -> None:
        """An answer that ran before this batch runs no more; its row may not say so yet."""
        self._ended += 1

    def correct(self, second: int, tokens: int) -> None:
        """Note that what was counted in ``second`` is ``tokens`` more, or fewer, now that a call of then is over."""
        if tokens and second + rates.MINUTE >= self._second:
            self._noted.append((second, tokens))

    def room(self, second: int, own: int, wanted: int) -> int:
        """Of ``wanted`` tokens more for a call of ``second`` that holds ``own``, what the minute has left.

        As with an admission, a call that is alone in it is not cut.
        """
        state = self._read()
        limit = state.tokens_per_minute
        if limit is None:
            return wanted
        used = rates.totals(state.recent, self._second)[1]
        if limit and used <= (own if second + rates.MINUTE >= self._second else 0):
            return wanted
        return min(wanted, max(0, limit - used))

    def extend(self, second: int, tokens: int) -> None:
        """Count ``tokens`` more for a call of ``second``: there while that counts, so that its end corrects both."""
        state = self._read()
        if state.is_off:
            return
        there = second + rates.MINUTE >= self._second and any(entry[0] == second for entry in state.recent)
        if there:
            state.recent = rates.correct(state.recent, second, tokens)
        else:
            state.recent = rates.add(state.recent, self._second, 0, tokens)
        self._changed = True

    def check(self, requests: int, tokens: Sequence[int]) -> None:
        """Whether so many requests and answers, each with its tokens, may begin. Refusal when they may not."""
        state = self._read()
        if state.is_off:
            return
        most = state.concurrent_generations
        if most is not None:
            if self._running is None:
                self._running = _running()
            running = self._running + self._began - self._ended
            if running + len(tokens) > most:
                raise too_many_running(most, running, SCOPE, len(tokens))
        counted, used = rates.totals(state.recent, self._second)
        limit = state.requests_per_minute
        if limit is not None and requests and counted + requests > limit:
            wait = rates.wait_for(state.recent, self._second, 1, limit - requests)
            raise rate_exceeded(SCOPE, "requests_per_minute", limit, max(0, limit - counted), wait, requests)
        limit, total = state.tokens_per_minute, sum(tokens)
        # As with an account's: what is alone in its minute is let through, however large.
        if limit is not None and used and used + total > limit:
            wait = rates.wait_for(state.recent, self._second, 2, max(0, limit - total))
            raise rate_exceeded(SCOPE, "tokens_per_minute", limit, max(0, limit - used), wait, total)

    def add(self, requests: int, tokens: Sequence[int]) -> None:
        """Count what ``check`` has let through."""
        state = self._read()
        if state.is_off:
            return
        state.recent = rates.add(state.recent, self._second, requests, sum(tokens))
        self._began += len(tokens)
        self._changed = True

    def write(self) -> None:
        """Write what was counted, and corrected by ends alone."""
        if self._noted:
            self._read()
        if self._changed and self._state is not None:
            rows.update(PlatformRates, [{"id": ROW, "recent": self._state.recent}])
            self._changed = False

    def _read(self) -> _State:
        """The row, with what was noted: looked at without a lock, and locked when a rate is set."""
        global _off_until
        if self._state is None and time.monotonic() < _off_until:
            self._state = _State(None, None, None, [])
        if self._state is None:
            found = _row(lock=False)
            if found.is_off:
                _off_until = time.monotonic() + LOOK_SECONDS
            else:
                found = _row(lock=True)
            self._state = found
        if self._noted and not self._state.is_off:
            for second, tokens in self._noted:
                self._state.recent = rates.correct(self._state.recent, second, tokens)
            self._changed = True
        self._noted.clear()
        return self._state


def _row(*, lock: bool) -> _State:
    found = rows.select(PlatformRates, _NAMES, by="id", values=[ROW], lock=lock)
    if not found:
        return _State(None, None, None, [])
    return _State(**found[0] | {"recent": found[0]["recent"] or []})


def _running() -> int:
    """Answers that run by what is written: neither begun nor ended ones of this batch are in it."""
    this = rows.table(Hold)
    # The first condition is that of the partial index holds_open: what is closed is never looked at.
    sql = f"SELECT COUNT(*) FROM {this.name} WHERE state IN ('held', 'orphaned') AND state = 'held'"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])
