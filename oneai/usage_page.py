"""The page /usage: what is left, what was used by day, model, key and conversation, and where it leads.

It shows several apps, so it stands above them. Charts are drawn here as plain shapes: the page needs no
script, and each chart has its table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
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
from oneai.drawn import chart, cost, meter
from quotas import reading, usage
from quotas.days import zone_of
from quotas.policy import PLAN_WIDE
from quotas.usage import Account, Group, Groups, Span, Sums

MOST_DAYS: Final = 62
MOST_ROWS: Final = 10
_MEASURES: Final = ("tokens", "cost")


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


def _percent(part: int, whole: int) -> int:
    return min(100, (200 * part + whole) // (2 * whole)) if whole else 0


def _row(name: str, sums: Sums, whole: Sums, href: str = "") -> Row:
    part, of = (sums.nano_usd, whole.nano_usd) if whole.nano_usd else (sums.tokens, whole.tokens)
    share = 1000 * part // of if of else 0
    return Row(name, sums, cost(sums.nano_usd), f"{share // 10}.{share % 10} %", _percent(part, of), href)


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
        "cost": cost(whole.nano_usd),
        "average": usage.average(whole.nano_usd, whole.calls),
        "per_thousand": usage.average(whole.nano_usd * 1000, whole.tokens),
        "estimated": cost(whole.estimated_nano_usd),
        "meters": [meter(limit, account) for limit in limits],
        "unlimited": not any(limit.scope == PLAN_WIDE for limit in limits),
        "refused": refused_rows.rows_of(account.user_id),
        "projected_tokens": usage.projected(whole.tokens, account) if running else None,
        "projected_cost": _projected_cost(whole, account) if running else None,
        "last": last,
        "last_cost": cost(last.whole.nano_usd) if last else "",
        "change": _change(whole.tokens, last.by_this_day.tokens) if last else "",
        "chart": chart(days, until, measure),
        "days": [_row(f"{one.value:%d %B %Y}", one.sums, whole) for one in reversed(days[-MOST_DAYS:])],
        "older_days": max(0, len(days) - MOST_DAYS),
        "days_csv": _csv("day", asked),
        "sections": [_section(account, span, whole, *names, asked) for names in _SECTIONS],
        "ranges": _ranges(account, span),
    }
    return render(request, "usage/page.html", context)


def _projected_cost(whole: Sums, account: Account) -> str | None:
    nano = usage.projected(whole.nano_usd, account)
    return None if nano is None else cost(nano)


def _ranges(account: Account, span: Span) -> list[tuple[str, str, bool]]:
    """(name, address, whether it is the one that is shown) of the ranges that are one click away."""
    found = [("This period", reverse("usage"), span.period_start is not None)]
    for name, days in (("30 days", 30), ("90 days", 90), ("A year", 365)):
        first = account.today - timedelta(days=days - 1)
        address = f"{reverse('usage')}?{urlencode({'from': first, 'to': account.today})}"
        found.append((name, address, span == Span(first, account.today)))
    return found
