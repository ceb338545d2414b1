"""Circuit breakers: what has just failed rests for a while before it is asked again.

A breaker only chooses among what there is: nobody is refused because of one. Kept per process, in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

OPENS_AFTER: Final = 3
"""Failures in a row, none of them with a word of an answer."""
FIRST_REST: Final = 5.0
LONGEST_REST: Final = 30.0
MOST_KEPT: Final = 2000


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    rest: float = 0.0
    until: float = 0.0
    code: str = ""


class Breakers:
    """One breaker for each name. A failed trial lets it rest twice as long, up to 30 s; a success closes it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    def failed(self, name: str, code: str, *, opens_after: int = OPENS_AFTER, rest: float | None = None) -> None:
        """Note a failure by its code. ``rest``: for so many seconds from now, whatever came before."""
        circuit = self._circuits.get(name)
        if circuit is None:
            if len(self._circuits) >= MOST_KEPT:
                self._circuits.clear()  # they are found out again soon enough
            circuit = self._circuits[name] = _Circuit()
        circuit.failures += 1
        circuit.code = code
        if rest is not None or circuit.failures >= opens_after:
            circuit.rest = rest or min(circuit.rest * 2 or FIRST_REST, LONGEST_REST)
            circuit.until = self._clock() + circuit.rest

    def worked(self, name: str) -> None:
        """Note that an answer has begun."""
        if self._circuits:
            self._circuits.pop(name, None)

    def undecided(self, name: str) -> None:
        """Note that a trial has told nothing: the next may try."""
        circuit = self._circuits.get(name)
        if circuit is not None and circuit.until:
            circuit.until = min(circuit.until, self._clock())

    def resting(self, name: str) -> str:
        """The code of the last failure while ``name`` rests, else nothing."""
        circuit = self._circuits.get(name)
        return circuit.code if circuit is not None and self._clock() < circuit.until else ""

    def trial(self, name: str) -> str:
        """As ``resting``; whoever is told that the rest is over tries it, and the others wait for the outcome."""
        if code := self.resting(name):
            return code
        circuit = self._circuits.get(name)
        if circuit is not None and circuit.until:
            circuit.until = self._clock() + circuit.rest
        return ""
