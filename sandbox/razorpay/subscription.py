"""Plans, subscriptions and add-ons: what is kept of them, and how they look outside."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from .cycles import boundary
from .invoice import Invoice
from .money import Instrument, noted

ENDED = ("cancelled", "completed", "expired")
MAX_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """A price for a period. Never changes."""

    id: str
    item_id: str
    period: str
    interval: int
    name: str
    amount: int
    currency: str
    description: str | None
    notes: dict[str, str]
    created_at: int

    def as_json(self) -> dict[str, Any]:
        """The plan entity."""
        return {
            "id": self.id,
            "entity": "plan",
            "interval": self.interval,
            "period": self.period,
            "item": item(self.item_id, self.name, self.amount, self.currency, "plan", self.created_at)
            | {"description": self.description},
            "notes": noted(self.notes),
            "created_at": self.created_at,
        }


def item(item_id: str, name: str, amount: int, currency: str, kind: str, created_at: int) -> dict[str, Any]:
    """The item entity inside a plan or an add-on."""
    return {
        "id": item_id,
        "active": True,
        "name": name,
        "description": None,
        "amount": amount,
        "unit_amount": amount,
        "currency": currency,
        "type": kind,
        "unit": None,
        "tax_inclusive": False,
        "hsn_code": None,
        "sac_code": None,
        "tax_rate": None,
        "tax_id": None,
        "tax_group_id": None,
        "created_at": created_at,
        "updated_at": created_at,
    }


@dataclass(slots=True)
class Addon:
    """Something that the next invoice of a subscription carries beside the plan."""

    id: str
    item_id: str
    name: str
    amount: int
    currency: str
    quantity: int
    subscription_id: str
    created_at: int
    invoice_id: str | None = None

    @property
    def total(self) -> int:
        """Its price, times its quantity."""
        return self.amount * self.quantity

    def as_json(self) -> dict[str, Any]:
        """The add-on entity."""
        return {
            "id": self.id,
            "entity": "addon",
            "item": item(self.item_id, self.name, self.amount, self.currency, "addon", self.created_at),
            "quantity": self.quantity,
            "created_at": self.created_at,
            "subscription_id": self.subscription_id,
            "invoice_id": self.invoice_id,
        }


@dataclass(slots=True)
class Subscription:
    """A subscription. `anchor` is where its cycles are counted from and `since` how many began since then.

    `cancels_at_end` shows nowhere outside: the service has no field for it either.
    """

    id: str
    plan: Plan
    quantity: int
    total_count: int
    notes: dict[str, str]
    start_at: int | None
    expire_by: int | None
    customer_notify: bool
    source: str
    offer_id: str | None
    created_at: int
    short_url: str
    remaining: int
    status: str = "created"
    customer_id: str | None = None
    token_id: str | None = None
    email: str = ""
    contact: str = ""
    current_start: int | None = None
    current_end: int | None = None
    ended_at: int | None = None
    charge_at: int | None = None
    end_at: int | None = None
    auth_attempts: int = 0
    paid_count: int = 0
    anchor: int = 0
    since: int = 0
    instrument: Instrument | None = None
    scheduled: dict[str, Any] = field(default_factory=dict)
    change_scheduled_at: int | None = None
    cancels_at_end: bool = False
    paused_at: int | None = None
    pause_initiated_by: str | None = None
    cancel_initiated_by: str | None = None
    open_invoice: str | None = None
    last_payment: str | None = None
    addons: list[Addon] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    outcomes: deque[bool] = field(default_factory=deque)

    @property
    def amount(self) -> int:
        """What one cycle costs."""
        return self.plan.amount * self.quantity

    @property
    def method(self) -> str | None:
        """card, upi or emandate; None before authentication."""
        return self.instrument.method if self.instrument else None

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.status in ENDED

    def begins(self, number: int) -> int:
        """When cycle `number` since the anchor begins."""
        return boundary(self.anchor, self.plan.period, self.plan.interval, number)

    def set_end(self) -> None:
        """Works out when the last cycle begins: that is what the service calls the end."""
        if self.remaining:
            self.end_at = self.begins(self.since + self.remaining - 1)

    def with_scheduled(self) -> Subscription:
        """As it will be once the scheduled change has happened."""
        changed = replace(self)
        if "plan" in self.scheduled:
            changed.plan = self.scheduled["plan"]
        changed.quantity = self.scheduled.get("quantity", self.quantity)
        changed.offer_id = self.scheduled.get("offer_id", self.offer_id)
        if "remaining" in self.scheduled:
            changed.remaining = self.scheduled["remaining"]
            changed.total_count = self.total_count - self.remaining + changed.remaining
        return changed

    def as_json(self, *, in_event: bool = False) -> dict[str, Any]:
        """The subscription entity. In events it has no address, and a `type`."""
        found: dict[str, Any] = {
            "id": self.id,
            "entity": "subscription",
            "plan_id": self.plan.id,
            "status": self.status,
            "current_start": self.current_start,
            "current_end": self.current_end,
            "ended_at": self.ended_at,
            "quantity": self.quantity,
            "notes": noted(self.notes),
            "charge_at": self.charge_at,
            "start_at": self.start_at,
            "end_at": self.end_at,
            "auth_attempts": self.auth_attempts,
            "total_count": self.total_count,
            "paid_count": self.paid_count,
            "customer_notify": self.customer_notify,
            "created_at": self.created_at,
            "expire_by": self.expire_by,
            "short_url": None if in_event else self.short_url,
            "has_scheduled_changes": bool(self.scheduled),
            "change_scheduled_at": self.change_scheduled_at,
            "source": self.source,
            "remaining_count": self.remaining,
        }
        if self.offer_id:
            found["offer_id"] = self.offer_id
        if self.customer_id:
            found["customer_id"] = self.customer_id
            found["payment_method"] = self.method
        if self.paused_at:
            found["paused_at"] = self.paused_at
        if self.status in ("paused", "cancelled"):
            found["pause_initiated_by"] = self.pause_initiated_by
            found["cancel_initiated_by"] = self.cancel_initiated_by
        if in_event:
            found["type"] = 2
        return found
