"""The sandbox's own time: it runs with the machine's, may be moved forward or stopped, and plans what falls due."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

Task = Callable[[], None]


class Clock:
    """Unix seconds that can be moved, and a list of what is to happen when."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.clear()

    def clear(self) -> None:
        """Back to the machine's time, nothing planned."""
        self._offset = 0.0
        self._stopped: float | None = None
        self._pinned: int | None = None
        self._due: list[tuple[int, int, Task]] = []

    @property
    def frozen(self) -> bool:
        """Whether time passes only by being moved."""
        return self._stopped is not None

    def freeze(self, frozen: bool) -> None:
        """Stops the clock, or lets it run on from where it stands."""
        if frozen == self.frozen:
            return
        if self._stopped is None:
            self._stopped = time.time() + self._offset
        else:
            self._offset = self._stopped - time.time()
            self._stopped = None

    def _shown(self) -> int:
        return int(self._stopped if self._stopped is not None else time.time() + self._offset)

    def now(self) -> int:
        """Unix seconds. While something that was due is made up for, the moment it was due."""
        return self._pinned if self._pinned is not None else self._shown()

    def set(self, moment: int) -> None:
        """Shows another time. What falls due until then is run by `run_next`."""
        if self._stopped is not None:
            self._stopped = float(moment)
        else:
            self._offset = moment - time.time()

    def at(self, moment: int, task: Task) -> None:
        """Plans a task."""
        heapq.heappush(self._due, (moment, next(self._numbers), task))

    def next_due(self) -> int | None:
        """When the next planned task is due."""
        return self._due[0][0] if self._due else None

    def run_next(self, until: int) -> bool:
        """Runs the next task due by `until`, at the moment it was due; False when there is none."""
        if not self._due or self._due[0][0] > until or self._pinned is not None:
            return False
        moment, _, task = heapq.heappop(self._due)
        self._pinned = moment
        try:
            task()
        finally:
            self._pinned = None
        return True
