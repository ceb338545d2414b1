"""Razorpay against our rows: what events did not bring is found here, repaired by the same effects, and reported.

A pass goes over what Razorpay has made lately (subscriptions, payments, orders, refunds, disputes), then over our own
rows that ought to have moved. Any number of workers may run it: effects may be repeated.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from billing import differences, dispatch, effects, ending, gateway, looking, overdue, payments, refunds, subscriptions
from billing.looking import Report
from billing.models import Payment, Purchase, Refund, Subscription
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import NotFound, NotOffered, RazorpayError
from billing.razorpay.once import NOTE, made_since
from billing.razorpay.wire import Payment as SeenPayment
from billing.razorpay.wire import Refund as SeenRefund
from billing.razorpay.wire import Subscription as SeenSubscription
from oneai.kit.clock import now

log = structlog.get_logger("billing")

LOOKS_BACK: Final = timedelta(days=4)
"""What a pass of the worker looks at again: a failed payment may come through three days later."""


def reconcile_due() -> int:
    """The worker's pass; how many differences it repaired."""
    if not gateway.configured():
        return 0
    return len(reconcile().repaired)


def reconcile(since: datetime | None = None) -> Report:
    """One pass over what was made since then (``LOOKS_BACK``) and over our rows that ought to have moved.

    Refusals of the gateway when Razorpay can't be read at all; one object that fails keeps no other from it.
    """
    razorpay, at = gateway.razorpay(), now()
    report, begin = Report(), since or at - LOOKS_BACK
    try:
        _their_subscriptions(razorpay, begin, report)
        _their_payments(razorpay, begin, report)
        _their_orders(razorpay, begin, report)
        _their_refunds(razorpay, begin, report)
        _their_disputes(razorpay, begin, report)
    except RazorpayError as error:
        raise gateway.as_refusal(error) from error
    overdue.see_subscriptions(razorpay, at, report)
    overdue.see_purchases(razorpay, at, report)
    overdue.see_refunds(razorpay, at, report)
    overdue.see_labels(at)
    return report


# What Razorpay has ------------------------------------------------------------------------------
def _their_subscriptions(razorpay: Razorpay, since: datetime, report: Report) -> None:
    for seen in razorpay.subscriptions(made_since(since)):
        row = subscriptions.by_razorpay_id(seen.id)
        if row is None or not _is_as_seen(row, seen):
            looking.subscription(report, seen.id)


def _is_as_seen(row: Subscription, seen: SeenSubscription) -> bool:
    return (
        row.status == seen.status
        and row.paid_count == seen.paid_count
        and row.current_period_end == seen.current_end
        and row.price.razorpay_plan_id == seen.plan_id
        and row.quantity == seen.quantity
    )


def _their_payments(razorpay: Razorpay, since: datetime, report: Report) -> None:
    for seen in razorpay.payments(since):
        row = Payment.objects.filter(razorpay_payment_id=seen.id).first()
        if row is not None and _is_payment_as_seen(row, seen):
            continue
        looking.look(
            report,
            "payment",
            seen.id,
            lambda seen=seen: effects.apply_payment(seen.id),  # type: ignore[misc]
            lambda seen=seen: _payment_state(seen.id),
            lambda seen=seen: _payment_state(seen.id),
        )


def _is_payment_as_seen(row: Payment, seen: SeenPayment) -> bool:
    done = row.effect_at is not None or not payments.is_paid(seen) or seen.amount_refunded >= seen.amount
    given_back = row.refunds.exclude(status=refunds.FAILED).exists()
    return row.status == seen.status and row.refunded_paise >= seen.amount_refunded and (done or given_back)


def _payment_state(razorpay_id: str) -> dict[str, Any]:
    row = Payment.objects.filter(razorpay_payment_id=razorpay_id).first()
    if row is None:
        return {}
    return {"status": row.status, "refunded_paise": row.refunded_paise, "in_effect": row.effect_at is not None}


def _their_orders(razorpay: Razorpay, since: datetime, report: Report) -> None:
    for seen in razorpay.orders(since):
        row = Purchase.objects.filter(razorpay_order_id=seen.id).first()
        if row is None and not seen.notes.get(NOTE):
            continue  # Razorpay's own orders of subscriptions
        if row is not None and (row.status == seen.status or row.credited_at is not None):
            continue
        looking.order(report, seen.id)


def _their_refunds(razorpay: Razorpay, since: datetime, report: Report) -> None:
    for seen in razorpay.refunds(since):
        row = refunds.find(seen)
        if row is not None and _is_refund_as_seen(row, seen):
            continue
        looking.refund(report, seen.id)


def _is_refund_as_seen(row: Refund, seen: SeenRefund) -> bool:
    """Whether the refund is known, and its payment, which may be much older, has been seen since it was made."""
    ended = row.status == seen.status or row.status in (refunds.PROCESSED, refunds.FAILED)
    return ended and row.payment.refunded_paise >= refunds.made_of(row.payment)


def _their_disputes(razorpay: Razorpay, since: datetime, report: Report) -> None:
    try:
        found = list(razorpay.disputes(since - timedelta(days=60)))
    except (NotFound, NotOffered):  # an account without disputes may not have the list
        return
    for seen in found:
        row = Payment.objects.filter(razorpay_payment_id=seen.payment_id).first()
        if row is None or row.disputes.get(seen.id) == seen.status[:20]:
            continue
        key = seen.payment_id
        looking.look(
            report,
            "dispute",
            seen.id,
            lambda seen=seen: effects.apply_dispute(seen.id),  # type: ignore[misc]
            lambda key=key: _dispute_state(key),
            lambda key=key: _dispute_state(key),
        )


def _dispute_state(payment_id: str) -> dict[str, Any]:
    row = Payment.objects.filter(razorpay_payment_id=payment_id).first()
    return {"dispute": row.dispute, "all": row.disputes} if row else {}


# What waits to be sent ---------------------------------------------------------------------------
def send_due() -> int:
    """Send refunds and cancellations that wait, and tell owners of differences; how many."""
    done = refunds.send_due()
    for razorpay_id in ending.send_due():
        done += 1
        try:
            effects.apply_subscription(razorpay_id)
        except (RazorpayError, effects.Contended, dispatch.NotOurs) as error:
            log.warning("fetch_waits", subscription=razorpay_id, error=str(error))
    return done + differences.tell()
