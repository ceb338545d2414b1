"""The rows of payments: what Razorpay last said of each, which only goes forward."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import F

from billing import gateway
from billing.models import Payment, Purchase, Subscription
from billing.razorpay import wire
from oneai.kit.clock import now

FORWARD: Final = ("failed", "created", "authorized", "captured", "refunded")
PAID: Final = frozenset({"captured", "refunded"})
OVER: Final = frozenset({"won", "closed"})
"""The dispute of a payment has ended without a loss."""
LOST: Final = "lost"


def _rank(status: str) -> int:
    return FORWARD.index(status) if status in FORWARD else 0


def write(
    seen: wire.Payment, *, subscription: Subscription | None = None, purchase: Purchase | None = None
) -> tuple[Payment, str]:  # fmt: skip
    """Keep what was fetched, in the caller's transaction and under the lock of its payer's money.

    A state that lies behind the one that is kept changes nothing: what was fetched late is older. The row, and
    the state that it had (empty when it is new). ValueError for a payment without a cause.
    """
    cause = subscription or purchase
    if cause is None:
        raise ValueError("a payment has a cause")
    row = Payment.objects.filter(razorpay_payment_id=seen.id).first()
    if row is None:
        row = Payment(
            user_id=cause.user_id,
            razorpay_payment_id=seen.id,
            mode=gateway.mode(),
            status="",
            created_at=seen.created_at or now(),
        )
    before = row.status
    row.subscription, row.purchase = row.subscription or subscription, row.purchase or purchase
    row.fetched_at = now()
    row.refunded_paise = max(row.refunded_paise, min(seen.amount_refunded, seen.amount))
    if not row.status or _rank(seen.status) >= _rank(row.status):
        row.status = seen.status[:10]
        row.amount_paise, row.currency = seen.amount, seen.currency
        row.razorpay_order_id, row.razorpay_invoice_id = seen.order_id, seen.invoice_id
        row.method, row.international = seen.method[:20], seen.international
        row.error_code, row.error_description = seen.error_code[:80], seen.error_description[:300]
    if row.paid_at is None and is_paid(seen):
        row.paid_at = seen.created_at or now()
    row.save()
    return row, before


def is_paid(seen: wire.Payment) -> bool:
    """Whether the money has arrived; what has gone back since had arrived, too."""
    return seen.status in PAID


def is_disputed(row: Payment) -> bool:
    """Whether its bank may take the money of a payment, or has taken it."""
    return bool(row.dispute) and row.dispute not in OVER


def take_effect(row: Payment, start: datetime | None = None, end: datetime | None = None) -> None:
    """Say that what the payment buys is given now, for the cycle [start, end).

    ``row`` was read under the lock of its payer's money, which still holds, and had no effect.
    """
    at = now()
    taken = Payment.objects.filter(pk=row.pk, effect_at=None).update(effect_at=at, period_start=start, period_end=end)
    if not taken:  # nothing is given twice, whatever became of the lock: all of the transaction is undone
        raise AssertionError(f"{row.razorpay_payment_id} has taken effect before")
    row.effect_at, row.period_start, row.period_end = at, start, end


def running(row: Subscription, at: datetime | None = None) -> Payment | None:
    """The payment of the cycle that runs at ``at`` (now), unless all of it has gone back, by refunds or a lost dispute.

    Razorpay shows the next cycle as the current one before it is paid: what was paid for is in our rows.
    """
    at = at or now()
    paid = Payment.objects.filter(subscription=row, period_start__lte=at, period_end__gt=at).exclude(effect_at=None)
    paid = paid.exclude(dispute=LOST)
    return paid.exclude(refunded_paise__gte=F("amount_paise")).order_by("-period_start").first()


def of_changes(row: Subscription, cycle: Payment) -> list[Payment]:
    """What was paid for changes at once in the middle of ``cycle``, and has not all gone back."""
    paid = Payment.objects.filter(
        subscription=row, period_start=None, paid_at__gte=cycle.period_start, paid_at__lt=cycle.period_end
    ).exclude(effect_at=None)
    return list(paid.exclude(refunded_paise__gte=F("amount_paise")).order_by("paid_at", "id"))


def unrefund(row: Payment, paise: int) -> None:
    """A refund of ``paise`` has failed: the payment has its money again."""
    left = max(0, row.refunded_paise - paise)
    state = "captured" if row.status == "refunded" else row.status
    Payment.objects.filter(pk=row.pk).update(refunded_paise=left, status=state)


def shown_wire(seen: wire.Payment) -> dict[str, Any]:
    """A payment of Razorpay as a difference keeps it."""
    return {
        "amount_paise": seen.amount,
        "currency": seen.currency,
        "status": seen.status,
        "order": seen.order_id,
        "invoice": seen.invoice_id,
    }
