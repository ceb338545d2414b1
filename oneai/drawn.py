"""What pages draw of usage: limits as meters, days as bars. Plain shapes of the server, for pages without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from oneai.kit.charts import Chart, Day, draw
from oneai.kit.money import usd_string
from quotas import usage
from quotas.figures import LimitState
from quotas.policy import TOKENS
from quotas.usage import Account, Group, Span
from quotas.wording import amount_text, scope_text

_LOW: Final = 15  # percent of a limit that is left


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
    drawn = {}
    for one in days:
        sums = one.sums
        title = f"{one.value:%d %B %Y}: {sums.tokens:,} tokens, {cost(sums.nano_usd)}"
        if measure == "cost":
            drawn[one.value] = Day(sums.nano_usd, 0, title)
        else:
            drawn[one.value] = Day(sums.prompt_tokens, sums.tokens - sums.prompt_tokens, title)
    return draw(drawn, span.first, span.last, cost if measure == "cost" else _tokens)


def _tokens(amount: int) -> str:
    return f"{amount:,} tokens"
