"""The rows of subscriptions: made before Razorpay knows, then written as it was last fetched, with their history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from billing import gateway, telling
from billing.models import CouponUse, Price, Subscription, SubscriptionChange, SubscriptionStatus
from billing.razorpay import wire
from billing.razorpay.once import NOTE
from billing.standing import ENDED, Holder

Status = SubscriptionStatus


def make(
    holder: Holder,
    price: Price,
    quantity: int,
    *,
    total_count: int,
    expires_at: datetime,
    starts_at: datetime | None = None,
    idempotency_key: str | None = None,
    coupon_use: CouponUse | None = None,
    trial: bool = False,
    replaces: Subscription | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Subscription:
    """A row for a subscription that Razorpay is to be asked for: what it is known by there is its id."""
    row = Subscription.objects.create(
        user_id=holder.user_id,
        team_id=holder.team_id,
        plan=price.plan,
        price=price,
        mode=gateway.mode(),
        quantity=quantity,
        total_count=total_count,
        starts_at=starts_at,
        expires_at=expires_at,
        terms=price.terms,
        coupon_use=coupon_use,
        trial=trial,
        replaces=replaces,
        idempotency_key=idempotency_key,
        metadata=dict(metadata or {}),
    )
    note(row, "asked", after=Status.CREATING, price=str(price.pk), quantity=quantity)
    return row


def key_of(row: Subscription) -> str:
    """What the subscription at Razorpay carries in its notes."""
    return str(row.pk)


def note(
    row: Subscription,
    kind: str,
    *,
    before: str = "",
    after: str = "",
    actor: str = "",
    reason: str = "",
    **details: Any,
) -> None:
    """Add to the history of ``row``, and write the mail that this calls for; pages read what happened there.

    ``kind``: ``asked``, ``created``, ``state`` (Razorpay's, ``before`` to ``after``), ``paid`` (a cycle),
    ``payment_failed``, ``trial_begun``, ``trial_refused``, ``completed`` (charged for the last time);
    ``change_asked``, ``changed``, ``change_paid``, ``change_failed``, ``replacement_asked``; ``cancel_asked``,
    ``cancel_undone``, ``end_now``; ``given_back`` (a payment that bought nothing), ``refunded``, ``disputed``,
    ``dispute_over``, ``seats_refused``, ``handed_over`` (the team has another owner, and the payer is the same).
    """
    change = SubscriptionChange.objects.create(
        subscription=row, kind=kind, before=before, after=after, actor=actor[:254], reason=reason, details=details
    )
    telling.of_change(change)


def by_razorpay_id(razorpay_id: str) -> Subscription | None:
    """Our row of a subscription at Razorpay."""
    rows = Subscription.objects.select_related("plan", "price", "next_price", "coupon_use")
    return rows.filter(razorpay_subscription_id=razorpay_id).first()


def waiting(key: str) -> Subscription | None:
    """The row that the notes of a subscription name, whichever that is."""
    try:
        return again(UUID(key))
    except (ValueError, Subscription.DoesNotExist):
        return None


def again(pk: UUID) -> Subscription:
    """The row as it is now, with what belongs to it."""
    return Subscription.objects.select_related("plan", "price", "next_price", "coupon_use").get(pk=pk)


def is_ours(row: Subscription, seen: wire.Subscription) -> list[str]:
    """What of a fetched subscription can't be that of ``row``: names of fields, none when it is."""
    found = []
    if seen.notes.get(NOTE) != key_of(row):
        found.append("notes")
    if row.mode != gateway.mode():
        found.append("mode")
    plans = {row.price.razorpay_plan_id, row.next_price.razorpay_plan_id if row.next_price else None}
    if seen.plan_id not in plans:
        found.append("plan")
    if seen.quantity not in {row.quantity, row.next_quantity}:
        found.append("quantity")
    return found


def adopt(row: Subscription, seen: wire.Subscription) -> None:
    """Write which subscription at Razorpay is the one of ``row``, which waits for it."""
    row.razorpay_subscription_id = seen.id
    row.short_url = seen.short_url[:300]
    row.status = Status.CREATED
    note(row, "created", before=Status.CREATING, after=Status.CREATED, subscription=seen.id)


def write_state(row: Subscription, seen: wire.Subscription) -> tuple[str, str]:
    """Write what was fetched into ``row``, which the caller saves; the state before and after.

    A state from which no way leads on stays, and one that no document names changes nothing.
    """
    before = str(row.status)
    if seen.status in Status.values and (row.status not in ENDED or seen.status in ENDED):
        row.status = seen.status
    row.current_period_start = seen.current_start or row.current_period_start
    row.current_period_end = seen.current_end or row.current_period_end
    row.charge_at, row.starts_at = seen.charge_at, seen.start_at or row.starts_at
    row.ended_at = seen.ended_at or row.ended_at
    row.paid_count = max(row.paid_count, seen.paid_count)
    row.total_count = seen.total_count or row.total_count
    row.payment_method = seen.payment_method[:20] or row.payment_method
    row.razorpay_customer_id = seen.customer_id or row.razorpay_customer_id
    row.short_url = seen.short_url[:300] or row.short_url
    after = str(row.status)
    if before != after:
        note(row, "state", before=before, after=after)
    return before, after
