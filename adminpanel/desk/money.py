"""Revenue and usage: tiles, charts with their tables, reports, and what a dollar costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from adminpanel import analytics, exchange, revenue
from adminpanel.analytics import Line
from adminpanel.desk.doors import Reasoned, done, require, shown, tried
from adminpanel.models import ExchangeRate
from oneai.kit.charts import Chart, Day, draw
from oneai.kit.money import NANO, dollars, rupees
from quotas.usage import read_day

_RANGES: Final = (("30 days", 30), ("90 days", 90), ("A year", 365))
MOST_ROWS: Final = 62


@dataclass(frozen=True, slots=True)
class Row:
    """A line in words; None is a dash."""

    name: str
    paid: str | None
    refunded: str | None
    net: str | None
    tax: str | None
    failed: int | None
    active: int
    calls: int
    tokens: int
    cost: str
    margin: str | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart with its heading and the names of its two parts."""

    title: str
    chart: Chart
    something: bool
    lower: str
    upper: str


class RateForm(Reasoned):
    """What a dollar costs from a day on."""

    since = forms.DateField(label="From", widget=forms.DateInput({"type": "date"}))
    rupees = forms.DecimalField(label="Rupees for a dollar", min_value=1, max_value=1000, decimal_places=2)
    field_order = ["since", "rupees", "reason"]


def about(nano: int) -> str:
    """An amount of dollars to the cent where it is more than one; reports have it whole."""
    if nano < NANO:
        return dollars(nano)
    cents = (2 * nano * 100 + NANO) // (2 * NANO)
    return f"${cents // 100:,}.{cents % 100:02d}"


def row_of(name: str, line: Line) -> Row:
    """``line`` as the tables show it."""
    money, sums = line.money, line.used.sums
    return Row(
        name,
        None if money is None else rupees(money.paid),
        None if money is None else rupees(money.refunded),
        None if money is None else rupees(money.net),
        None if money is None else rupees(money.tax),
        None if money is None else money.failed,
        line.used.active,
        sums.calls,
        sums.tokens,
        about(sums.nano_usd),
        None if line.margin is None else rupees(line.margin),
    )


def _charts(days: list[Line], first: date, last: date) -> list[Drawn]:
    paid, tokens, cost = {}, {}, {}
    for line in days:
        money, sums, name = line.money or revenue.Money(), line.used.sums, f"{line.value:%d %B %Y}"
        paid[line.value] = Day(
            money.paid, money.refunded, f"{name}: {rupees(money.paid)}, back {rupees(money.refunded)}"
        )
        tokens[line.value] = Day(
            sums.prompt_tokens, sums.tokens - sums.prompt_tokens, f"{name}: {sums.tokens:,} tokens"
        )
        cost[line.value] = Day(sums.nano_usd, 0, f"{name}: {about(sums.nano_usd)}")
    return [
        Drawn("Revenue by day", draw(paid, first, last, rupees), bool(paid), "paid", "given back"),
        Drawn("Tokens by day", draw(tokens, first, last, _tokens), bool(tokens), "prompt", "completion"),
        Drawn("Cost at the upstreams by day", draw(cost, first, last, about), bool(cost), "", ""),
    ]


def _tokens(amount: int) -> str:
    return f"{amount:,} tokens"


def _asked(request: HttpRequest) -> tuple[date, date, str]:
    try:
        first, last = (read_day(request.GET.get(name, "").strip()) for name in ("from", "to"))
        return *analytics.span(first, last), ""
    except ValueError as error:
        return *analytics.span(None, None), str(error)


def page(request: HttpRequest) -> HttpResponse:
    """The figures of some days; ``?from=&to=`` choose them."""
    require(request, "analytics.view")
    form = RateForm(request.POST or None, initial={"since": revenue.today()})
    if request.method == "POST":
        actor = require(request, "rates.change")
        if form.is_valid():
            given = form.cleaned_data
            paise = int(given["rupees"] * 100)
            if tried(form, lambda: exchange.set_rate(actor, given["since"], paise, given["reason"])):
                return done(request, "desk_money", f"A dollar costs {rupees(paise)} from {given['since']:%d %B %Y} on.")
    first, last, fault = _asked(request)
    days = analytics.lines("day", first, last)
    whole, standing = analytics.total(first, last), analytics.standing(first, last)
    asked = urlencode({"from": first, "to": last})
    return shown(
        request,
        "money",
        status=400 if form.errors else 200,
        title="Revenue and usage",
        first=first,
        last=last,
        fault=fault,
        whole=row_of("All", whole),
        payments=whole.money,
        standing=standing.as_json(),
        mrr=rupees(standing.mrr),
        mrr_lost=rupees(standing.churn.mrr_lost),
        churn=_percent(standing.churn.lost, standing.churn.at_start),
        charts=_charts(days, first, last),
        days=[row_of(f"{line.value:%d %b %Y}", line) for line in reversed(days[-MOST_ROWS:])],
        older=max(0, len(days) - MOST_ROWS),
        sections=[
            (title, name, [row_of(str(line.value) or "none", line) for line in analytics.lines(name, first, last)])
            for title, name in (("By plan", "plan"), ("By model", "model"))
        ],
        reports=[(name, f"{reverse('admin_analytics')}?group={name}&format=csv&{asked}") for name in analytics.GROUPS],
        ranges=_ranges(first, last),
        rates=ExchangeRate.objects.order_by("-since")[:5],
        form=form,
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _ranges(first: date, last: date) -> list[tuple[str, str, bool]]:
    today, found = revenue.today(), []
    for name, days in _RANGES:
        begin = today - timedelta(days=days - 1)
        found.append((name, f"?{urlencode({'from': begin, 'to': today})}", (first, last) == (begin, today)))
    return found
