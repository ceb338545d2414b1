"""Money that goes back: a row first, then Razorpay, which is asked under the row's key so that it pays once.

What the payment bought is taken back when the refund is asked for, not when it arrives: in between nobody uses it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F, Sum

from billing import differences, gateway, payments, standing
from billing.models import Payment, Refund
from billing.razorpay import wire
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import BadRequest, Conflict, RazorpayError, Unauthorised
from billing.razorpay.once import NOTE
from oneai.kit.clock import now
from quotas import grants
from quotas.models import Grant

log = structlog.get_logger("billing")

ASKED, PENDING, PROCESSED, FAILED = "asked", "pending", "processed", "failed"
TO_PAY: Final = "to_pay"
"""Razorpay gives nothing back of a payment that old: the site's owner pays it in another way (``paid_by_hand``)."""
GIVES_BACK_FOR: Final = timedelta(days=180)
NEARLY: Final = timedelta(days=1)
"""What is this near to that age may be past it when Razorpay is asked."""
MAY_BE_TOO_OLD: Final = timedelta(days=150)
LEAST_PAISE: Final = 100
LEASE: Final = timedelta(minutes=2)
LONGEST_WAIT: Final = timedelta(hours=6)
BY_HAND: Final = "Made in Razorpay's dashboard."
TO_PAY_BY_HAND: Final = "refund_to_pay"


def ask(payment: Payment, key: str, paise: int, *, reason: str = "", actor: str = "") -> Refund | None:
    """Have ``paise`` of ``payment`` given back, once under ``key``; None when it is less than Razorpay gives back.

    In the caller's transaction, under the lock of the payer's money. More than is left becomes what is left.
    """
    found = Refund.objects.filter(key=key).first()
    if found is not None:
        return found
    paise = min(paise, left_of(payment))
    if paise < LEAST_PAISE:
        return None
    old = is_too_old(payment)
    row = Refund.objects.create(
        payment=payment,
        key=key,
        amount_paise=paise,
        reason=reason,
        actor=actor[:254],
        status=TO_PAY if old else ASKED,
        due_at=None if old else now(),
    )
    take_back(row)
    if old:
        _tell_to_pay(row)
    return row


def is_too_old(payment: Payment) -> bool:
    """Whether Razorpay gives nothing back of it any more."""
    return now() - (payment.paid_at or payment.created_at) > GIVES_BACK_FOR - NEARLY


def _tell_to_pay(row: Refund, said: str = "") -> None:
    differences.note(
        TO_PAY_BY_HAND,
        row.key,
        ours={
            "payment": row.payment.razorpay_payment_id,
            "user": str(row.payment.user_id),
            "amount_paise": row.amount_paise,
        },
        theirs={"said": said or "nothing goes back of a payment that is more than six months old"},
    )


def paid_by_hand(row: Refund) -> bool:
    """Note that the owner has paid a refund in another way; False unless it was to be. A credit note follows."""
    with transaction.atomic():
        standing.lock(row.payment.user_id)
        noted = Refund.objects.filter(pk=row.pk, status=TO_PAY).update(
            status=PROCESSED, processed_at=now(), last_error=""
        )
        if noted:
            paid = Payment.objects.filter(pk=row.payment_id)
            paid.update(refunded_paise=F("refunded_paise") + row.amount_paise)
            differences.repaired(TO_PAY_BY_HAND, row.key)
    return bool(noted)


def left_of(payment: Payment) -> int:
    """What of a payment can still be given back, in paise: nothing of one that its bank may take or has taken."""
    if payments.is_disputed(payment):
        return 0
    asked = payment.refunds.exclude(status=FAILED).aggregate(paise=Sum("amount_paise"))["paise"] or 0
    return payment.amount_paise - max(int(asked), payment.refunded_paise)


def made_of(payment: Payment) -> int:
    """What of a payment Razorpay has said that it gave back or will, in paise."""
    made = payment.refunds.exclude(status=FAILED).exclude(razorpay_refund_id=None)
    return int(made.aggregate(paise=Sum("amount_paise"))["paise"] or 0)


def take_back(row: Refund) -> None:
    """Take from the account what a top-up's payment bought, in the refund's proportion; once a refund."""
    payment = row.payment
    if payment.purchase_id is None or payment.effect_at is None:
        return
    stands_for = _stands_for(payment, row)
    taken = grants.refund(cause_of(payment), row.key, min(row.amount_paise, stands_for), stands_for)
    row.taken, row.owed = dict(taken.taken), dict(taken.owed)
    row.save(update_fields=["taken", "owed"])


def cause_of(payment: Payment) -> str:
    """What the top-up of a payment is known by; after a dispute that was won it is given anew, under another name."""
    return _causes(payment)[-1]


def next_cause_of(payment: Payment) -> str:
    """What the top-up of a payment is to be known by when it is given anew."""
    return f"pay:{payment.razorpay_payment_id}:won:{len(_causes(payment))}"


def _causes(payment: Payment) -> list[str]:
    found = [f"pay:{payment.razorpay_payment_id}"]
    while Grant.objects.filter(source_key__in=grants.keys_of(cause := f"{found[0]}:won:{len(found)}")).exists():
        found.append(cause)
    return found


