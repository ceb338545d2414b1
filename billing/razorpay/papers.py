"""The objects around a payment: invoice, customer, payment link and dispute; shaped as in ``wire``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from billing.razorpay.reading import Fields


@dataclass(frozen=True, slots=True)
class Invoice:
    """What Razorpay asks of a customer for one cycle of a subscription."""

    id: str
    subscription_id: str
    order_id: str
    payment_id: str
    customer_id: str
    status: str
    amount: int
    amount_paid: int
    amount_due: int
    currency: str
    billing_start: datetime | None
    billing_end: datetime | None
    issued_at: datetime | None
    paid_at: datetime | None
    short_url: str
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "invoice")
        return cls(
            id=one.id(),
            subscription_id=one.reference("subscription_id"),
            order_id=one.reference("order_id"),
            payment_id=one.reference("payment_id"),
            customer_id=one.reference("customer_id"),
            status=one.text("status"),
            amount=one.money("amount"),
            amount_paid=one.whole("amount_paid"),
            amount_due=one.whole("amount_due"),
            currency=one.currency(),
            billing_start=one.moment("billing_start"),
            billing_end=one.moment("billing_end"),
            issued_at=one.moment("issued_at"),
            paid_at=one.moment("paid_at"),
            short_url=one.text("short_url"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who pays, as Razorpay knows them."""

    id: str
    name: str
    email: str
    contact: str
    gstin: str
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "customer")
        return cls(
            id=one.id(),
            name=one.text("name"),
            email=one.text("email"),
            contact=one.text("contact"),
            gstin=one.text("gstin"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """An address at which an amount can be paid; ``payments`` are the ids of those that did."""

    id: str
    reference_id: str
    status: str
    amount: int
    amount_paid: int
    currency: str
    order_id: str
    payments: tuple[str, ...]
    short_url: str
    expire_by: datetime | None
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "payment_link")
        return cls(
            id=one.id(),
            reference_id=one.text("reference_id"),
            status=one.text("status"),
            amount=one.money("amount"),
            amount_paid=one.whole("amount_paid"),
            currency=one.currency(),
            order_id=one.reference("order_id"),
            payments=tuple(Fields(each, "payment_link.payments").id("payment_id") for each in one.list("payments")),
            short_url=one.text("short_url"),
            expire_by=one.moment("expire_by"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that its customer's bank asks back. ``lost`` means that the money is gone."""

    id: str
    payment_id: str
    amount: int
    amount_deducted: int
    currency: str
    status: str
    phase: str
    reason_code: str
    respond_by: datetime | None
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "dispute")
        return cls(
            id=one.id(),
            payment_id=one.id("payment_id"),
            amount=one.money("amount"),
            amount_deducted=one.whole("amount_deducted"),
            currency=one.currency(),
            status=one.text("status"),
            phase=one.text("phase"),
            reason_code=one.text("reason_code"),
            respond_by=one.moment("respond_by"),
            created_at=one.moment("created_at"),
        )
