"""How fast the sandbox's models write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

SLICE = 0.04
"""Longest sleep in seconds between two looks at the connection: a reader who leaves is seen within 0.1 s."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A named speed. `rate` is tokens a second (None: as fast as they go out), times are seconds."""

    name: str
    rate: float | None
    first_token: float
    comment_gap: float


PACES = {
    "human": Pace("human", 40.0, 0.35, 0.5),
    "fast": Pace("fast", 400.0, 0.02, 0.05),
    "none": Pace("none", None, 0.0, 0.02),
}


async def rest(seconds: float, gone: Callable[[], bool]) -> bool:
    """Sleeps, but wakes early when the reader leaves; False says that it left."""
    end = time.monotonic() + seconds
    while not gone():
        left = end - time.monotonic()
        if left <= 0:
            return True
        await asyncio.sleep(min(left, SLICE))
    return False


class Metronome:
    """Says when the next piece is due; measured from the start, so that sleeping too long does not add up."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._start = time.monotonic()
        self._written = 0

    async def wait(self, tokens: int, gone: Callable[[], bool]) -> bool:
        """Waits until so many further tokens may be out; False says that the reader left."""
        if self._rate is None:
            self._written += 1
            # A task that never yields would starve the reader's own disconnect.
            if self._written % 4 == 0:
                await asyncio.sleep(0)
            return not gone()
        self._written += tokens
        due = self._start + self._written / self._rate - time.monotonic()
        if due > 0:
            return await rest(due, gone)
        await asyncio.sleep(0)
        return not gone()
