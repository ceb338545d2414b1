"""Looking at one object again, and noting whether that changed anything of ours: what a lost event had left undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import transaction

from billing import differences, dispatch, effects
from billing.models import Purchase, Refund, Subscription
from billing.razorpay.errors import RazorpayError

log = structlog.get_logger("billing")

State = dict[str, Any]


@dataclass(slots=True)
class Report:
    """What a pass did: how many objects it looked at, which differences it repaired, what it could not do."""

    looked_at: int = 0
    repaired: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def look(report: Report, kind: str, reference: str, work: Callable[[], object], before: Any, after: Any) -> None:
    """Have an effect done for an object that may differ, and note whether it changed anything of ours."""
    report.looked_at += 1
    try:
        had = before()
        work()
        has = after()
    except dispatch.NotOurs:
        return  # its difference stands
    except (RazorpayError, effects.Contended) as error:
        log.warning("reconciliation_failed", kind=kind, reference=reference, error=str(error))
        report.failed.append(f"{kind} {reference}: {error}")
        return
    if had != has:
        report.repaired.append(f"{kind} {reference}")
        with transaction.atomic():
            differences.note(f"lost_{kind}", reference, ours=had or {}, theirs=has or {}, repaired=True)


def subscription(report: Report, razorpay_id: str, also: Iterable[str] = ()) -> None:
    look(
        report,
        "subscription",
        razorpay_id,
        lambda: effects.apply_subscription(razorpay_id, also),
        lambda: _state(razorpay_id),
        lambda: _state(razorpay_id),
    )


def _state(razorpay_id: str) -> State:
    """What of a subscription a lost event would have changed."""
    row = Subscription.objects.filter(razorpay_subscription_id=razorpay_id).first()
    if row is None:
        return {}
    return {
        "status": str(row.status),
        "paid_count": row.paid_count,
        "period_end": row.current_period_end.isoformat() if row.current_period_end else None,
        "price": str(row.price_id),
        "quantity": row.quantity,
        "paid": sorted(row.payments.exclude(effect_at=None).values_list("razorpay_payment_id", flat=True)),
    }


def order(report: Report, key: str) -> None:
    look(
        report, "order", key, lambda: effects.apply_order(key), lambda: _order_state(key), lambda: _order_state(key)
    )  # fmt: skip


def _order_state(razorpay_id: str) -> State:
    row = Purchase.objects.filter(razorpay_order_id=razorpay_id).first()
    return {"status": row.status, "credited": row.credited_at is not None} if row else {}


def refund(report: Report, key: str) -> None:
    look(
        report, "refund", key, lambda: effects.apply_refund(key), lambda: _refund_state(key), lambda: _refund_state(key)
    )  # fmt: skip


def _refund_state(razorpay_id: str) -> State:
    row = Refund.objects.filter(razorpay_refund_id=razorpay_id).select_related("payment").first()
    if row is None:
        return {}
    return {"status": row.status, "amount_paise": row.amount_paise, "of_payment": row.payment.refunded_paise}
