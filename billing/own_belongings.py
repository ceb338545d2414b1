"""What this app holds of a person: payments and papers, which the law wants kept, and to whom to write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.belongings import File, Holder, NotYet
from accounts.models import User
from billing.models import BillingDetails, Invoice, Payment, Subscription
from billing.standing import LIVE
from oneai.kit.errors import Refusal

_DETAILS: Final = ("name", "address", "city", "postal_code", "state_code", "country", "gstin")
_SUBSCRIPTION: Final = (
    "id", "plan__code", "status", "quantity", "team_id", "created_at", "current_period_end", "ended_at",
)  # fmt: skip
_PAYMENT: Final = ("id", "amount_paise", "currency", "status", "created_at")
_INVOICE: Final = ("number", "kind", "issued_at", "total_paise", "currency")


def export(user: User) -> Iterator[File]:
    """Subscriptions, payments, invoices by number and amount, and billing details."""
    yield (
        "billing.json",
        {
            "details": BillingDetails.objects.filter(user=user).values(*_DETAILS).first(),
            "subscriptions": list(Subscription.objects.filter(user=user).order_by("created_at").values(*_SUBSCRIPTION)),
            "payments": list(Payment.objects.filter(user=user).order_by("created_at").values(*_PAYMENT)),
            "invoices": list(Invoice.objects.filter(user=user).order_by("issued_at").values(*_INVOICE)),
        },
    )


def _live(user: User) -> list[Subscription]:
    return [row for row in Subscription.objects.filter(user=user, status__in=LIVE) if row.cancel_sent_at is None]


def keep(user: User) -> None:
    """Refusal ``subscription_running`` while something would be charged again."""
    if any(not row.cancel_at_cycle_end and "ended" not in row.metadata for row in _live(user)):
        raise Refusal("subscription_running")


def erase(user: User) -> int:
    """Delete the billing details; invoices keep what the law wants in them. NotYet before Razorpay knows of an end."""
    if _live(user):
        raise NotYet
    return BillingDetails.objects.filter(user=user).delete()[0]


HOLDER: Final = Holder("billing", export, erase, keep)
