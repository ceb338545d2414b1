"""The page /dashboard: where somebody stands at a glance, and the ways from there.

It shows several apps, so it stands above them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.contrib.auth.decorators import login_required
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import ApiKey, User
from billing import portal
from billing.models import Plan
from billing.standing import Holder
from chat import conversations
from oneai.drawn import chart, cost, meter
from oneai.kit.clock import now
from quotas import reading, usage
from quotas.days import zone_of
from quotas.policy import PLAN_WIDE
from quotas.usage import Groups, Span

RECENT: Final = 6
DAYS: Final = 14


@require_safe
@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The plan and what is left of it, the last days, the last conversations, keys and orders that wait."""
    user = request.user
    assert isinstance(user, User)
    account = usage.account_of(user.pk)
    standing = reading.standing(user.pk, account.at)
    limits = [limit for limit in standing.limits if limit.limit is not None]
    wide = [limit for limit in limits if limit.scope == PLAN_WIDE] or limits[:2]
    span = Span(account.today - timedelta(days=DAYS - 1), account.today)
    days = Groups(account.user_id, span, "day").all()
    whole = usage.total_of(account.user_id, span)
    holder = Holder(user.pk)
    row = portal.current(holder)
    said = portal.said(row, user) if row else None
    keys = ApiKey.objects.filter(user=user, revoked_at=None)
    context = {
        "zone": zone_of(account.zone),
        "account": account,
        "plan": Plan.objects.filter(code=standing.terms.plan).first(),
        "plan_code": standing.terms.plan,
        "by_team": standing.payer_id != user.pk,
        "notices": [one for one in (said,) if one and one.level in ("warning", "danger")]
        + [portal.of_order(order, user) for order in portal.waiting(holder)],
        "meters": [meter(limit, account) for limit in wide],
        "days": DAYS,
        "chart": chart(days, span) if whole.calls else None,
        "whole": whole,
        "cost": cost(whole.nano_usd),
        "talks": conversations.listed(user.pk)
        .filter(archived=False)
        .order_by(F("last_message_at").desc(nulls_last=True), "-id")[:RECENT],
        "keys": keys.count(),
        "last_key_use": keys.order_by(F("last_used_at").desc(nulls_last=True))
        .values_list("last_used_at", flat=True)
        .first(),
        "soon_expired": keys.filter(expires_at__gt=now(), expires_at__lt=now() + timedelta(days=7)).count(),
    }
    return render(request, "dashboard.html", context)