def _stands_for(payment: Payment, row: Refund) -> int:
    """The money, in paise, that the top-up of a payment was given for: after a dispute only what had not gone back.

    A refund that was asked for and is not made yet counts as gone, though another, made by hand, may come before it.
    """
    given = Grant.objects.filter(source_key__in=grants.keys_of(cause_of(payment))).order_by("created_at").first()
    if given is None or len(_causes(payment)) == 1:
        return payment.amount_paise
    before = payment.refunds.exclude(status=FAILED).exclude(pk=row.pk).filter(created_at__lt=given.created_at)
    return max(1, payment.amount_paise - int(before.aggregate(paise=Sum("amount_paise"))["paise"] or 0))


# To Razorpay -------------------------------------------------------------------------------------
def send_due(most: int = 20) -> int:
    """Send what waits to be sent; how many were accepted. When Razorpay has no answer the round ends."""
    if not gateway.configured():
        return 0
    waiting = Refund.objects.filter(status=ASKED, due_at__lte=now(), payment__mode=gateway.mode())
    sent = 0
    for row in waiting.select_related("payment").order_by("due_at", "id")[:most]:
        claimed = Refund.objects.filter(pk=row.pk, status=ASKED, due_at=row.due_at).update(
            due_at=now() + LEASE, attempts=F("attempts") + 1
        )
        if not claimed:
            continue
        row.attempts += 1
        try:
            sent += send(gateway.razorpay(), row)
        except RazorpayError as error:
            _failed(row, error)
            break
    return sent


def send(razorpay: Razorpay, row: Refund) -> bool:
    """Ask Razorpay for the refund and write what it says; False when it refused for good."""
    try:
        seen = razorpay.create_refund(
            row.key,
            row.payment.razorpay_payment_id,
            amount=row.amount_paise,
            receipt=row.pk.hex,
            notes={"reason": row.reason[:200]} if row.reason else None,
        )
    except (BadRequest, Conflict) as error:
        there = razorpay.refund_by_key(row.key, row.payment.razorpay_payment_id)
        if there is None:
            if isinstance(error, Conflict):
                raise
            _refused(row, error)
            return False
        seen = there
    with transaction.atomic():
        standing.lock(row.payment.user_id)
        write(row, seen)
    return True


def _failed(row: Refund, error: RazorpayError) -> None:
    wait = min(LONGEST_WAIT, timedelta(minutes=1) * int(2 ** min(10, row.attempts - 1)))
    Refund.objects.filter(pk=row.pk, status=ASKED).update(due_at=now() + wait, last_error=str(error)[:300])
    log.warning("refund_waits", refund=row.key, error=str(error), alarm=isinstance(error, Unauthorised))


def _refused(row: Refund, error: RazorpayError) -> None:
    with transaction.atomic():
        standing.lock(row.payment.user_id)
        if now() - (row.payment.paid_at or row.payment.created_at) > MAY_BE_TOO_OLD:
            Refund.objects.filter(pk=row.pk, status=ASKED).update(
                status=TO_PAY, last_error=str(error)[:300], due_at=None
            )
            _tell_to_pay(row, str(error))
            return
        Refund.objects.filter(pk=row.pk, status=ASKED).update(status=FAILED, last_error=str(error)[:300], due_at=None)
        differences.note(
            "refund_refused",
            row.key,
            ours={"payment": row.payment.razorpay_payment_id, "amount_paise": row.amount_paise},
            theirs={"said": str(error)},
        )


# From Razorpay -----------------------------------------------------------------------------------
def find(seen: wire.Refund) -> Refund | None:
    """Our row of a refund at Razorpay."""
    return (
        Refund.objects.filter(razorpay_refund_id=seen.id).first()
        or Refund.objects.filter(key=seen.notes.get(NOTE, ""), payment__razorpay_payment_id=seen.payment_id).first()
    )


def write(row: Refund, seen: wire.Refund) -> None:
    """Keep what was fetched of a refund; processed and failed are the end of it."""
    row.refresh_from_db()
    if row.status in (PROCESSED, FAILED) and row.razorpay_refund_id:
        return
    row.razorpay_refund_id, row.last_error = seen.id, ""
    row.status = seen.status if seen.status in (PROCESSED, FAILED) else PENDING
    row.due_at = None
    if row.status == PROCESSED:
        row.processed_at = now()
    row.save()
    if row.status == FAILED:
        payments.unrefund(Payment.objects.get(pk=row.payment_id), row.amount_paise)
        differences.note(
            "refund_failed",
            seen.id,
            ours={"payment": row.payment.razorpay_payment_id, "amount_paise": row.amount_paise},
            theirs={"status": seen.status},
        )


def adopt(payment: Payment, seen: wire.Refund, made_at: datetime | None = None) -> Refund:
    """A row for a refund that was not asked for here: its effect is that of any other."""
    row = Refund.objects.create(
        payment=payment,
        key=seen.id,
        razorpay_refund_id=seen.id,
        amount_paise=seen.amount,
        status=PENDING,
        reason=BY_HAND,
        actor="Razorpay",
    )
    take_back(row)
    differences.note("refund_by_hand", seen.id, theirs={"payment": payment.razorpay_payment_id, "amount": seen.amount},
                     repaired=True)  # fmt: skip
    write(row, seen)
    return row
