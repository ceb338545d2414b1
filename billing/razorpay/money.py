"""What we ask of Razorpay about money: payments, refunds, orders, invoices, payment links and disputes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from billing.razorpay.calls import Calls, given, seconds, whole
from billing.razorpay.once import found, with_key
from billing.razorpay.papers import Dispute, Invoice, PaymentLink
from billing.razorpay.wire import Order, Payment, Refund

Notes = Mapping[str, str]
REFUND_KEY: Final = re.compile(r"[A-Za-z0-9_-]{10,64}")


def time_range(since: datetime | None, until: datetime | None = None) -> dict[str, Any]:
    """The query of a list for what was made in that time."""
    return given(**{"from": seconds(since) if since else None, "to": seconds(until) if until else None})


@dataclass(frozen=True, slots=True, repr=False)
class Money:
    """Payments, refunds, orders, invoices, payment links and disputes under one key."""

    calls: Calls

    # Payments ------------------------------------------------------------------------------------
    def payment(self, payment_id: str) -> Payment:
        return Payment.read(self.calls.get("payments/{}", payment_id))

    def payments(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Payment]:
        """Every payment made in that time, failed ones among them."""
        return map(Payment.read, self.calls.pages("payments", **time_range(since, until)))

    def capture(self, payment_id: str, *, amount: int, currency: str = "INR") -> Payment:
        """Take what was authorised. BadRequest when it was captured before: then fetch it."""
        body = {"amount": whole(amount), "currency": currency}
        return self.calls.post(Payment.read, "payments/{}/capture", payment_id, body=body)

    # Refunds -------------------------------------------------------------------------------------
    def create_refund(
        self, key: str, payment_id: str, *, amount: int, speed: str = "normal", receipt: str = "",
        notes: Notes | None = None,
    ) -> Refund:  # fmt: skip
        """Give back ``amount``. Under the same ``key`` and body it is made once, so it may be sent again.

        ValueError for a key that is not 10 to 64 letters, digits, ``_`` and ``-``; Conflict while
        the first call under the key is still at work.
        """
        if not REFUND_KEY.fullmatch(key):
            raise ValueError("the key of a refund has 10 to 64 letters, digits, _ and -")
        body = given(amount=whole(amount), speed=speed, receipt=receipt, notes=with_key(key, notes))
        headers = {"X-Refund-Idempotency": key}
        return self.calls.post(Refund.read, "payments/{}/refund", payment_id, body=body, headers=headers)

    def refund(self, refund_id: str) -> Refund:
        return Refund.read(self.calls.get("refunds/{}", refund_id))

    def refunds(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Refund]:
        """Every refund made in that time, by us or in the dashboard."""
        return map(Refund.read, self.calls.pages("refunds", **time_range(since, until)))

    def refunds_of(self, payment_id: str) -> Iterator[Refund]:
        """Every refund of a payment."""
        return map(Refund.read, self.calls.pages("payments/{}/refunds", payment_id))

    def refund_by_key(self, key: str, payment_id: str) -> Refund | None:
        """The refund of a payment that was made under ``key``."""
        return found(self.refunds_of(payment_id), key)

    # Orders --------------------------------------------------------------------------------------
    def create_order(
        self, key: str, *, amount: int, currency: str = "INR", receipt: str = "", notes: Notes | None = None
    ) -> Order:
        """A purchase to be paid at once; ``receipt`` is ours, of at most 40 characters."""
        body = given(amount=whole(amount), currency=currency, receipt=receipt, notes=with_key(key, notes))
        return self.calls.post(Order.read, "orders", body=body)

    def order(self, order_id: str) -> Order:
        return Order.read(self.calls.get("orders/{}", order_id))

    def orders(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Order]:
        """Every order made in that time."""
        return map(Order.read, self.calls.pages("orders", **time_range(since, until)))

    def order_by_key(self, key: str, since: datetime | None = None) -> Order | None:
        """The order that was made under ``key``."""
        return found(self.orders(since), key)

    def payments_of_order(self, order_id: str) -> Iterator[Payment]:
        """Every payment towards an order: there may be more than one."""
        return map(Payment.read, self.calls.pages("orders/{}/payments", order_id))

    # Invoices ------------------------------------------------------------------------------------
    def invoice(self, invoice_id: str) -> Invoice:
        return Invoice.read(self.calls.get("invoices/{}", invoice_id))

    def invoices_of(self, subscription_id: str) -> Iterator[Invoice]:
        """Every invoice of a subscription, one for each cycle."""
        return map(Invoice.read, self.calls.pages("invoices", subscription_id=subscription_id))

    # Payment links -------------------------------------------------------------------------------
    def create_link(
        self, key: str, *, amount: int, reference_id: str, description: str, currency: str = "INR",
        callback_url: str = "", expire_by: datetime | None = None, notes: Notes | None = None,
    ) -> PaymentLink:  # fmt: skip
        """An address for paying ``amount``; ``reference_id`` is ours and is part of what is signed."""
        body = given(
            amount=whole(amount),
            currency=currency,
            description=description,
            reference_id=reference_id,
            callback_url=callback_url,
            callback_method="get" if callback_url else None,
            expire_by=seconds(expire_by) if expire_by else None,
            notes=with_key(key, notes),
        )
        return self.calls.post(PaymentLink.read, "payment_links", body=body)

    def link(self, link_id: str) -> PaymentLink:
        return PaymentLink.read(self.calls.get("payment_links/{}", link_id))

    # Disputes ------------------------------------------------------------------------------------
    def dispute(self, dispute_id: str) -> Dispute:
        return Dispute.read(self.calls.get("disputes/{}", dispute_id))

    def disputes(self, since: datetime | None = None) -> Iterator[Dispute]:
        """Every dispute raised since then."""
        return map(Dispute.read, self.calls.pages("disputes", **time_range(since)))
