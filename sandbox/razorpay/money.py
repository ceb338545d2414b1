"""Orders, payments, refunds, invoices, disputes: what carries amounts. All in the smallest unit of the currency."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GATEWAY_FAILURE = {
    "error_code": "BAD_REQUEST_ERROR",
    "error_description": "Your payment didn't go through as it was declined by the bank. Try another payment method "
    "or contact your bank.",
    "error_source": "bank",
    "error_step": "payment_authorization",
    "error_reason": "payment_failed",
}


def noted(notes: dict[str, str]) -> Any:
    """Notes as the service writes them: none is a list."""
    return dict(notes) if notes else []


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a customer pays with. `works` is whether its bank says yes to automatic charges."""

    method: str
    international: bool = False
    last4: str | None = None
    network: str | None = None
    vpa: str | None = None
    bank: str | None = None
    works: bool = True

    @property
    def kind(self) -> str:
        """card_domestic, card_international, upi, emandate or netbanking."""
        if self.method != "card":
            return self.method
        return "card_international" if self.international else "card_domestic"


INSTRUMENTS = {
    "card_domestic": Instrument("card", last4="0366", network="Visa"),
    "card_international": Instrument("card", international=True, last4="5558", network="MasterCard"),
    "upi": Instrument("upi", vpa="success@razorpay"),
    "emandate": Instrument("emandate", bank="HDFC"),
    "netbanking": Instrument("netbanking", bank="HDFC"),
}


@dataclass(slots=True)
class Order:
    """Something to be paid once."""

    id: str
    amount: int
    currency: str
    receipt: str | None
    notes: dict[str, str]
    created_at: int
    partial: bool = False
    captures: bool = True
    customer_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    link_id: str | None = None
    amount_paid: int = 0
    attempts: int = 0
    status: str = "created"
    payments: list[Payment] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The order entity."""
        return {
            "id": self.id,
            "entity": "order",
            "amount": self.amount,
            "amount_paid": self.amount_paid,
            "amount_due": max(0, self.amount - self.amount_paid),
            "currency": self.currency,
            "receipt": self.receipt,
            "offer_id": None,
            "status": self.status,
            "attempts": self.attempts,
            "notes": noted(self.notes),
            "created_at": self.created_at,
        }


@dataclass(slots=True)
class Payment:
    """One attempt to pay."""

    id: str
    amount: int
    currency: str
    order_id: str | None
    invoice_id: str | None
    instrument: Instrument
    email: str
    contact: str
    notes: dict[str, str]
    created_at: int
    description: str | None = None
    customer_id: str | None = None
    token_id: str | None = None
    card_id: str | None = None
    recurring: bool = False
    status: str = "created"
    captured: bool = False
    amount_refunded: int = 0
    fee: int | None = None
    tax: int | None = None
    error: dict[str, str] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def refund_status(self) -> str | None:
        """None, partial or full."""
        if not self.amount_refunded:
            return None
        return "full" if self.amount_refunded >= self.amount else "partial"

    def _card(self) -> dict[str, Any]:
        return {
            "id": self.card_id,
            "entity": "card",
            "name": "",
            "last4": self.instrument.last4,
            "network": self.instrument.network,
            "type": "credit",
            "issuer": None if self.instrument.international else "HDFC",
            "international": self.instrument.international,
            "emi": False,
            "sub_type": "consumer",
            "token_iin": None,
        }

    def as_json(self, *, in_subscription_event: bool = False) -> dict[str, Any]:
        """The payment entity. Events of subscriptions write some fields in another way than the rest."""
        found: dict[str, Any] = {
            "id": self.id,
            "entity": "payment",
            "amount": self.amount,
            "currency": self.currency,
            "status": self.status,
            "order_id": self.order_id,
            "invoice_id": self.invoice_id,
            "international": self.instrument.international,
            "method": self.instrument.method,
            "amount_refunded": self.amount_refunded,
            "refund_status": self.refund_status,
            "captured": ("1" if self.captured else "0") if in_subscription_event else self.captured,
            "description": self.description,
            "card_id": self.card_id,
            "bank": self.instrument.bank,
            "wallet": None,
            "vpa": self.instrument.vpa,
            "email": self.email,
            "contact": self.contact,
            "customer_id": self.customer_id,
            "token_id": self.token_id,
            "notes": noted(self.notes),
            "fee": self.fee,
            "tax": self.tax,
        }
        nothing = "" if in_subscription_event else None
        for name in GATEWAY_FAILURE:
            found[name] = self.error.get(name, nothing)
        found["acquirer_data"] = {"rrn": "0" * 12} if self.instrument.method == "upi" else {"auth_code": None}
        found["created_at"] = self.created_at
        if self.card_id:
            found["card"] = self._card()
        if self.instrument.method == "upi":
            found["upi"] = {"payer_account_type": "bank_account", "vpa": self.instrument.vpa, "flow": "collect"}
        if self.currency != "INR":
            found |= {"base_amount": self.amount * 84, "base_currency": "INR"}
        if in_subscription_event:
            found["amount_transferred"] = 0
        return found


@dataclass(slots=True)
class Refund:
    """Money on its way back."""

    id: str
    payment_id: str
    amount: int
    currency: str
    notes: dict[str, str]
    receipt: str | None
    speed: str
    created_at: int
    status: str = "processed"

    def as_json(self) -> dict[str, Any]:
        """The refund entity."""
        return {
            "id": self.id,
            "entity": "refund",
            "amount": self.amount,
            "currency": self.currency,
            "payment_id": self.payment_id,
            "notes": noted(self.notes),
            "receipt": self.receipt,
            "acquirer_data": {"arn": None},
            "created_at": self.created_at,
            "batch_id": None,
            "status": self.status,
            "speed_requested": self.speed,
            "speed_processed": "normal",
        }


@dataclass(slots=True)
class Dispute:
    """A customer who asks the bank for the money back."""

    id: str
    payment_id: str
    amount: int
    currency: str
    phase: str
    reason: str
    created_at: int
    respond_by: int
    status: str = "open"
    amount_deducted: int = 0

    def as_json(self) -> dict[str, Any]:
        """The dispute entity."""
        return {
            "id": self.id,
            "entity": "dispute",
            "payment_id": self.payment_id,
            "amount": self.amount,
            "currency": self.currency,
            "amount_deducted": self.amount_deducted,
            "gateway_dispute_id": None,
            "reason_code": self.reason,
            "reason_description": None,
            "respond_by": self.respond_by,
            "status": self.status,
            "phase": self.phase,
            "comments": None,
            "evidence": {"amount": self.amount, "summary": None, "submitted_at": None},
            "created_at": self.created_at,
        }
