"""Rates of the whole platform: requests and tokens a minute, and answers at once, of all accounts together.

Off unless the owner has set one, and then exact: whoever admits locks the one row, after the accounts and
before the day's shards, so admissions of all processes stand in line. Ends don't touch it: how many answers
run is counted from the open holds. A process that has seen them off looks again after a second.
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
    running: int = 0

    @property
    def is_off(self) -> bool:
        return self.requests_per_minute is self.tokens_per_minute is self.concurrent_generations is None


class Platform:
    """The platform's rates as one batch sees and changes them; lives as long as its transaction."""

    def __init__(self, at: datetime) -> None:
        self._second = rates.second_of(at)
        self._state: _State | None = None
        self._ended = 0
        self._changed = False

    def ended(self) -> None:
        """An answer that ran before this batch runs no more; its row may not say so yet."""
        self._ended += 1

    def check(self, requests: int, tokens: Sequence[int]) -> None:
        """Whether so many requests and answers, each with its tokens, may begin. Refusal when they may not."""
        state = self._read()
        if state.is_off:
            return
        most, running = state.concurrent_generations, state.running - self._ended
        if most is not None and running + len(tokens) > most:
            raise too_many_running(most, running, SCOPE)
        counted, used = rates.totals(state.recent, self._second)
        limit = state.requests_per_minute
        if limit is not None and requests and counted + requests > limit:
            wait = rates.wait_for(state.recent, self._second, 1, limit - requests)
            raise rate_exceeded(SCOPE, "requests_per_minute", limit, max(0, limit - counted), wait)
        limit, total = state.tokens_per_minute, sum(tokens)
        # As with an account's: what is alone in its minute is let through, however large.
        if limit is not None and used and used + total > limit:
            wait = rates.wait_for(state.recent, self._second, 2, max(0, limit - total))
            raise rate_exceeded(SCOPE, "tokens_per_minute", limit, max(0, limit - used), wait)

    def add(self, requests: int, tokens: Sequence[int]) -> None:
        """Count what ``check`` has let through."""
        state = self._read()
        if state.is_off:
            return
        state.recent = rates.add(state.recent, self._second, requests, sum(tokens))
        state.running += len(tokens)
        self._changed = True

    def write(self) -> None:
        """Write what was counted."""
        if self._changed and self._state is not None:
            rows.update(PlatformRates, [{"id": ROW, "recent": self._state.recent}])
            self._changed = False

    def _read(self) -> _State:
        """The row: looked at without a lock, and locked when a rate is set."""
        global _off_until
        if self._state is None and time.monotonic() < _off_until:
            self._state = _State(None, None, None, [])
        if self._state is None:
            found = _row(lock=False)
            if found.is_off:
                _off_until = time.monotonic() + LOOK_SECONDS
            else:
                found = _row(lock=True)
                found.running = _running()
            self._state = found
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
