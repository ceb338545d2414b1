"""The objects around a payment: invoice, customer, payment link and dispute; shaped as in ``wire``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from billing.razorpay.reading import Fields, Read, by


@dataclass(frozen=True, slots=True)
class Invoice(Read):
    """What Razorpay asks of a customer for one cycle of a subscription."""

    WHAT: ClassVar[str] = "invoice"
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


@dataclass(frozen=True, slots=True)
class Customer(Read):
    """Somebody who pays, as Razorpay knows them."""

    WHAT: ClassVar[str] = "customer"
    id: str
    name: str
    email: str
    contact: str
    gstin: str
    notes: Mapping[str, str]
    created_at: datetime | None


def _ids_of_payments(link: Fields) -> Iterator[str]:
    return (Fields(each, "payment_link.payments").id("payment_id") for each in link.list("payments"))


@dataclass(frozen=True, slots=True)
class PaymentLink(Read):
    """An address at which an amount can be paid; ``payments`` are the ids of those that did."""

    WHAT: ClassVar[str] = "payment_link"
    id: str
    reference_id: str = field(metadata=by(lambda one: one.text("reference_id")))
    status: str
    amount: int
    amount_paid: int
    currency: str
    order_id: str
    payments: tuple[str, ...] = field(metadata=by(lambda one: tuple(_ids_of_payments(one))))
    short_url: str
    expire_by: datetime | None
    notes: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dispute(Read):
    """A payment that its customer's bank asks back. ``lost`` means that the money is gone."""

    WHAT: ClassVar[str] = "dispute"
    id: str
    payment_id: str = field(metadata=by(lambda one: one.id("payment_id")))
    amount: int
    amount_deducted: int
    currency: str
    status: str
    phase: str
    reason_code: str
    respond_by: datetime | None
    created_at: datetime | None
