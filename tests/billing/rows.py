"""Rows of billing as a test needs them, without going through Razorpay."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from accounts.models import User
from billing.models import Payment, Plan, Price, Subscription, SubscriptionChange
from oneai.kit.clock import add_months, now


def price_of(code: str = "pro", interval: str = "month") -> Price:
    """The price at which a plan is sold."""
    plan = Plan.objects.get(code=code)
    paise = plan.price_year_paise if interval == "year" else plan.price_month_paise
    made, _ = Price.objects.get_or_create(plan=plan, interval=interval, version=1, defaults={"amount_paise": paise})
    return made


def subscribed(user: User, code: str = "pro", **more: Any) -> Subscription:
    """A subscription that is in its first month, a day old."""
    price, start = price_of(code), now() - timedelta(days=1)
    values: dict[str, Any] = {
        "status": "active",
        "current_period_start": start,
        "current_period_end": add_months(start, 1),
        "razorpay_subscription_id": f"sub_{secrets.token_hex(7)}",
        "paid_count": 1,
    }
    return Subscription.objects.create(user=user, plan=price.plan, price=price, **values | more)


def paid(subscription: Subscription, paise: int = 0, **more: Any) -> Payment:
    """A captured payment of a subscription's period."""
    values: dict[str, Any] = {
        "amount_paise": paise or subscription.price.amount_paise * subscription.quantity,
        "status": "captured",
        "method": "card",
        "period_start": subscription.current_period_start,
        "period_end": subscription.current_period_end,
        "paid_at": now(),
        "razorpay_payment_id": f"pay_{secrets.token_hex(7)}",
    }
    return Payment.objects.create(user=subscription.user, subscription=subscription, **values | more)


def changed(subscription: Subscription, kind: str, **more: Any) -> SubscriptionChange:
    """An entry of a subscription's history."""
    return SubscriptionChange.objects.create(subscription=subscription, kind=kind, **more)
