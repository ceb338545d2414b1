"""Finished turns that stay in memory for a moment, for readers that come late; bounded in bytes."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from chat.replay import TurnStream

KEEP_SECONDS: Final = 30.0
MOST_KEPT: Final = 64 * 1024 * 1024  # bytes; beyond it the oldest go at once


class Retention:
    """Takes finished turns out of ``turns``, in time; the database has them all."""

    def __init__(self, turns: dict[UUID, TurnStream]) -> None:
        self._turns = turns
        self._sizes: dict[UUID, int] = {}
        self._loop = asyncio.get_running_loop()
        self.bytes = 0

    def keep(self, turn: TurnStream) -> None:
        """Keep a turn that has ended for ``KEEP_SECONDS``, or until younger ones take its room."""
        self._forget(turn.turn_id, pop=False)
        self._sizes[turn.turn_id] = size = turn.size()
        self.bytes += size
        while self.bytes > MOST_KEPT:
            self._forget(next(iter(self._sizes)))
        self._loop.call_later(KEEP_SECONDS, self._forget, turn.turn_id)

    def _forget(self, turn_id: UUID, pop: bool = True) -> None:
        size = self._sizes.pop(turn_id, None)
        if size is not None:
            self.bytes -= size
            if pop:
                self._turns.pop(turn_id, None)
