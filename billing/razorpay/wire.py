"""The objects of Razorpay as far as we use them: frozen, and made from an answer or an event alike.

Amounts are whole numbers in the smallest unit (paise), times are in UTC, references to other objects
are their ids, and what was not said is None or empty. A ``status`` may be one that no document names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from billing.razorpay.reading import Read, by

#: States of a subscription from which no way leads on.
ENDED: Final = frozenset({"cancelled", "completed", "expired"})


@dataclass(frozen=True, slots=True)
class Plan(Read):
    """What a cycle costs: ``amount`` every ``interval`` of ``period`` (daily, weekly, monthly, …). Never changes."""

    WHAT: ClassVar[str] = "plan"
    id: str
    period: str
    interval: int = field(metadata=by(lambda one: one.whole("interval", 1)))
    name: str = field(metadata=by(lambda one: one.inner("item").text("name")))
    amount: int = field(metadata=by(lambda one: one.inner("item").money("amount")))
    currency: str = field(metadata=by(lambda one: one.inner("item").currency()))
    is_active: bool = field(metadata=by(lambda one: one.inner("item").truth("active")))
    notes: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription(Read):
    """A subscription. Nothing in it shows that it will be cancelled at the end of the cycle."""

    WHAT: ClassVar[str] = "subscription"
    id: str
    plan_id: str
    customer_id: str
    status: str
    quantity: int = field(metadata=by(lambda one: one.whole("quantity", 1)))
    total_count: int
    paid_count: int
    remaining_count: int
    auth_attempts: int
    current_start: datetime | None
    current_end: datetime | None
    charge_at: datetime | None
    start_at: datetime | None
    end_at: datetime | None
    ended_at: datetime | None
    expire_by: datetime | None
    created_at: datetime | None
    short_url: str
    has_scheduled_changes: bool
    change_scheduled_at: datetime | None
    payment_method: str
    offer_id: str
    notes: Mapping[str, str]

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Payment(Read):
    """Money from a customer. That of a subscription names an invoice, which names the subscription."""

    WHAT: ClassVar[str] = "payment"
    id: str
    amount: int
    currency: str
    status: str
    captured: bool
    amount_refunded: int
    refund_status: str
    order_id: str
    invoice_id: str
    customer_id: str
    method: str
    international: bool
    card_network: str = field(metadata=by(lambda one: one.inner("card").text("network")))
    card_last4: str = field(metadata=by(lambda one: one.inner("card").text("last4")))
    card_type: str = field(metadata=by(lambda one: one.inner("card").text("type")))
    vpa: str = field(metadata=by(lambda one: one.text("vpa") or one.inner("upi").text("vpa")))
    email: str
    contact: str
    fee: int | None
    tax: int | None
    error_code: str
    error_description: str
    error_reason: str
    notes: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Order(Read):
    """A purchase made once. It stays ``paid`` after a refund, and may have been paid more than once."""

    WHAT: ClassVar[str] = "order"
    id: str
    amount: int
    amount_paid: int
    amount_due: int
    currency: str
    receipt: str
    status: str
    attempts: int
    notes: Mapping[str, str]
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refund(Read):
    """Money on its way back: ``pending``, ``processed`` or ``failed``."""

    WHAT: ClassVar[str] = "refund"
    id: str
    payment_id: str = field(metadata=by(lambda one: one.id("payment_id")))
    amount: int
    currency: str
    status: str
    speed: str = field(metadata=by(lambda one: one.text("speed_processed") or one.text("speed_requested")))
    receipt: str
    arn: str = field(metadata=by(lambda one: one.inner("acquirer_data").text("arn")))
    notes: Mapping[str, str]
    created_at: datetime | None
