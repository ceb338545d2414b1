"""Requests and tokens per minute, exact over every 60 seconds that one may look at.

A window is a list of ``[second, requests, tokens]``, oldest first, one entry for each second in
which something was admitted. An entry counts until 60 whole seconds lie behind its second, so no
choice of a minute ever holds more than the limit; a fixed window would let twice as much through
at its edge. Everything here is pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MINUTE: Final = 60
Window = list[list[int]]


@dataclass(frozen=True, slots=True)
class RateState:
    """A rate after an admission, for the answer's headers. ``limit`` None: unlimited.

    ``reset_*`` is the time in seconds until all of the limit is free again.
    """

    limit_requests: int | None
    remaining_requests: int | None
    reset_requests: int
    limit_tokens: int | None
    remaining_tokens: int | None
    reset_tokens: int


def second_of(at: datetime) -> int:
    """The second that ``at`` lies in, since 1970."""
    return math.floor(at.timestamp())


def pruned(window: Sequence[Sequence[int]], second: int) -> Window:
    """The entries that still count in ``second``, as a new list."""
    return [list(entry) for entry in window if entry[0] + MINUTE >= second]


def totals(window: Sequence[Sequence[int]], second: int) -> tuple[int, int]:
    """Requests and tokens that count in ``second``."""
    requests = tokens = 0
    for entry in window:
        if entry[0] + MINUTE >= second:
            requests += entry[1]
            tokens += entry[2]
    return requests, tokens


def wait_for(window: Sequence[Sequence[int]], second: int, column: int, most: int) -> int:
    """Seconds until at most ``most`` of ``column`` (1: requests, 2: tokens) counts."""
    counting = [entry for entry in window if entry[0] + MINUTE >= second]
    left = sum(entry[column] for entry in counting)
    for entry in counting:
        if left <= most:
            break
        left -= entry[column]
        wait = entry[0] + MINUTE + 1 - second
        if left <= most:
            return max(1, wait)
    return 1 if left <= most else MINUTE + 1


def reset_in(window: Sequence[Sequence[int]], second: int, column: int) -> int:
    """Seconds until nothing of ``column`` counts any more; 0 when nothing does."""
    newest = max((entry[0] for entry in window if entry[column] and entry[0] + MINUTE >= second), default=None)
    return 0 if newest is None else newest + MINUTE + 1 - second


def add(window: Window, second: int, requests: int, tokens: int) -> Window:
    """The window with one more admission in ``second``, and without what no longer counts."""
    kept = pruned(window, second)
    for entry in kept:
        if entry[0] == second:
            entry[1] += requests
            entry[2] += tokens
            return kept
    kept.append([second, requests, tokens])
    kept.sort()
    return kept


def correct(window: Sequence[Sequence[int]], second: int, tokens: int) -> Window:
    """The window with the tokens counted in ``second`` changed by ``tokens``, now that the true figure is known."""
    return [[entry[0], entry[1], max(0, entry[2] + tokens) if entry[0] == second else entry[2]] for entry in window]
