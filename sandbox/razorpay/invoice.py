"""Invoices of subscriptions, one a cycle, and customers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .money import noted


@dataclass(slots=True)
class Customer:
    """Somebody who pays."""

    id: str
    name: str | None
    email: str | None
    contact: str | None
    gstin: str | None
    notes: dict[str, str]
    created_at: int

    def as_json(self) -> dict[str, Any]:
        """The customer entity."""
        return {
            "id": self.id,
            "entity": "customer",
            "name": self.name,
            "email": self.email,
            "contact": self.contact,
            "gstin": self.gstin,
            "notes": noted(self.notes),
            "created_at": self.created_at,
        }


@dataclass(slots=True)
class Invoice:
    """What a cycle, a change or an add-on costs, and whether it was paid."""

    id: str
    subscription_id: str
    order_id: str
    customer: Customer | None
    amount: int
    currency: str
    lines: list[dict[str, Any]]
    billing_start: int
    billing_end: int
    short_url: str
    created_at: int
    description: str | None = None
    status: str = "issued"
    payment_id: str | None = None
    paid_at: int | None = None
    expired_at: int | None = None
    cancelled_at: int | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The invoice entity."""
        who = self.customer
        paid = self.amount if self.status == "paid" else 0
        details = {name: getattr(who, name, None) for name in ("id", "name", "email", "contact", "gstin")}
        return {
            "id": self.id,
            "entity": "invoice",
            "receipt": None,
            "invoice_number": None,
            "customer_id": who.id if who else None,
            "customer_details": details
            | {
                "billing_address": None,
                "shipping_address": None,
                "customer_name": details["name"],
                "customer_email": details["email"],
                "customer_contact": details["contact"],
            },
            "order_id": self.order_id,
            "subscription_id": self.subscription_id,
            "line_items": self.lines,
            "payment_id": self.payment_id,
            "status": self.status,
            "expire_by": None,
            "issued_at": self.created_at,
            "paid_at": self.paid_at,
            "cancelled_at": self.cancelled_at,
            "expired_at": self.expired_at,
            "sms_status": None,
            "email_status": None,
            "date": self.created_at,
            "terms": None,
            "partial_payment": False,
            "gross_amount": self.amount,
            "tax_amount": 0,
            "taxable_amount": 0,
            "amount": self.amount,
            "amount_paid": paid,
            "amount_due": self.amount - paid,
            "currency": self.currency,
            "currency_symbol": "₹" if self.currency == "INR" else self.currency,
            "description": self.description,
            "notes": noted(self.notes),
            "comment": None,
            "short_url": self.short_url,
            "view_less": True,
            "billing_start": self.billing_start,
            "billing_end": self.billing_end,
            "type": "invoice",
            "group_taxes_discounts": False,
            "created_at": self.created_at,
            "idempotency_key": None,
        }


def line(line_id: str, item_id: str, name: str, amount: int, currency: str, quantity: int, kind: str) -> dict[str, Any]:
    """One line of an invoice; `amount` is of one piece."""
    total = amount * quantity
    return {
        "id": line_id,
        "item_id": item_id,
        "ref_id": None,
        "ref_type": None,
        "name": name,
        "description": None,
        "amount": amount,
        "unit_amount": amount,
        "gross_amount": total,
        "tax_amount": 0,
        "taxable_amount": total,
        "net_amount": total,
        "currency": currency,
        "type": kind,
        "tax_inclusive": False,
        "hsn_code": None,
        "sac_code": None,
        "tax_rate": None,
        "unit": None,
        "quantity": quantity,
        "taxes": [],
    }
