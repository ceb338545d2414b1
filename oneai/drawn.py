"""What pages draw of usage: limits as meters, days as bars. Plain shapes of the server, for pages without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from oneai.kit.money import usd_string
from quotas import usage
from quotas.figures import LimitState
from quotas.policy import TOKENS
from quotas.usage import Account, Group, Span, Sums
from quotas.wording import amount_text, scope_text

MOST_BARS: Final = 400
_LOW: Final = 15  # percent of a limit that is left
_SLOT, _HEIGHT = 10, 100


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart: two shapes, one on the other, in the units of its drawing."""

    x: int
    lower: int
    upper: int
    title: str

    @property
    def lower_y(self) -> int:
        return _HEIGHT - self.lower

    @property
    def upper_y(self) -> int:
        return _HEIGHT - self.lower - self.upper


@dataclass(frozen=True, slots=True)
class Chart:
    """The days of a range as bars; ``top`` is what the tallest one stands for."""

    bars: list[Bar]
    width: int
    top: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit, in words, and how much of a hundred of it is left."""

    whose: str
    unit: str
    left: str
    limit: str
    held: str
    percent: int
    level: str
    reset: datetime
    ends: datetime | None


def cost(nano: int) -> str:
    """An amount of nano-USD as a page shows it."""
    return f"${usd_string(nano)}"


def meter(limit: LimitState, account: Account) -> Meter:
    """A limit that is one (``limit.limit`` is not None), in words."""
    most, left = limit.limit or 0, limit.remaining or 0
    percent = min(100, 100 * left // most) if most else 0  # top-ups may leave more than the limit
    return Meter(
        scope_text(limit.scope, team=bool(limit.team)),
        "tokens" if limit.unit == TOKENS else "budget",
        amount_text(limit.unit, left),
        amount_text(limit.unit, most),
        amount_text(limit.unit, limit.held) if limit.held else "",
        percent,
        "out" if not left else "low" if percent < _LOW else "fine",
        limit.reset_at,
        usage.used_up_at(limit.used, limit.limit, account),
    )


def chart(days: Sequence[Group], span: Span, measure: str = "tokens") -> Chart:
    """The days of a span as bars; ``measure`` is tokens or cost."""
    used = {one.value: one.sums for one in days}
    first = max(span.first, span.last - timedelta(days=MOST_BARS - 1))
    shown = [first + timedelta(days=number) for number in range((span.last - first).days + 1)]

    def amounts(sums: Sums) -> tuple[int, int]:
        return (sums.nano_usd, 0) if measure == "cost" else (sums.prompt_tokens, sums.tokens - sums.prompt_tokens)

    top = max((sum(amounts(used[day])) for day in shown if day in used), default=0)
    bars = []
    for number, day in enumerate(shown):
        if day in used:
            lower, upper = (-(-amount * _HEIGHT // top) if top else 0 for amount in amounts(used[day]))
            upper = max(0, min(upper, _HEIGHT - lower))
            title = f"{day:%d %B %Y}: {used[day].tokens:,} tokens, {cost(used[day].nano_usd)}"
            bars.append(Bar(number * _SLOT, lower, upper, title))
    return Chart(bars, len(shown) * _SLOT, cost(top) if measure == "cost" else f"{top:,} tokens", first, span.last)
