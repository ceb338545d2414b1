"""Changing a plan in the middle of a paid period, in whole paise and whole tokens.

A period is divided at a second. What is left of an amount is rounded down and what was used is the rest, so that both
are the whole; nobody is credited more than they paid, and the same plan again costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many of a period's seconds are still to come: ``left`` of ``whole``."""

    left: int
    whole: int

    def of(self, amount: int) -> int:
        """The part of ``amount`` for the time that is left, rounded down. ValueError when negative."""
        if amount < 0:
            raise ValueError("an amount is never negative")
        return amount * self.left // self.whole


def remaining(start: datetime, end: datetime, at: datetime) -> Remaining:
    """What is left of [start, end) at ``at``, which is moved into it when it lies outside.

    A second that has begun is used. ValueError when the period is shorter than a second.
    """
    whole = (end - start) // _SECOND
    if whole < 1:
        raise ValueError("a period has a length")
    left = (end - min(max(at, start), end)) // _SECOND
    return Remaining(min(left, whole), whole)


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of plan costs now, in paise, and what it gives, in tokens.

    ``credit`` is the unused part of what was paid, ``charge`` the new price for the same time. ``pay`` is due now;
    ``over`` is the part of the credit that the charge did not use up. ``tokens`` come on top of what the
    running period gave; a smaller plan takes none away.
    """

    credit: int
    charge: int
    tokens: int

    @property
    def pay(self) -> int:
        return max(0, self.charge - self.credit)

    @property
    def over(self) -> int:
        return max(0, self.credit - self.charge)


def change(left: Remaining, *, paid: int, price: int, had: int, gives: int) -> Change:
    """A change with ``left`` of the period to come: from what was ``paid`` for all of it to ``price``.

    ``had`` and ``gives`` are the tokens of a whole period before and after. charge + over == credit + pay.
    """
    return Change(left.of(paid), left.of(price), max(0, left.of(gives) - left.of(had)))


def shares(amount: int, weights: Sequence[int]) -> list[int]:
    """``amount`` divided by ``weights`` so that the shares add up to it: what rounding leaves goes, one each, to
    those that lost most by it, the first of equals before the others.

    ValueError when anything is negative, or all weights are zero.
    """
    whole = sum(weights)
    if amount < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError("shares are of an amount, by weights that are not negative")
    found = [amount * weight // whole for weight in weights]
    lost = sorted(range(len(weights)), key=lambda index: (-(amount * weights[index] % whole), index))
    for index in lost[: amount - sum(found)]:
        found[index] += 1
    return found
