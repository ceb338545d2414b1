"""Charts as plain shapes, drawn by the server: a page needs no script for them. Each chart stands beside its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

MOST_BARS: Final = 400
SLOT: Final = 10
HEIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class Day:
    """What a day's bar is made of: two amounts, one on the other, and what is said of it."""

    lower: int
    upper: int
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart: two shapes, one on the other, in the units of its drawing."""

    x: int
    lower: int
    upper: int
    title: str

    @property
    def lower_y(self) -> int:
        return HEIGHT - self.lower

    @property
    def upper_y(self) -> int:
        return HEIGHT - self.lower - self.upper


@dataclass(frozen=True, slots=True)
class Chart:
    """The days of a range as bars; ``top`` says what the tallest stands for, as ``say`` puts it."""

    bars: list[Bar]
    width: int
    top: str
    first: date
    last: date

    @property
    def few(self) -> bool:
        """Whether so few bars would be blocks if they filled the page."""
        return self.width < 10 * SLOT


def draw(days: Mapping[date, Day], first: date, last: date, say: Callable[[int], str]) -> Chart:
    """The days from ``first`` to ``last``, of many the latest. Whatever is more than nothing is seen."""
    first = max(first, last - timedelta(days=MOST_BARS - 1))
    shown = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    top = max((days[day].lower + days[day].upper for day in shown if day in days), default=0)
    bars = []
    for number, day in enumerate(shown):
        if day in days:
            one = days[day]
            lower, upper = (-(-amount * HEIGHT // top) if top else 0 for amount in (one.lower, one.upper))
            bars.append(Bar(number * SLOT, lower, max(0, min(upper, HEIGHT - lower)), one.title))
    return Chart(bars, len(shown) * SLOT, say(top), first, last)
