"""What follows from an object at Razorpay: fetched here, never taken from an event or a browser.

Each function may be called at any time, by any number of processes, for the same fact: events, the browser's return,
the worker and the reconciler all end here. Nothing is locked while Razorpay is asked. What was fetched is written
under the lock of the payer's money, and only if nobody has written since looking began; else it is looked at again.
All raise RazorpayError when Razorpay has no answer, and ``dispatch.NotOurs`` when what it says can't be of ours: then
nothing was granted and a difference stands for the owners.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from django.db import transaction

from billing import differences, dispatch, gateway, observing, payments, refunds, reversals, settling, standing, topups
from billing import subscriptions as rows
from billing.models import Payment, Purchase, Subscription
from billing.observing import Seen
from billing.razorpay import wire
from billing.razorpay.once import NOTE
from oneai.kit.clock import now

LOOKS: Final = 12


class Contended(Exception):
    """Others kept writing what we were looking at: somebody has to look again."""


def connect() -> None:
    """Let the inbox have these effects done."""
    dispatch.connect(
        subscription=apply_subscription,
        payment=apply_payment,
        order=apply_order,
        refund=apply_refund,
        dispute=apply_dispute,
    )


# Subscriptions -----------------------------------------------------------------------------------
def apply_subscription(razorpay_id: str, also: Iterable[str] = ()) -> Subscription:
    """Write what Razorpay says of a subscription and do what follows; ``also`` are ids of payments to look at.

    The row as it is then.
    """
    razorpay, began, also = gateway.razorpay(), now(), sorted(set(also))
    for _ in range(LOOKS):
        row = rows.by_razorpay_id(razorpay_id)
        seen = observing.look(razorpay, razorpay_id, row.pk if row else None, also)
        written = _write(row or _waiting_for(seen.subscription), seen, began, also)
        if written is not None:
            return written
    raise Contended(razorpay_id)


def _waiting_for(seen: wire.Subscription) -> Subscription:
    """Our row that asked for a subscription and never heard that it was made. NotOurs when there is none."""
    found = rows.waiting(seen.notes.get(NOTE, ""))
    if found is None:
        differences.note("subscription_unknown", seen.id, theirs={"plan": seen.plan_id, "status": seen.status})
        raise dispatch.NotOurs(f"the subscription {seen.id} was not asked for here")
    return found


def _write(row: Subscription, seen: Seen, began: datetime, also: list[str]) -> Subscription | None:
    """The row, written or found as new as ``began``; None when somebody else has written what is older."""
    with transaction.atomic():
        standing.lock_with_team(row)
        kept = rows.again(row.pk)
        if kept.fetched_at != row.fetched_at:
            known = Payment.objects.filter(razorpay_payment_id__in=also, fetched_at__gte=began).count() == len(also)
            return kept if known and kept.fetched_at and kept.fetched_at >= began else None
        if kept.razorpay_subscription_id is None:
            rows.adopt(kept, seen.subscription)
        elif kept.razorpay_subscription_id != seen.subscription.id:
            differences.note(
                "subscription_twice", seen.subscription.id, ours={"subscription": kept.razorpay_subscription_id}
            )
        mine = kept.razorpay_subscription_id == seen.subscription.id
        if mine:
            kept.fetched_at = seen.began
            mine = settling.settle(kept, seen)
    if not mine:
        raise dispatch.NotOurs(f"the subscription {seen.subscription.id} is not as it was asked for")
    return kept


# Payments and orders -----------------------------------------------------------------------------
def apply_payment(razorpay_id: str) -> None:
    """Look at what the payment is for: a cycle of a subscription, or an order."""
    razorpay = gateway.razorpay()
    seen = razorpay.payment(razorpay_id)
    if seen.invoice_id:
        invoice = razorpay.invoice(seen.invoice_id)
        if invoice.subscription_id:
            apply_subscription(invoice.subscription_id, [razorpay_id])
            return
    purchase = Purchase.objects.filter(razorpay_order_id=seen.order_id).first() if seen.order_id else None
    if purchase is not None:
        apply_order(seen.order_id)
        return
    known = Payment.objects.filter(razorpay_payment_id=razorpay_id).select_related("subscription").first()
    if known is not None and known.subscription is not None and known.subscription.razorpay_subscription_id:
        apply_subscription(known.subscription.razorpay_subscription_id, [razorpay_id])
        return
    if not payments.is_paid(seen) or seen.amount_refunded >= seen.amount or settling.is_token(seen):
        return  # no money stays here: it failed, has gone back, or set up a mandate
    if seen.order_id and topups.was_asked_for(razorpay, seen.order_id):
        apply_order(seen.order_id)
        return
    differences.note("payment_unknown", seen.id, theirs=payments.shown_wire(seen))
    raise dispatch.NotOurs(f"the payment {seen.id} is for nothing that was ordered here")


def apply_order(razorpay_id: str) -> Purchase | None:
    """Write what Razorpay says of an order and of every payment towards it, and do what follows.

    An order that Razorpay made by itself for a cycle is known by its payments; then there is nothing to return.
    """
    razorpay = gateway.razorpay()
    applied = topups.apply(razorpay, razorpay_id)
    if applied is None:
        for each in razorpay.payments_of_order(razorpay_id):
            apply_payment(each.id)
    return applied


# What goes back ----------------------------------------------------------------------------------
def apply_refund(razorpay_id: str) -> None:
    """Write what Razorpay says of a refund, also of one that was not asked for here, and of its payment."""
    razorpay = gateway.razorpay()
    seen = razorpay.refund(razorpay_id)
    paid = razorpay.payment(seen.payment_id)
    kept = Payment.objects.filter(razorpay_payment_id=seen.payment_id).first()
    if kept is None:
        apply_payment(seen.payment_id)
        kept = Payment.objects.filter(razorpay_payment_id=seen.payment_id).first()
    if kept is None:
        return  # the token amount of a mandate goes back by itself, also where its payment is known
    with transaction.atomic():
        standing.lock(kept.user_id)
        kept, _ = payments.write(paid, subscription=kept.subscription, purchase=kept.purchase)
        row = refunds.find(seen)
        if row is not None:
            refunds.write(row, seen)
        elif kept.effect_at is not None or not settling.is_token(paid):
            refunds.adopt(kept, seen)
            reversals.follow_refund(kept)


def apply_dispute(razorpay_id: str) -> None:
    """Write how a dispute stands, and stop, give back or take away what its payment bought.

    The payment is looked at first: what was bought with it and not heard of yet could not be stopped.
    """
    razorpay = gateway.razorpay()
    seen = razorpay.dispute(razorpay_id)
    with suppress(dispatch.NotOurs):  # its difference stands
        apply_payment(seen.payment_id)
    reversals.apply_dispute(razorpay, seen)
