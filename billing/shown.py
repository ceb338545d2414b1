"""A subscription as people and programs see it: pages and the API show the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from billing import allowing, changing, checkout, ending, payments, standing, terms
from billing.models import Subscription, SubscriptionStatus
from billing.standing import ENDED, LIVE, OPEN, Holder
from oneai.kit.clock import now

Status = SubscriptionStatus


def subscription(row: Subscription) -> dict[str, Any]:
    """All that is shown of one; see ``api.subscription_shapes.SubscriptionShape``."""
    cycle = payments.running(row)
    ends = row.cancel_at_cycle_end or "ended" in row.metadata or row.status in ENDED
    return {
        "id": row.pk,
        "plan": row.plan.code,
        "plan_name": row.plan.name,
        "interval": row.price.interval,
        "amount": terms.amount(row.price, row.quantity),
        "currency": row.price.currency,
        "seats": row.quantity,
        "team": row.team_id,
        "status": str(row.status),
        "trial_ends_at": row.starts_at if row.trial and not row.paid_count else None,
        "current_period_start": row.current_period_start,
        "current_period_end": row.current_period_end,
        "paid_until": cycle.period_end if cycle else None,
        "next_charge_at": None if ends or row.status not in LIVE else row.charge_at,
        "cancel_at_cycle_end": row.cancel_at_cycle_end,
        "ends_at": _ends_at(row) if ends else None,
        "next": _next(row),
        "payment_method": row.payment_method,
        "payment_method_url": row.short_url if row.status in LIVE else "",
        "unused": ending.unused(row)[0] if row.status in LIVE and "ended" not in row.metadata else 0,
        "unused_by_hand": (ending.to_pay_by_hand(row) if row.status in LIVE and "ended" not in row.metadata else 0),
        "can": can(row),
        "created_at": row.created_at,
    }


def _ends_at(row: Subscription) -> Any:
    cycle = payments.running(row)
    if cycle is not None and "ended" not in row.metadata:
        return cycle.period_end
    return row.ended_at or ending.ends_at(row)


def _next(row: Subscription) -> dict[str, Any] | None:
    if row.next_price is None:
        return None
    seats = row.next_quantity or row.quantity
    asked = row.metadata.get("change") or {}
    return {
        "plan": row.next_price.plan.code,
        "interval": row.next_price.interval,
        "seats": seats,
        "amount": terms.amount(row.next_price, seats),
        "at": now() if asked.get("when") == terms.NOW else ending.ends_at(row),
    }


def can(row: Subscription) -> list[str]:
    """What may be done with it now: pay, cancel, update, undo, pause, resume."""
    if row.status in OPEN:
        return ["pay"]
    if row.status not in LIVE or "ended" in row.metadata:
        return []
    found = ["cancel"]
    waits = row.next_price_id is not None or changing.waiting_replacement(row) is not None
    if (row.cancel_at_cycle_end and row.cancel_sent_at is None) or waits:
        found.append("undo")
    if not waits and not row.cancel_at_cycle_end and allowing.stopped_for(row) != allowing.DISPUTE:
        found.append("update")
        if row.status == Status.ACTIVE:
            found.append("pause")
    if row.status == Status.PAUSED:
        found.append("resume")
    return found


def created(row: Subscription) -> dict[str, Any]:
    """One that waits to be paid, with what Checkout.js needs."""
    opened = checkout.checkout_of(row)
    return {"subscription": subscription(row), "checkout": asdict(opened) if opened else None}


def current(holder: Holder) -> dict[str, Any]:
    """What the holder has, what waits to be paid, and what will take over."""
    live = standing.live(holder)
    row = changing.current(holder) if live else None
    waiting = changing.waiting_replacement(row) if row is not None else None
    opened = (
        standing.of(holder)
        .filter(user_id=holder.user_id, status=Status.CREATED, expires_at__gt=now())
        .select_related("plan", "price", "next_price__plan")
        .order_by("-created_at")
        .first()
    )
    return {
        "subscription": subscription(row) if row is not None else None,
        "open": created(opened) if opened is not None else None,
        "replacement": subscription(waiting) if waiting is not None else None,
    }
