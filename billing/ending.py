"""Ending a subscription: now, with the unused part given back, or at the end of its cycle, which can be taken back.

Razorpay shows no sign of a cancellation that waits and can't undo one, so it is our row that waits: Razorpay hears of
it shortly before the cycle ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q

from billing import allowing, coupons, cycles, gateway, payments, refunds, standing, subscriptions
from billing.models import Payment, Refund, Subscription, SubscriptionStatus
from billing.proration import remaining
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import BadRequest, RazorpayError
from billing.standing import ENDED, LIVE, Holder
from oneai.kit.clock import now, utc_text
from quotas import allowances

log = structlog.get_logger("billing")

Status = SubscriptionStatus

SENT_BEFORE: Final = timedelta(hours=72)
"""How long before the end Razorpay is told: before the notice of the next debit, 36 hours ahead, goes out."""


def unused(row: Subscription) -> tuple[int, int]:
    """What would be given back if it ended now, and what was paid for the running cycle, in paise.

    The smaller of the time and the quota that are left, in proportion, rounded down; of each payment by itself,
    those for changes in the middle of the cycle among them.
    """
    parts = _unused_parts(row)
    return sum(back for _, back in parts), sum(payment.amount_paise for payment, _ in parts)


def to_pay_by_hand(row: Subscription) -> int:
    """What of it Razorpay would not give back, because the payment is too old, in paise."""
    return sum(back for payment, back in _unused_parts(row) if refunds.is_too_old(payment))


def _unused_parts(row: Subscription) -> list[tuple[Payment, int]]:
    """The payments of the running cycle, that of the cycle first, and what would be given back of each."""
    cycle = payments.running(row)
    if cycle is None or cycle.period_start is None or cycle.period_end is None:
        return []
    at, shares, found = now(), allowing.quota_left(row, cycle), []
    for payment in (cycle, *payments.of_changes(row, cycle)):
        begins = cycle.period_start if payment == cycle else payment.paid_at or cycle.period_start
        if begins + timedelta(seconds=1) > cycle.period_end:
            continue
        back = cycles.unused(payment.amount_paise, remaining(begins, cycle.period_end, at), shares)
        found.append((payment, min(back, refunds.left_of(payment))))
    return found


def end_now(row: Subscription, *, reason: str, actor: str, why: str = "") -> list[Refund]:
    """End what ``row`` gives, have the unused part refunded, and have Razorpay told; the caller saves ``row``.

    In the caller's transaction, under the lock. ``why`` is ``replaced`` when another one took over. A second call
    changes nothing. The refunds that were asked for.
    """
    if "ended" in row.metadata:
        return []
    # A call that is settled while this reads what is left would be given back, and used.
    allowances.lock(allowing.receiver(row))
    asked = []
    for number, (payment, back) in enumerate(_unused_parts(row)):
        key = f"end-{payment.pk.hex}" if number else f"end-{row.pk.hex}"
        why_back = reason or "Ended before its time"
        refund = refunds.ask(payment, key, back, reason=why_back, actor=actor) if back else None
        if refund is not None:
            asked.append(refund)
            if not number:
                coupons.take_back(row, payment, refund.key, refund.amount_paise)
    allowing.end_all(row)
    allowing.count_as_before(row)
    row.metadata = row.metadata | {"ended": {"at": utc_text(now()), "why": why or "asked"}}
    row.cancel_at_cycle_end, row.cancel_reason = False, reason or row.cancel_reason
    row.next_price = row.next_quantity = None
    subscriptions.note(
        row, "end_now", actor=actor, reason=reason, refund_paise=sum(one.amount_paise for one in asked), why=why,
        by_hand=any(one.status == refunds.TO_PAY for one in asked),
    )  # fmt: skip
    return asked


def end_with_cycle(row: Subscription, *, reason: str, actor: str) -> None:
    """Note that the subscription is not to be renewed; the caller saves ``row``."""
    if row.cancel_at_cycle_end:
        return
    row.cancel_at_cycle_end, row.cancel_reason = True, reason
    allowing.end_grace(row)
    subscriptions.note(row, "cancel_asked", actor=actor, reason=reason)


def keep_on(row: Subscription, *, actor: str) -> bool:
    """Take back that it ends with its cycle; False when Razorpay has been told already. The caller saves ``row``."""
    if not row.cancel_at_cycle_end or row.cancel_sent_at is not None:
        return False
    row.cancel_at_cycle_end, row.cancel_reason = False, ""
    cycle = payments.running(row)
    if row.status == Status.AUTHENTICATED:
        allowing.bridge_again(row)
    elif cycle is not None and row.status in (Status.ACTIVE, Status.PENDING):
        allowing.give_grace_again(row, cycle)
    subscriptions.note(row, "cancel_undone", actor=actor)
    return True


def is_running(row: Subscription) -> bool:
    """Whether there is an end to wait for: that of a paid cycle, or of what comes before the first one."""
    return row.status == Status.AUTHENTICATED or payments.running(row) is not None


def ends_at(row: Subscription) -> datetime | None:
    """When the cycle that was paid for, or the trial, is over."""
    cycle = payments.running(row)
    if cycle is not None:
        return cycle.period_end
    return row.starts_at if row.status == Status.AUTHENTICATED else row.current_period_end


def running_out(holder: Holder) -> Subscription | None:
    """What has been charged for the last time and has not ended yet, while nothing is there to follow it."""
    if standing.live(holder):
        return None
    rows = standing.of(holder).filter(status=Status.COMPLETED, allowed_until__gt=now())
    found = rows.exclude(metadata__has_key="ended").select_related("plan", "price", "user").order_by("-created_at")
    row = found.first()
    return row if row is not None and payments.running(row) is not None else None


# To Razorpay -------------------------------------------------------------------------------------
def due(at: datetime) -> list[Subscription]:
    """The subscriptions that Razorpay is to be told to end."""
    asked = Q(metadata__has_key="ended") | Q(cancel_at_cycle_end=True)
    rows = Subscription.objects.filter(asked, cancel_sent_at=None, mode=gateway.mode(), status__in=LIVE)
    found = rows.exclude(razorpay_subscription_id=None).select_related("plan", "price").order_by("updated_at", "id")
    return [row for row in found if "ended" in row.metadata or _is_near(row, at)]


def _is_near(row: Subscription, at: datetime) -> bool:
    end = ends_at(row)
    return end is None or end - SENT_BEFORE <= at


def send(razorpay: Razorpay, row: Subscription) -> None:
    """Tell Razorpay; again when it was told before and we did not hear the answer. RazorpayError when it has none."""
    assert row.razorpay_subscription_id is not None
    # Without a cycle there is no end of one to wait for.
    with_cycle = "ended" not in row.metadata and row.status not in (Status.AUTHENTICATED, Status.HALTED)
    try:
        razorpay.cancel_subscription(row.razorpay_subscription_id, at_cycle_end=with_cycle)
    except BadRequest as error:
        if razorpay.subscription(row.razorpay_subscription_id).status not in ENDED:
            log.warning("cancellation_refused", subscription=str(row.pk), error=str(error))
            raise
    with transaction.atomic():
        standing.lock(row.user_id)
        Subscription.objects.filter(pk=row.pk, cancel_sent_at=None).update(cancel_sent_at=now())


def send_due() -> list[str]:
    """Tell Razorpay of what is due; the ids there of those that it was told of. One failure ends the round."""
    told: list[str] = []
    if not gateway.configured():
        return told
    for row in due(now()):
        try:
            send(gateway.razorpay(), row)
        except RazorpayError as error:
            log.warning("cancellation_waits", subscription=str(row.pk), error=str(error))
            if not isinstance(error, BadRequest):
                break
            continue
        told.append(row.razorpay_subscription_id or "")
    return told
