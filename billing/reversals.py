"""Money that goes back without our asking: disputes, and refunds made in Razorpay's dashboard.

While a dispute is open, what the payment bought is stopped: a plan's allowance, or what a top-up has left. Won or
closed without loss, it is given back; lost, it stays away. There may be several of one payment, one after the other.
A refund of all of a cycle ends what it gave.
"""

from __future__ import annotations

from django.db import transaction

from billing import allowing, coupons, differences, dispatch, payments, refunds, standing, subscriptions
from billing.models import Payment
from billing.payments import LOST, OVER
from billing.razorpay.client import Razorpay
from billing.razorpay.papers import Dispute
from oneai.kit.clock import now
from quotas import grants
from quotas.models import Grant
from quotas.policy import TOKENS, UNITS


def apply_dispute(razorpay: Razorpay, seen: Dispute) -> None:
    """Write how a dispute stands, with what follows from it. NotOurs when its payment is none of ours."""
    paid = razorpay.payment(seen.payment_id)
    kept = Payment.objects.filter(razorpay_payment_id=seen.payment_id).first()
    if kept is None:
        differences.note("dispute_unknown", seen.id, theirs={"payment": seen.payment_id, "status": seen.status})
        raise dispatch.NotOurs(f"the dispute {seen.id} is about a payment that is none of ours")
    with transaction.atomic():
        standing.lock(kept.user_id)
        kept, _ = payments.write(paid, subscription=kept.subscription, purchase=kept.purchase)
        _follow(kept, seen)
        standing.relabel(kept.user_id)


def _follow(kept: Payment, seen: Dispute) -> None:
    """A bank may dispute the same payment again; each dispute ends once, and its end stays."""
    had = kept.disputes.get(seen.id, "")
    if had == seen.status[:20] or had == LOST or had in OVER:
        return
    before = kept.dispute
    kept.disputes = kept.disputes | {seen.id: seen.status[:20]}
    kept.dispute = LOST if before == LOST else _standing(list(kept.disputes.values()))
    kept.disputed_at = kept.disputed_at or now()
    kept.save(update_fields=["dispute", "disputes", "disputed_at"])
    if not had and seen.status not in OVER:
        _tell(kept, seen, "dispute")
    if seen.status == LOST:
        _tell(kept, seen, "dispute_lost")
    stopped, stops = _is_open(before) or before == LOST, _is_open(kept.dispute) or kept.dispute == LOST
    if stops and not stopped:
        _stop(kept)
    if stopped and not stops:
        _give_again(kept)
    if kept.dispute == LOST != before:
        _take(kept, seen)


def _standing(states: list[str]) -> str:
    """What disputes of one payment come to: lost with one of them, open while one is."""
    return next((state for state in states if state == LOST), next(filter(_is_open, states), states[-1]))


def _is_open(state: str) -> bool:
    return bool(state) and state != LOST and state not in OVER


def _tell(kept: Payment, seen: Dispute, kind: str) -> None:
    differences.note(
        kind,
        seen.id,
        ours={"payment": kept.razorpay_payment_id, "user": str(kept.user_id)},
        theirs={
            "amount_paise": seen.amount,
            "reason": seen.reason_code,
            "respond_by": seen.respond_by.isoformat() if seen.respond_by else None,
        },
    )


def _stop(kept: Payment) -> None:
    row = kept.subscription
    if row is not None:
        row = subscriptions.again(row.pk)
        allowing.pause(row, allowing.DISPUTE)
        row.save()
        subscriptions.note(row, "disputed", payment=kept.razorpay_payment_id)
    elif kept.effect_at is not None:
        grants.refund(refunds.cause_of(kept), _key(kept), kept.amount_paise, kept.amount_paise)


def _give_again(kept: Payment) -> None:
    row = kept.subscription
    if row is not None:
        row = subscriptions.again(row.pk)
        others = any(_is_open(each) for each in row.payments.values_list("dispute", flat=True))
        if allowing.stopped_for(row) == allowing.DISPUTE and not others:
            allowing.resume(row)
            row.save()
        subscriptions.note(row, "dispute_over", payment=kept.razorpay_payment_id)
    elif kept.purchase is not None and kept.effect_at is not None:
        back = _taken_by_dispute(kept)
        if back:
            grants.grant(
                kept.purchase.team_id or kept.user_id,
                refunds.next_cause_of(kept),
                back,
                note="Given back after a dispute",
            )


def _taken_by_dispute(kept: Payment) -> dict[str, int]:
    """What an open dispute has taken of a top-up and what it made the account owe, by unit."""
    cause, found = refunds.cause_of(kept), {}
    for unit in UNITS:
        ends = "" if unit == TOKENS else f"#{unit}"
        given = Grant.objects.filter(source_key=f"{cause}{ends}").first()
        if given is None:
            continue
        debts = {debt.source_key: debt for debt in Grant.objects.filter(parent=given)}
        owed = debts[f"refund:{_key(kept)}{ends}"]
        by_refunds = sum(
            int(each.taken.get(unit, 0)) for each in kept.refunds.all() if f"refund:{each.key}{ends}" in debts
        )
        amount = given.refunded - by_refunds + (owed.amount or 0)
        if amount > 0:
            found[unit] = amount
    return found


def _take(kept: Payment, seen: Dispute) -> None:
    row = kept.subscription
    if row is not None:
        row = subscriptions.again(row.pk)
        allowing.end_all(row)
        coupons.take_back(row, kept, seen.id, kept.amount_paise)
        row.metadata = {name: value for name, value in row.metadata.items() if name != "stopped"}
        row.save()


def _key(kept: Payment) -> str:
    return f"dispute-{refunds.cause_of(kept).removeprefix('pay:')}"


def follow_refund(kept: Payment) -> None:
    """A refund that was not asked for here: all of a cycle's money back ends what the cycle gave."""
    row = kept.subscription
    if row is None or kept.period_start is None or kept.refunded_paise < kept.amount_paise:
        return
    if payments.running(row) is None:
        row = subscriptions.again(row.pk)
        allowing.end_all(row)
        row.save()
        subscriptions.note(row, "refunded", payment=kept.razorpay_payment_id, amount_paise=kept.refunded_paise)
        standing.relabel(kept.user_id)
