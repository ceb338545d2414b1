"""Revenue, usage, cost and margin side by side, by day, plan or model: what the desk, ``/api/admin`` and reports show.

``docs/operations/staff.md`` defines each figure. Money is paise, upstream cost nano-USD; both are exact sums of the
books. A margin is what is kept of payments, without tax, less the cost at the exchange rate of its days; it is None
where no rate was named, and by model, which nobody pays for by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from adminpanel import consumption, exchange, revenue
from adminpanel.consumption import Used
from adminpanel.revenue import Churn, Money
from oneai.kit.clock import now
from oneai.kit.money import usd_string
from quotas.usage import Sums

GROUPS: Final = ("day", "plan", "model")
USUAL_DAYS: Final = 30
LONGEST_DAYS: Final = 3660
NOTHING: Final = Used(Sums(), 0)
COLUMNS: Final = (
    "payments", "paid_paise", "refunds", "refunded_paise", "net_paise", "invoiced_paise", "tax_paise",
    "failed_payments", "failed_paise", "active_users", "calls", "prompt_tokens", "completion_tokens", "total_tokens",
    "cost_usd", "estimated_cost_usd", "cost_paise", "margin_paise",
)  # fmt: skip
MONEY_COLUMNS: Final = COLUMNS[:9]


@dataclass(frozen=True, slots=True)
class Line:
    """One day, plan or model. ``money`` None: money has no such part. ``cost_paise`` None: no rate was named."""

    value: Any
    money: Money | None
    used: Used
    cost_paise: int | None

    @property
    def margin(self) -> int | None:
        if self.money is None or self.cost_paise is None:
            return None
        return self.money.net - self.money.tax - self.cost_paise

    def as_json(self) -> dict[str, Any]:
        """As the API and the reports show it, without what it is of."""
        sums, money = self.used.sums, self.money
        paid: dict[str, Any] = dict.fromkeys(MONEY_COLUMNS)
        if money is not None:
            amounts = (
                money.payments, money.paid, money.refunds, money.refunded, money.net, money.invoiced, money.tax,
                money.failed, money.failed_paise,
            )  # fmt: skip
            paid = dict(zip(MONEY_COLUMNS, amounts, strict=True))
        return paid | {
            "active_users": self.used.active,
            "calls": sums.calls,
            "prompt_tokens": sums.prompt_tokens,
            "completion_tokens": sums.completion_tokens,
            "total_tokens": sums.tokens,
            "cost_usd": usd_string(sums.nano_usd),
            "estimated_cost_usd": usd_string(sums.estimated_nano_usd),
            "cost_paise": self.cost_paise,
            "margin_paise": self.margin,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """What recurs: ``mrr`` at the end of the days, in paise, who pays it, and who was lost in these days."""

    mrr: int
    subscribers: int
    churn: Churn

    def as_json(self) -> dict[str, Any]:
        lost = self.churn
        return {
            "mrr_paise": self.mrr,
            "subscribers": self.subscribers,
            "subscribers_at_start": lost.at_start,
            "subscribers_new": lost.new,
            "subscribers_lost": lost.lost,
            "churn": ratio(lost.lost, lost.at_start),
            "mrr_at_start_paise": lost.mrr_at_start,
            "mrr_lost_paise": lost.mrr_lost,
            "mrr_churn": ratio(lost.mrr_lost, lost.mrr_at_start),
        }


def ratio(part: int, whole: int) -> str | None:
    """``part`` of ``whole`` as a decimal string with four places, rounded half up; None of nothing."""
    if not whole:
        return None
    found = (20_000 * part + whole) // (2 * whole)
    return f"{found // 10_000}.{found % 10_000:04d}"


def span(first: date | None, last: date | None) -> tuple[date, date]:
    """The days asked for: the last thirty unless some are named. ValueError if backwards or more than ten years."""
    last = last or max(revenue.today(), first or revenue.today())
    first = first or last - timedelta(days=USUAL_DAYS - 1)
    if first > last:
        raise ValueError("The first day comes after the last.")
    if (last - first).days > LONGEST_DAYS:
        raise ValueError("At most ten years at once.")
    return first, last


def total(first: date, last: date) -> Line:
    """Everything of these days."""
    parts = exchange.stretches(first, last)
    costs = [each.paise(consumption.total(each.first, each.last).sums.nano_usd) for each in parts]
    return Line(None, revenue.total(first, last), consumption.total(first, last), _added(costs))


_USED: Final[Mapping[str, Callable[[date, date], Mapping[Any, Used]]]] = {
    "day": consumption.by_day,
    "plan": consumption.by_plan,
    "model": consumption.by_model,
}
_PAID: Final[Mapping[str, Callable[[date, date], Mapping[Any, Money]]]] = {
    "day": revenue.by_day,
    "plan": revenue.by_plan,
}


def lines(group: str, first: date, last: date) -> list[Line]:
    """By day in their order, by plan and model with the costliest first. KeyError for another group."""
    uses = _USED[group](first, last)
    paid = _PAID[group](first, last) if group in _PAID else None
    costs = _costs(group, uses, first, last)
    found = []
    for value in {*(paid or {}), *uses}:
        money = None if paid is None else paid.get(value, Money())
        found.append(Line(value, money, uses.get(value, NOTHING), costs.get(value, costs[None])))
    if group == "day":
        return sorted(found, key=lambda line: line.value)
    return sorted(found, key=_costliest)


def _costliest(line: Line) -> tuple[int, int, str]:
    return -line.used.sums.nano_usd, -(line.money.paid if line.money else 0), str(line.value)


def _costs(group: str, uses: Mapping[Any, Used], first: date, last: date) -> dict[Any, int | None]:
    """What each group's cost is in paise; under None, what nothing costs."""
    stretches = exchange.stretches(first, last)
    named = all(each.paise_per_usd is not None for each in stretches)
    found: dict[Any, int | None] = {None: 0 if named else None}
    if group == "day":
        for each in stretches:
            for day in uses:
                if each.first <= day <= each.last:
                    found[day] = each.paise(uses[day].sums.nano_usd)
        return found
    if len(stretches) == 1:
        return found | {value: stretches[0].paise(one.sums.nano_usd) for value, one in uses.items()}
    parts: dict[Any, list[int | None]] = {}
    for each in stretches:
        for value, one in _USED[group](each.first, each.last).items():
            parts.setdefault(value, []).append(each.paise(one.sums.nano_usd))
    return found | {value: _added(costs) for value, costs in parts.items()}


def _added(costs: list[int | None]) -> int | None:
    found = 0
    for cost in costs:
        if cost is None:
            return None
        found += cost
    return found


def standing(first: date, last: date) -> Standing:
    """What recurs at the end of these days, or now."""
    _, end = revenue.moments(first, last)
    running = revenue.recurring(min(end, now()))
    return Standing(sum(each.paise for each in running.values()), len(running), revenue.churn(first, last))
