"""The page /usage: what is left, what was used by day, model, key and conversation, and where it leads.

It shows several apps, so it stands above them. Charts are drawn here as plain shapes: the page needs no
script, and each chart has its table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from chat.models import Conversation
from oneai import refused_rows
from oneai.kit.money import usd_string
from quotas import reading, usage
from quotas.days import zone_of
from quotas.figures import LimitState
from quotas.policy import PLAN_WIDE, TOKENS
from quotas.usage import Account, Group, Groups, Span, Sums
from quotas.wording import amount_text, scope_text

MOST_BARS: Final = 400
MOST_DAYS: Final = 62
MOST_ROWS: Final = 10
_LOW: Final = 15  # percent of a limit that is left
_SLOT, _HEIGHT = 10, 100
_MEASURES: Final = ("tokens", "cost")


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
class Row:
    """What one day, model, key or conversation used, in words. ``part`` of a hundred is its share."""

    name: str
    sums: Sums
    cost: str
    share: str
    part: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One grouping: its rows, the costliest first, and what the rows that are not shown come to."""

    id: str
    title: str
    head: str
    rows: list[Row]
    more: int
    csv: str


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


def _cost(nano: int) -> str:
    return f"${usd_string(nano)}"


def _percent(part: int, whole: int) -> int:
    return min(100, (200 * part + whole) // (2 * whole)) if whole else 0


def _row(name: str, sums: Sums, whole: Sums, href: str = "") -> Row:
    part, of = (sums.nano_usd, whole.nano_usd) if whole.nano_usd else (sums.tokens, whole.tokens)
    share = 1000 * part // of if of else 0
    return Row(name, sums, _cost(sums.nano_usd), f"{share // 10}.{share % 10} %", _percent(part, of), href)


def _meter(limit: LimitState, account: Account) -> Meter:
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


def _chart(days: Sequence[Group], span: Span, measure: str) -> Chart:
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
            title = f"{day:%d %B %Y}: {used[day].tokens:,} tokens, {_cost(used[day].nano_usd)}"
            bars.append(Bar(number * _SLOT, lower, upper, title))
    return Chart(bars, len(shown) * _SLOT, _cost(top) if measure == "cost" else f"{top:,} tokens", first, span.last)


def _names(group: str, found: Sequence[Group], user_id: UUID) -> dict[Any, tuple[str, str]]:
    """Name and address of what the groups are by."""
    ids = [one.value for one in found if one.value is not None]
    if group == "key":
        keys = ApiKey.objects.filter(pk__in=ids, user_id=user_id).values_list("pk", "name", "prefix")
        return {pk: (name or f"{prefix}…", "") for pk, name, prefix in keys} | {None: ("This site, without a key", "")}
    if group == "conversation":
        talks = Conversation.objects.filter(pk__in=ids, user_id=user_id, deleted_at=None, temporary=False)
        names: dict[Any, tuple[str, str]] = {
            pk: (title or "Untitled", reverse("conversation", args=[pk]))
            for pk, title in talks.values_list("pk", "title")
        }
        return names | {None: ("Calls that stored no conversation", "")}
    return {value: (str(value), "") for value in ids}


_GONE: Final = {"key": "A deleted key", "conversation": "A conversation that is gone"}
_SECTIONS: Final = (
    ("model", "By model", "Model"),
    ("key", "By key", "Key"),
    ("conversation", "By conversation", "Conversation"),
)


def _section(account: Account, span: Span, whole: Sums, group: str, title: str, head: str, asked: str) -> Section:
    groups = Groups(account.user_id, span, group)
    found, size = groups.page(0, MOST_ROWS)
    names = _names(group, found, account.user_id)
    rows = []
    for one in found:
        name, href = names.get(one.value, (_GONE.get(group, ""), ""))
        rows.append(_row(name, one.sums, whole, href))
    return Section(group, title, head, rows, size - len(found), _csv(group, asked))


def _csv(group: str, asked: str) -> str:
    return f"{reverse('user_usage')}?{urlencode({'group': group, 'format': 'csv'})}{asked and '&'}{asked}"


def _change(now_used: int, before: int) -> str:
    """How ``now_used`` stands to what was used by the same day of the period before."""
    if not before:
        return ""
    percent = (200 * (now_used - before) + before) // (2 * before)
    return f"{abs(percent)} % {'more' if percent >= 0 else 'less'}"


def _asked(request: HttpRequest, account: Account) -> tuple[Span, str]:
    """The range that the address names, and what is wrong with it; what is wrong shows the running period."""
    try:
        first, last = (usage.read_day(request.GET.get(name, "").strip()) for name in ("from", "to"))
        return account.span(first, last), ""
    except ValueError as error:
        said = str(error)
        return account.period, said if said.endswith(".") else "A day is written like 2026-01-31."


@require_safe
@never_cache
@login_required
def usage_page(request: HttpRequest) -> HttpResponse:
    """What the person used. ``?from=&to=`` choose days, ``?measure=cost`` draws the cost instead of tokens."""
    assert request.user.is_authenticated
    account = usage.account_of(request.user.pk)
    span, fault = _asked(request, account)
    running = span.period_start is not None
    whole = usage.total_of(account.user_id, span)
    days = Groups(account.user_id, span, "day").all()
    measure = request.GET.get("measure", "")
    measure = measure if measure in _MEASURES else "tokens"
    asked = "" if running else urlencode({"from": span.first, "to": span.last})
    until = Span(span.first, min(span.last, account.today)) if span.first <= account.today else span
    limits = [limit for limit in reading.standing(account.user_id, account.at).limits if limit.limit is not None]
    last = usage.last_period(account) if running else None
    context = {
        "account": account,
        "zone": zone_of(account.zone),
        "span": span,
        "until": until.last,
        "fault": fault,
        "running": running,
        "asked": asked,
        "measure": measure,
        "whole": whole,
        "cost": _cost(whole.nano_usd),
        "average": usage.average(whole.nano_usd, whole.calls),
        "per_thousand": usage.average(whole.nano_usd * 1000, whole.tokens),
        "estimated": _cost(whole.estimated_nano_usd),
        "meters": [_meter(limit, account) for limit in limits],
        "unlimited": not any(limit.scope == PLAN_WIDE for limit in limits),
        "refused": refused_rows.rows_of(account.user_id),
        "projected_tokens": usage.projected(whole.tokens, account) if running else None,
        "projected_cost": _projected_cost(whole, account) if running else None,
        "last": last,
        "last_cost": _cost(last.whole.nano_usd) if last else "",
        "change": _change(whole.tokens, last.by_this_day.tokens) if last else "",
        "chart": _chart(days, until, measure),
        "days": [_row(f"{one.value:%d %B %Y}", one.sums, whole) for one in reversed(days[-MOST_DAYS:])],
        "older_days": max(0, len(days) - MOST_DAYS),
        "days_csv": _csv("day", asked),
        "sections": [_section(account, span, whole, *names, asked) for names in _SECTIONS],
        "ranges": _ranges(account, span),
    }
    return render(request, "usage/page.html", context)


def _projected_cost(whole: Sums, account: Account) -> str | None:
    nano = usage.projected(whole.nano_usd, account)
    return None if nano is None else _cost(nano)


def _ranges(account: Account, span: Span) -> list[tuple[str, str, bool]]:
    """(name, address, whether it is the one that is shown) of the ranges that are one click away."""
    found = [("This period", reverse("usage"), span.period_start is not None)]
    for name, days in (("30 days", 30), ("90 days", 90), ("A year", 365)):
        first = account.today - timedelta(days=days - 1)
        address = f"{reverse('usage')}?{urlencode({'from': first, 'to': account.today})}"
        found.append((name, address, span == Span(first, account.today)))
    return found
