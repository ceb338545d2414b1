"""Money, days and what was bought in words, the same way on pages, in mails and on the staff desk."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.utils.dateformat import format as formatted

from accounts.models import User
from billing.models import Payment, Plan, Price
from billing.models.plans import Interval
from oneai.kit import money
from quotas.days import zone_of

METHODS: Final = {
    "card": "Card",
    "upi": "UPI",
    "emandate": "Bank mandate",
    "netbanking": "Net banking",
    "wallet": "Wallet",
    "emi": "EMI",
}


def rupees(paise: int) -> str:
    """₹1,499.00: Indian grouping, always with the paise."""
    return money.rupees(paise, exact=True)


def day(at: datetime | None, user: User) -> str:
    """28 November 2026, in the person's own time zone; a dash for never."""
    return formatted(at.astimezone(zone_of(user.timezone)), "j F Y") if at else "–"


def moment(at: datetime, user: User) -> str:
    """28 November 2026, 14:05 (Asia/Kolkata)."""
    zone = zone_of(user.timezone)
    return f"{formatted(at.astimezone(zone), 'j F Y, H:i')} ({zone})"


def interval(price: Price) -> str:
    return "a year" if price.interval == Interval.YEAR else "a month"


def seats(quantity: int) -> str:
    return "1 seat" if quantity == 1 else f"{quantity:,} seats"


def bought(plan: Plan, price: Price, quantity: int = 1) -> str:
    """Pro, monthly; Team, yearly, 5 seats."""
    name = f"{plan.name}, {'yearly' if price.interval == Interval.YEAR else 'monthly'}"
    return f"{name}, {seats(quantity)}" if plan.per_seat else name


def method(name: str) -> str:
    """What people call a way to pay; empty when it is not known yet."""
    return METHODS.get(name, name.capitalize())


def of_payment(payment: Payment) -> str:
    """What a payment was for, in a few words."""
    if payment.subscription is not None:
        paid = payment.subscription
        return bought(paid.plan, paid.price, paid.quantity)
    return payment.purchase.pack.name if payment.purchase is not None else "Payment"
