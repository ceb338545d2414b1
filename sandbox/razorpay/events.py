"""Webhook events: snapshots of what happened, with the oddities that the service's own bodies have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .invoice import Invoice
from .link import PaymentLink
from .money import Dispute, Order, Payment, Refund
from .subscription import Subscription

WITH_PAYMENT = ("subscription.charged", "subscription.completed")
NO_TIME = ("subscription.halted", "payment.dispute.action_required")  # some samples have no created_at at all
ORDER = ("refund", "subscription", "payment", "order", "invoice", "dispute", "payment_link")


@dataclass(slots=True)
class Event:
    """One event, and what became of its delivery.

    `state` is queued, held, delivered, failed (it will be sent again), dropped, abandoned (the webhook was disabled)
    or unsent (there was no target).
    """

    id: str
    name: str
    body: bytes
    created_at: int
    secret: str
    state: str = "queued"
    failures: int = 0
    first_failure: int | None = None
    next_attempt: int | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self, *, with_body: bool = True) -> dict[str, Any]:
        """The event for control calls; `body` is what was signed, read again."""
        found: dict[str, Any] = {
            "id": self.id,
            "event": self.name,
            "state": self.state,
            "created_at": self.created_at,
            "next_attempt": self.next_attempt,
            "attempts": self.attempts,
        }
        if with_body:
            found["body"] = json.loads(self.body)
        return found


def written(value: dict[str, Any]) -> bytes:
    """JSON as the service writes it: compact, ASCII, slashes escaped. Written again by others, it is other bytes."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode()


def body_of(
    name: str,
    account_id: str,
    created_at: int,
    *,
    subscription: Subscription | None = None,
    payment: Payment | None = None,
    order: Order | None = None,
    invoice: Invoice | None = None,
    refund: Refund | None = None,
    dispute: Dispute | None = None,
    payment_link: PaymentLink | None = None,
) -> bytes:
    """The body of an event: what it is about, as it is now."""
    parts: dict[str, dict[str, Any]] = {}
    if subscription is not None:
        parts["subscription"] = subscription.as_json(in_event=True)
    if payment is not None:
        parts["payment"] = payment.as_json(in_subscription_event=subscription is not None)
    for part, value in (
        ("order", order),
        ("invoice", invoice),
        ("refund", refund),
        ("dispute", dispute),
        ("payment_link", payment_link),
    ):
        if value is not None:
            parts[part] = value.as_json()
    contains = [part for part in ORDER if part in parts]
    if subscription is not None and name not in WITH_PAYMENT:
        contains = ["subscription"]
    payload: dict[str, Any] = {part: {"entity": parts[part]} for part in ORDER if part in parts}
    event: dict[str, Any] = {
        "entity": "event",
        "account_id": account_id,
        "event": name,
        "contains": contains,
        "payload": payload,
    }
    if name == "subscription.activated" and payment is not None:
        payload["created_at"] = created_at  # nested, as in the samples
    elif name not in NO_TIME:
        event["created_at"] = created_at
    return written(event)
