"""What Razorpay says now of one subscription: itself, its invoices and those payments that we want to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.models import Payment
from billing.razorpay.client import Razorpay
from billing.razorpay.papers import Invoice
from billing.razorpay.wire import Payment as SeenPayment
from billing.razorpay.wire import Subscription
from oneai.kit.clock import now


@dataclass(frozen=True, slots=True)
class Seen:
    """``began``: when looking began; everything here is at least as new. ``payments`` are by their ids."""

    began: datetime
    subscription: Subscription
    invoices: tuple[Invoice, ...]
    payments: dict[str, SeenPayment] = field(default_factory=dict)

    def invoice_of(self, payment: SeenPayment) -> Invoice | None:
        """The invoice that the payment says it was for, if it is one of this subscription."""
        for invoice in self.invoices:
            if invoice.id == payment.invoice_id or (not payment.invoice_id and invoice.order_id == payment.order_id):
                return invoice
        return None


def look(razorpay: Razorpay, subscription_id: str, row_id: UUID | None, also: Iterable[str] = ()) -> Seen:
    """Ask for the subscription, for all its invoices, for the payments of those that are paid and not yet in
    effect here, and for ``also``. Opens no transaction. RazorpayError when one can't be had."""
    began = now()
    subscription = razorpay.subscription(subscription_id)
    invoices = tuple(razorpay.invoices_of(subscription_id))
    in_effect = (
        Payment.objects.filter(subscription=row_id).exclude(effect_at=None) if row_id else Payment.objects.none()
    )
    done = set(in_effect.values_list("razorpay_payment_id", flat=True))
    wanted = {invoice.payment_id for invoice in invoices if invoice.payment_id} - done
    wanted.update(also)
    return Seen(began, subscription, invoices, {each: razorpay.payment(each) for each in sorted(wanted)})
