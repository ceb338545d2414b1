"""Payment links: an order with a page of its own, which leads back to the site with a signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from .keys import signed
from .money import Order, Payment, noted


@dataclass(slots=True)
class PaymentLink:
    """One link. Moments that have not come are 0 here, where other objects have null."""

    id: str
    order: Order
    description: str | None
    reference: str
    customer: dict[str, Any]
    callback_url: str
    expire_by: int
    short_url: str
    created_at: int
    status: str = "created"
    cancelled_at: int = 0
    expired_at: int = 0
    notes: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The payment link entity."""
        paid = [payment for payment in self.order.payments if payment.captured]
        return {
            "id": self.id,
            "entity": "payment_link",
            "accept_partial": False,
            "amount": self.order.amount,
            "amount_paid": self.order.amount_paid,
            "callback_method": "get" if self.callback_url else "",
            "callback_url": self.callback_url,
            "cancelled_at": self.cancelled_at,
            "created_at": self.created_at,
            "currency": self.order.currency,
            "customer": self.customer,
            "description": self.description,
            "expire_by": self.expire_by,
            "expired_at": self.expired_at,
            "first_min_partial_amount": 0,
            "notes": noted(self.notes) or None,
            "notify": {"email": False, "sms": False},
            "order_id": self.order.id,
            "payments": [
                {
                    "amount": payment.amount,
                    "created_at": payment.created_at,
                    "method": payment.instrument.method,
                    "payment_id": payment.id,
                    "plink_id": self.id,
                    "status": payment.status,
                }
                for payment in paid
            ],
            "reference_id": self.reference,
            "reminder_enable": False,
            "reminders": [],
            "short_url": self.short_url,
            "status": self.status,
            "updated_at": self.created_at,
            "user_id": "",
        }

    def way_back(self, payment: Payment, secret: str) -> str:
        """The site's address with what happened and its signature; empty without a `callback_url`."""
        if not self.callback_url:
            return ""
        parts = [self.id, self.reference, self.status, payment.id]
        query = {
            "razorpay_payment_id": payment.id,
            "razorpay_payment_link_id": self.id,
            "razorpay_payment_link_reference_id": self.reference,
            "razorpay_payment_link_status": self.status,
            "razorpay_signature": signed("|".join(parts), secret),
        }
        joint = "&" if urlsplit(self.callback_url).query else "?"
        return self.callback_url + joint + urlencode(query)
