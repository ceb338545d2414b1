"""The page of plan and billing: how things stand, what is left, what can be bought, and every payment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import notifications
from accounts.models import User
from accounts.team_models import Team
from billing import ending, gateway, limits, payers, plans, portal, topups, whose
from billing.models import Plan, Subscription, SubscriptionStatus
from billing.shown import can
from billing.standing import Holder
from billing.whose import holder_of, person
from billing.wording import method
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.money import dollars
from quotas import reading
from quotas.days import zone_of
from quotas.figures import LimitState
from quotas.models import Allowance
from quotas.pockets import EXTRA, GrantState
from quotas.policy import NOTHING, PLAN_WIDE, TOKENS

SHOWN: Final = 10
MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit of the plan in words, and how much of a hundred of it is left."""

    name: str
    left: str
    limit: str
    percent: int
    level: str
    reset: datetime


def _amount(unit: str, amount: int) -> str:
    return f"{amount:,}" if unit == TOKENS else dollars(amount)


@dataclass(frozen=True, slots=True)
class Extra:
    """A top-up in words."""

    note: str
    text: str
    until: datetime | None


def _extra(grant: GrantState) -> Extra:
    text = f"{_amount(grant.unit, grant.left)} of {_amount(grant.unit, grant.limit)}"
    return Extra(grant.note, f"{text} tokens left" if grant.unit == TOKENS else f"{text} left", grant.valid_until)


def meters(limits: Sequence[LimitState]) -> list[Meter]:
    """What is left of the plan-wide limits of this period."""
    return [_meter(limit) for limit in limits if limit.scope == PLAN_WIDE and limit.limit is not None]


def _meter(limit: LimitState) -> Meter:
    whole = limit.limit or 0
    left = max(0, whole - limit.used - limit.held)
    percent = 100 * left // whole if whole else 0
    level = "out" if not percent else "low" if percent <= 15 else "some"
    name = "Tokens" if limit.unit == TOKENS else "What they may cost"
    return Meter(name, _amount(limit.unit, left), _amount(limit.unit, whole), percent, level, limit.reset_at)


@require_safe
@never_cache
@login_required
def shown(request: HttpRequest) -> HttpResponse:
    """Everything about one's plan, and the ways to each change."""
    user, holder = person(request), holder_of(request)
    row = portal.current(holder)
    standing = reading.standing(holder.team_id or user.pk)
    most = MOST if "payments" in request.GET else SHOWN
    rows = portal.paid(holder, user, most + 1)
    team = whose.team_of(user)
    context = {
        "section": "plan",
        "zone": zone_of(user.timezone),
        "subscription": row,
        "said": portal.said(row, user) if row else None,
        "price": portal.price_text(row) if row else "",
        "next_charge": portal.next_charge(row) if row else None,
        "next_amount": portal.amount(row) if row else 0,
        "may": _may(row, user.pk) if row else frozenset(),
        "orders": [(order, portal.of_order(order, user)) for order in portal.waiting(holder)],
        "ended": None if row else portal.last_ended(holder),
        "runs_out": None if row else portal.running_out(holder, user),
        "method_name": method(row.payment_method) if row else "",
        "plan_name": _plan_name(standing.terms.plan),
        "granted": row is None and standing.terms.plan not in (plans.DEFAULT_PLAN, NOTHING.plan),
        "granted_until": _granted_until(holder) if row is None else None,
        "meters": meters(standing.limits),
        "topups": [_extra(grant) for grant in standing.grants if grant.kind == EXTRA and grant.left > 0],
        "packs": topups.on_sale() if gateway.configured() else [],
        "for_sale": gateway.configured(),
        "payments": rows[:most],
        "more": len(rows) > most,
        "remind": notifications.wanted(user, notifications.RENEWALS),
        "holder": holder,
        "pays_for": [] if holder.team_id else _for_others(user),
        "for_team": whose.name_of(holder),
        "team": team if team and holder.team_id is None else None,
        "whose": f"?team={holder.team_id}" if holder.team_id else "",
        "and_whose": f"&team={holder.team_id}" if holder.team_id else "",
    }
    return render(request, "billing/portal.html", context)


def _plan_name(code: str) -> str:
    if code == NOTHING.plan:
        return "No plan yet"
    found = Plan.objects.filter(code=code).first()
    return found.name if found else code


def _granted_until(holder: Holder) -> datetime | None:
    at = now()
    running = Q(until=None) | Q(until__gt=at)
    newest = (
        Allowance.objects.filter(running, user_id=holder.team_id or holder.user_id, starts_at__lte=at)
        .order_by("-starts_at", "-id")
        .first()
    )
    return newest.until if newest else None


def _may(row: Subscription, user_id: UUID) -> frozenset[str]:
    """The deeds that the state of ``row`` allows: what the API says, and another way of paying."""
    found = set(can(row))
    if row.user_id != user_id:
        found -= {"undo", "resume"}
    elif row.cancel_at_cycle_end:
        found.discard("cancel")
    elif row.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING, SubscriptionStatus.HALTED):
        found.add("method")
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class ForTeam:
    """A team that the person pays for and does not own."""

    row: Subscription
    team: Team
    owner: User | None
    ends: datetime | None
    amount: int


def _for_others(user: User) -> list[ForTeam]:
    rows = payers.for_others(user)
    return [
        ForTeam(row, payers.team_of(row), payers.owner_of(row), ending.ends_at(row), portal.amount(row)) for row in rows
    ]


@require_POST
@login_required
def stop_paying(request: HttpRequest, subscription_id: UUID) -> HttpResponse:
    """Pay no more for a team that one does not own any more, once the period is over."""
    user = person(request)
    limits.count_change(user.pk)
    try:
        row = payers.stop(user, subscription_id)
    except Refusal as refusal:
        raise Http404 from refusal
    messages.success(request, f"Nothing more is charged to you for {payers.team_of(row).name}.")
    return redirect("billing")


@require_POST
@login_required
def remind(request: HttpRequest) -> HttpResponse:
    """Switch the reminders of renewals on or off."""
    yes = request.POST.get("remind") == "on"
    notifications.choose(person(request).pk, notifications.RENEWALS, yes)
    text = "You are told a week before each charge." if yes else "You are no longer told before a charge."
    messages.success(request, text)
    return redirect("billing")


urlpatterns = [
    path("billing", shown, name="billing"),
    path("billing/reminders", remind, name="billing_reminders"),
    path("billing/stop-paying/<uuid:subscription_id>", stop_paying, name="billing_stop_paying"),
]
