"""What an invoice says was sold, in words."""

from __future__ import annotations

from django.conf import settings

from billing.models import Payment
from billing.models.plans import Interval


def what_was_sold(payment: Payment) -> tuple[str, int, int]:
    """Description, paise and quantity of the one line that ``payment`` paid for."""
    if payment.purchase is not None:
        bought = payment.purchase
        days = f", to be used within {bought.days} days" if bought.days else ""
        return f"{bought.pack.name} ({bought.tokens:,} tokens){days}", payment.amount_paise, 1
    if payment.subscription is not None:
        subscribed = payment.subscription
        length = "a year" if subscribed.price.interval == Interval.YEAR else "a month"
        seats = f", {subscribed.quantity} seats" if subscribed.plan.per_seat else ""
        quantity = subscribed.quantity if subscribed.plan.per_seat else 1
        return f"{settings.SITE_NAME} {subscribed.plan.name}, {length}{seats}", payment.amount_paise, quantity
    return f"Use of {settings.SITE_NAME}", payment.amount_paise, 1
