"""The effects of what Razorpay says of a subscription, in one transaction under the lock of its payer's money.

Everything is keyed by the fact itself (the subscription and the second in which its cycle began, the payment), so
that events, the browser's return, the reconciler and the worker may all bring the same fact, in any order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import F

from billing import (
    allowing,
    coupons,
    differences,
    ending,
    holders,
    payments,
    refunds,
    subscriptions,
    takeover,
    terms,
    trials,
)
from billing.models import Payment, Subscription, SubscriptionStatus
from billing.observing import Seen
from billing.razorpay import wire
from billing.razorpay.papers import Invoice
from billing.standing import ENDED, relabel

Status = SubscriptionStatus
TOKEN_PAISE: Final = 500
MISMATCH: Final = "payment_mismatch"
DOUBLE: Final = "Paid twice: this payment came second."
AFTER_END: Final = "Charged after the subscription had been ended."


def settle(row: Subscription, seen: Seen) -> bool:
    """Write what was seen and do what follows from it; False when it is not the subscription that ``row`` asked for.

    The caller has the lock, sees to it that nobody has written since looking began, and saves ``row``.
    """
    wrong = subscriptions.is_ours(row, seen.subscription)
    if wrong:
        differences.note(
            "subscription_mismatch",
            seen.subscription.id,
            ours={"subscription": str(row.pk), "price": str(row.price_id), "quantity": row.quantity},
            theirs={"plan": seen.subscription.plan_id, "quantity": seen.subscription.quantity, "wrong": wrong},
        )
        if seen.subscription.has_ended and not {"notes", "mode"} & set(wrong):
            _follow(row, *subscriptions.write_state(row, seen.subscription))
            row.save()
            relabel(row.user_id)
        return False
    seats = row.quantity
    terms.follow(row, seen.subscription)
    if row.quantity != seats:
        holders.give_seats(row)
    before, after = subscriptions.write_state(row, seen.subscription)
    for payment in sorted(seen.payments.values(), key=lambda each: (each.created_at or seen.began, each.id)):
        _pay(row, seen, payment)
    _follow(row, before, after)
    row.save()
    relabel(row.user_id)
    return True


# Payments -----------------------------------------------------------------------------------------
def _pay(row: Subscription, seen: Seen, payment: wire.Payment) -> None:
    kept, was = payments.write(payment, subscription=row)
    row.payment_method, row.international = kept.method or row.payment_method, kept.international or row.international
    if payment.status == "failed" and was != "failed":
        subscriptions.note(
            row, "payment_failed", reason=kept.error_description, payment=payment.id, code=kept.error_code
        )
    if kept.effect_at is not None or not payments.is_paid(payment) or payment.amount_refunded >= payment.amount:
        return
    invoice = seen.invoice_of(payment)
    if invoice is None:
        if not is_token(payment):
            _mismatch(row, payment, "no invoice of this subscription has it")
        return
    if invoice.payment_id not in ("", payment.id) or _paid_before(row, invoice, kept):
        _give_back(row, kept, f"double-{payment.id}", DOUBLE)
        return
    if terms.is_charge_of_change(row, invoice):
        _pay_change(row, kept)
        return
    _pay_cycle(row, seen, invoice, payment, kept)


def is_token(payment: wire.Payment) -> bool:
    """Whether it is the small amount by which a mandate for later is set up, which Razorpay gives back by itself."""
    return payment.amount <= TOKEN_PAISE


def _pay_cycle(row: Subscription, seen: Seen, invoice: Invoice, payment: wire.Payment, kept: Payment) -> None:
    found = terms.paid_for(row, invoice.amount)
    start, end = _cycle(row, seen, invoice, kept)
    if found is None or payment.amount != invoice.amount or payment.currency != row.price.currency:
        if not terms.is_changing(row):  # the charge of a change that was made while we looked
            _mismatch(row, payment, "the amount or the currency is not that of the plan")
        return
    if start is None or end is None:
        _mismatch(row, payment, "the cycle has no dates")
        return
    price, quantity = found
    if "ended" in row.metadata:
        _give_back(row, kept, f"ended-{payment.id}", AFTER_END)
        return
    first = not row.payments.exclude(pk=kept.pk).exclude(period_start=None).exists()
    if first and takeover.is_displaced(row):
        ending.end_now(
            row, reason="Another one that was asked for later had been paid", actor="", why=takeover.REPLACED
        )
        _give_back(row, kept, f"ended-{payment.id}", AFTER_END)
        return
    payments.take_effect(kept, start, end)
    if first:
        takeover.take_over(row)
    allowing.give_cycle(row, price.terms, quantity, start, end)
    if row.cancel_at_cycle_end:
        allowing.end_grace(row)
    if first:
        coupons.use(row)
    holders.give_seats(row)
    subscriptions.note(
        row, "paid", payment=payment.id, amount_paise=payment.amount,
        period_start=start.isoformat(), period_end=end.isoformat(), first=first,
    )  # fmt: skip
    differences.repaired(MISMATCH, payment.id)


def _cycle(row: Subscription, seen: Seen, invoice: Invoice, kept: Payment) -> tuple[datetime | None, datetime | None]:
    """The cycle that an invoice is for: as it says, or else the one that runs, if nobody has paid it."""
    start, end = invoice.billing_start, invoice.billing_end
    if start is not None and end is not None and end > start:
        return start, end
    start = seen.subscription.current_start
    if row.payments.filter(period_start=start).exclude(period_start=None).exclude(pk=kept.pk).exists():
        return None, None
    return start, seen.subscription.current_end


def _paid_before(row: Subscription, invoice: Invoice, kept: Payment) -> bool:
    """Whether another payment has taken effect for the same invoice."""
    others = Payment.objects.filter(subscription=row, razorpay_invoice_id=invoice.id).exclude(pk=kept.pk)
    return others.exclude(effect_at=None).exclude(refunded_paise__gte=F("amount_paise")).exists()


def _pay_change(row: Subscription, kept: Payment) -> None:
    """The difference that was charged for a change at once: compared with our own, whatever it is."""
    payments.take_effect(kept)
    expected = terms.expected_charge(row)
    subscriptions.note(
        row, "change_paid", payment=kept.razorpay_payment_id, amount_paise=kept.amount_paise, expected_paise=expected
    )
    if abs(kept.amount_paise - expected) > terms.tolerance(row):
        differences.note(
            "proration",
            kept.razorpay_payment_id,
            ours={"amount_paise": expected},
            theirs={"amount_paise": kept.amount_paise},
        )
    terms.charged(row)


def _give_back(row: Subscription, kept: Payment, key: str, reason: str) -> None:
    """Have all of a payment given back that buys nothing; once, and it never has an effect."""
    if kept.refunds.filter(key=key).exists():
        return
    if refunds.ask(kept, key, kept.amount_paise, reason=reason):
        subscriptions.note(row, "given_back", reason=reason, payment=kept.razorpay_payment_id)


def _mismatch(row: Subscription, payment: wire.Payment, why: str) -> None:
    ours: dict[str, Any] = {
        "subscription": str(row.pk),
        "amount_paise": terms.amount(row.price, row.quantity),
        "currency": row.price.currency,
    }
    differences.note(MISMATCH, payment.id, ours=ours, theirs=payments.shown_wire(payment) | {"why": why})


# States ------------------------------------------------------------------------------------------
def _follow(row: Subscription, before: str, after: str) -> None:
    """What the state asks for beside what payments give; each may come again."""
    if after == Status.AUTHENTICATED and not row.paid_count:
        _waits(row)
    if after == Status.HALTED:
        allowing.end_grace(row)
    if after == Status.PAUSED:
        allowing.pause(row)
    elif before == Status.PAUSED and after == Status.ACTIVE and allowing.stopped_for(row) == allowing.PAUSE:
        allowing.resume(row)
    if after in ENDED and before not in ENDED:
        _ended(row)


def _waits(row: Subscription) -> None:
    """A mandate that is charged later: a trial begins, or the one before it is not renewed."""
    if row.trial:
        trials.begin(row)
    old = row.replaces
    if old is None or row.starts_at is None or "ended" in row.metadata:
        return
    if not old.cancel_at_cycle_end and "ended" not in old.metadata and old.status not in ENDED:
        ending.end_with_cycle(old, reason=f"{row.plan.name} takes over", actor="")
        old.save()
    allowing.bridge(row, row.starts_at, old)


def _ended(row: Subscription) -> None:
    """A paid cycle stays to its end, unless it was ended with a refund; what was never paid for ends at once."""
    if allowing.stopped_for(row) == allowing.PAUSE and "ended" not in row.metadata:
        allowing.resume(row)
    allowing.end_grace(row)
    if not row.payments.exclude(period_start=None).exists():
        if not row.trial:
            allowing.end_all(row)
        coupons.release(row)
        row.replaces = None
    row.next_price = row.next_quantity = None
    if row.status == Status.COMPLETED:
        subscriptions.note(row, "completed")
