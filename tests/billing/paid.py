"""Payments and refunds as rows, as they stand once Razorpay has confirmed them."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from accounts.models import User
from billing.models import BillingDetails, Pack, Payment, Plan, Price, Purchase, Refund, Seller, Subscription
from oneai.kit.clock import add_months, now, uuid7

MAHARASHTRA, KARNATAKA = "27AAPFU0939F1ZV", "29AAGCB7383J1Z4"
SELLER = {
    "legal_name": "Peepal Software Private Limited",
    "address": "4 Ganesh Peth\nPune 411002",
    "state_code": "27",
    "gstin": MAHARASHTRA,
    "email": "accounts@example.com",
}


def seller(**more: Any) -> Seller:
    """A registered seller in Maharashtra."""
    return Seller.objects.update_or_create(pk=1, defaults=SELLER | more)[0]


def person(**details: Any) -> User:
    """Somebody with these billing details; with none, somebody who never gave any."""
    user = User.objects.create_user(f"{uuid7()}@example.com", name="Asha")
    if details:
        BillingDetails.objects.create(user=user, **details)
    return user


def _identity(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(7)}"


def payment(user: User, paise: int = 49_900, **more: Any) -> Payment:
    """A payment that was captured and had its effect."""
    at = now()
    fields: dict[str, Any] = {
        "razorpay_payment_id": _identity("pay"), "status": "captured", "paid_at": at, "effect_at": at,
    }  # fmt: skip
    return Payment.objects.create(user=user, amount_paise=paise, **fields | more)


def subscribed(user: User, plan: str = "plus", at: datetime | None = None, quantity: int = 1) -> Payment:
    """A payment for a month of a plan."""
    start = at or now()
    row = Plan.objects.get(code=plan)
    price, _ = Price.objects.get_or_create(
        plan=row, interval="month", mode="test", version=1, defaults={"amount_paise": row.price_month_paise}
    )
    bought = Subscription.objects.create(
        user=user, plan=row, price=price, status="active", quantity=quantity, razorpay_subscription_id=_identity("sub")
    )
    end = add_months(start, 1)
    return payment(user, quantity * price.amount_paise, subscription=bought, period_start=start, period_end=end)


def topped_up(user: User, pack: str = "small") -> Payment:
    """A payment for a pack of tokens."""
    row = Pack.objects.get(code=pack)
    order = Purchase.objects.create(
        user=user, pack=row, amount_paise=row.amount_paise, tokens=row.tokens, days=row.days, status="paid"
    )
    return payment(user, row.amount_paise, purchase=order)


def refund(of: Payment, paise: int, **more: Any) -> Refund:
    """A refund that Razorpay has processed."""
    fields: dict[str, Any] = {"key": _identity("key"), "razorpay_refund_id": _identity("rfnd"), "status": "processed"}
    return Refund.objects.create(payment=of, amount_paise=paise, **fields | more)
