"""Our rows that ought to have moved: what Razorpay would have told us of, and what it never tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from billing import coupons, gateway, looking, refunds, standing, subscriptions
from billing.looking import Report
from billing.models import Purchase, Refund, Subscription, SubscriptionStatus
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import RazorpayError
from billing.razorpay.once import made_since
from billing.standing import LIVE, OPEN
from oneai.kit.clock import now

Status = SubscriptionStatus

LATE: Final = timedelta(days=4)
UNSEEN: Final = timedelta(hours=12)
LAG: Final = timedelta(minutes=5)
"""What is younger than this may still be on its way."""
MOST: Final = 200


def see_subscriptions(razorpay: Razorpay, at: datetime, report: Report) -> None:
    mine = Subscription.objects.filter(mode=gateway.mode())
    unmade = mine.filter(status=Status.CREATING, created_at__lt=at - LAG).select_related("plan", "price")
    for row in unmade.order_by("created_at")[:MOST]:
        _unmade(razorpay, row, at, report)
    overdue = Q(charge_at__lt=at - LAG, fetched_at__lt=F("charge_at") + LAG)
    overdue |= Q(current_period_end__lt=at - LAG, fetched_at__lt=F("current_period_end") + LAG)
    overdue |= Q(status=Status.CREATED, expires_at__lt=at - LAG) | Q(fetched_at__lt=at - UNSEEN)
    overdue |= Q(cancel_sent_at__gt=F("fetched_at")) | Q(metadata__has_key="change")
    stale = mine.filter(overdue, status__in=LIVE | {Status.CREATED}).exclude(razorpay_subscription_id=None)
    for razorpay_id in stale.order_by("fetched_at").values_list("razorpay_subscription_id", flat=True)[:MOST]:
        looking.subscription(report, razorpay_id or "")
    lapsed = mine.filter(status=Status.CREATED, expires_at__lt=at - timedelta(days=1))
    for row in lapsed.order_by("expires_at")[:MOST]:
        _lapse(row)


def _unmade(razorpay: Razorpay, row: Subscription, at: datetime, report: Report) -> None:
    """A row that never heard whether it was made: it was, or its day is over."""
    try:
        seen = razorpay.subscription_by_key(
            subscriptions.key_of(row), row.price.razorpay_plan_id or "", made_since(row.created_at)
        )
    except RazorpayError as error:
        report.failed.append(f"subscription {row.pk}: {error}")
        return
    if seen is not None:
        looking.subscription(report, seen.id)
    elif row.expires_at is not None and row.expires_at <= at:
        _lapse(row)


def _lapse(row: Subscription) -> None:
    """Nobody paid it in time. There is no event for that."""
    with transaction.atomic():
        standing.lock(row.user_id)
        row = subscriptions.again(row.pk)
        if row.status not in OPEN:
            return
        subscriptions.note(row, "state", before=str(row.status), after=Status.EXPIRED)
        row.status, row.replaces, row.ended_at = Status.EXPIRED, None, now()
        row.save()
        coupons.release(row)


def see_purchases(razorpay: Razorpay, at: datetime, report: Report) -> None:
    mine = Purchase.objects.filter(mode=gateway.mode(), credited_at=None)
    for row in mine.filter(razorpay_order_id=None, created_at__range=(at - LATE, at - LAG))[:MOST]:
        try:
            seen = razorpay.order_by_key(str(row.pk), made_since(row.created_at))
        except RazorpayError as error:
            report.failed.append(f"purchase {row.pk}: {error}")
            continue
        if seen is not None:
            looking.order(report, seen.id)
    tried = mine.exclude(razorpay_order_id=None).filter(
        status__in=("attempted", "paid"), created_at__range=(at - LATE, at - LAG)
    )
    for row in tried[:MOST]:
        looking.order(report, row.razorpay_order_id or "")
    left = mine.filter(created_at__lt=at - coupons.KEPT, coupon_use__released_at=None, coupon_use__used_at=None)
    for row in left.exclude(coupon_use=None).select_related("coupon_use")[:MOST]:
        with transaction.atomic():
            standing.lock(row.user_id)
            coupons.release(row)


def see_refunds(razorpay: Razorpay, at: datetime, report: Report) -> None:
    pending = Refund.objects.filter(status=refunds.PENDING, payment__mode=gateway.mode())
    for key in pending.exclude(razorpay_refund_id=None).values_list("razorpay_refund_id", flat=True)[:MOST]:
        looking.refund(report, key or "")


def see_labels(at: datetime) -> None:
    """The plan in the row of people whose paid time is over without an event that says so."""
    over = Subscription.objects.filter(status__in=standing.ENDED | {Status.HALTED}, allowed_until__lte=at)
    for user_id in over.filter(user__current_subscription=F("plan__code")).values_list("user_id", flat=True)[:MOST]:
        with transaction.atomic():
            standing.lock(user_id)
            standing.relabel(user_id)
