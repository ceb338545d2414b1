"""The objects of Razorpay as far as we use them: frozen, and made from an answer or an event alike.

Amounts are whole numbers in the smallest unit (paise), times are in UTC, references to other objects
are their ids, and what was not said is None or empty. A ``status`` may be one that no document names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from billing.razorpay.reading import Fields

#: States of a subscription from which no way leads on.
ENDED: Final = frozenset({"cancelled", "completed", "expired"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle costs: ``amount`` every ``interval`` of ``period`` (daily, weekly, monthly, …). Never changes."""

    id: str
    period: str
    interval: int
    name: str
    amount: int
    currency: str
    is_active: bool
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        plan = Fields(value, "plan")
        item = plan.inner("item")
        return cls(
            id=plan.id(),
            period=plan.text("period"),
            interval=plan.whole("interval", 1),
            name=item.text("name"),
            amount=item.money("amount"),
            currency=item.currency(),
            is_active=item.truth("active"),
            notes=plan.notes(),
            created_at=plan.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription. Nothing in it shows that it will be cancelled at the end of the cycle."""

    id: str
    plan_id: str
    customer_id: str
    status: str
    quantity: int
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

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "subscription")
        return cls(
            id=one.id(),
            plan_id=one.reference("plan_id"),
            customer_id=one.reference("customer_id"),
            status=one.text("status"),
            quantity=one.whole("quantity", 1),
            total_count=one.whole("total_count"),
            paid_count=one.whole("paid_count"),
            remaining_count=one.whole("remaining_count"),
            auth_attempts=one.whole("auth_attempts"),
            current_start=one.moment("current_start"),
            current_end=one.moment("current_end"),
            charge_at=one.moment("charge_at"),
            start_at=one.moment("start_at"),
            end_at=one.moment("end_at"),
            ended_at=one.moment("ended_at"),
            expire_by=one.moment("expire_by"),
            created_at=one.moment("created_at"),
            short_url=one.text("short_url"),
            has_scheduled_changes=one.truth("has_scheduled_changes"),
            change_scheduled_at=one.moment("change_scheduled_at"),
            payment_method=one.text("payment_method"),
            offer_id=one.reference("offer_id"),
            notes=one.notes(),
        )


@dataclass(frozen=True, slots=True)
class Payment:
    """Money from a customer. That of a subscription names an invoice, which names the subscription."""

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
    card_network: str
    card_last4: str
    card_type: str
    vpa: str
    email: str
    contact: str
    fee: int | None
    tax: int | None
    error_code: str
    error_description: str
    error_reason: str
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "payment")
        card, upi = one.inner("card"), one.inner("upi")
        return cls(
            id=one.id(),
            amount=one.money("amount"),
            currency=one.currency(),
            status=one.text("status"),
            captured=one.truth("captured"),
            amount_refunded=one.whole("amount_refunded"),
            refund_status=one.text("refund_status"),
            order_id=one.reference("order_id"),
            invoice_id=one.reference("invoice_id"),
            customer_id=one.reference("customer_id"),
            method=one.text("method"),
            international=one.truth("international"),
            card_network=card.text("network"),
            card_last4=card.text("last4"),
            card_type=card.text("type"),
            vpa=one.text("vpa") or upi.text("vpa"),
            email=one.text("email"),
            contact=one.text("contact"),
            fee=one.money_if_any("fee"),
            tax=one.money_if_any("tax"),
            error_code=one.text("error_code"),
            error_description=one.text("error_description"),
            error_reason=one.text("error_reason"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A purchase made once. It stays ``paid`` after a refund, and may have been paid more than once."""

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

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "order")
        return cls(
            id=one.id(),
            amount=one.money("amount"),
            amount_paid=one.whole("amount_paid"),
            amount_due=one.whole("amount_due"),
            currency=one.currency(),
            receipt=one.text("receipt"),
            status=one.text("status"),
            attempts=one.whole("attempts"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back: ``pending``, ``processed`` or ``failed``."""

    id: str
    payment_id: str
    amount: int
    currency: str
    status: str
    speed: str
    receipt: str
    arn: str
    notes: Mapping[str, str]
    created_at: datetime | None

    @classmethod
    def read(cls, value: Any) -> Self:
        one = Fields(value, "refund")
        return cls(
            id=one.id(),
            payment_id=one.id("payment_id"),
            amount=one.money("amount"),
            currency=one.currency(),
            status=one.text("status"),
            speed=one.text("speed_processed") or one.text("speed_requested"),
            receipt=one.text("receipt"),
            arn=one.inner("acquirer_data").text("arn"),
            notes=one.notes(),
            created_at=one.moment("created_at"),
        )
