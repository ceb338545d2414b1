"""Packs of tokens: ordered, paid, and turned into a top-up once, by whichever way the payment is heard of."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from billing import coupons, differences, dispatch, gateway, payments, refunds, settling, standing
from billing.models import Pack, Payment, Purchase
from billing.once_keys import Asked
from billing.razorpay import wire
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import BadRequest, RazorpayError
from billing.razorpay.once import NOTE, made_since, once
from billing.standing import Holder
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import grants, reading

CREATING, CREATED, ATTEMPTED, PAID = "creating", "created", "attempted", "paid"
STATES: Final = (CREATING, CREATED, ATTEMPTED, PAID)
DOUBLE: Final = "The order was paid twice: this payment came second."
COUPON_SPENT: Final = "The order had lost its coupon, which has been used up since."


def on_sale() -> list[Pack]:
    """The packs on sale, in their order."""
    return list(Pack.objects.filter(is_active=True).order_by("position", "code"))


# Ordering ----------------------------------------------------------------------------------------
def order(holder: Holder, code: str, *, coupon: str = "", asked: Asked) -> Purchase:
    """An order of the pack ``code``, to be paid. The same ``asked`` gives the same order.

    Refusals ``pack_not_found``, ``coupon_not_valid``, ``idempotency_conflict`` and those of the gateway.
    """
    razorpay = gateway.razorpay()
    with transaction.atomic():
        standing.lock(holder.user_id)
        row = asked.found(Purchase.objects.all()) or _make(holder, code, coupon, asked)
    return ask_razorpay(razorpay, row)


def _make(holder: Holder, code: str, coupon: str, asked: Asked) -> Purchase:
    pack = Pack.objects.filter(code=code, is_active=True).first()
    if pack is None:
        raise Refusal("pack_not_found", param="pack")
    use = coupons.reserve(holder.user_id, coupon, pack.amount_paise) if coupon else None
    return Purchase.objects.create(
        user_id=holder.user_id,
        team_id=holder.team_id,
        pack=pack,
        mode=gateway.mode(),
        amount_paise=pack.amount_paise - (use.discount_paise if use else 0),
        currency=pack.currency,
        tokens=pack.tokens + ((use.coupon.bonus_tokens or 0) if use else 0),
        nano_usd=pack.nano_usd,
        days=pack.days,
        coupon_use=use,
        idempotency_key=asked.key,
    )


def ask_razorpay(razorpay: Razorpay, row: Purchase) -> Purchase:
    """Have the order made at Razorpay, unless it is; again after a lost answer finds the one that was made."""
    if row.razorpay_order_id is not None:
        return row
    key = str(row.pk)
    tried = row.created_at < now() - timedelta(seconds=1)
    try:
        seen = once(
            lambda: razorpay.create_order(key, amount=row.amount_paise, currency=row.currency, receipt=row.pk.hex),
            lambda: razorpay.order_by_key(key, made_since(row.created_at)),
            tried_before=tried,
        )
    except RazorpayError as error:
        raise gateway.as_refusal(error) from error
    with transaction.atomic():
        standing.lock(row.user_id)
        Purchase.objects.filter(pk=row.pk, razorpay_order_id=None).update(razorpay_order_id=seen.id, status=CREATED)
    row.refresh_from_db()
    return row


# Paid --------------------------------------------------------------------------------------------
def was_asked_for(razorpay: Razorpay, order_id: str) -> bool:
    """Whether an order that no row knows is one whose answer was lost."""
    return _waiting(razorpay.order(order_id)) is not None


def _waiting(seen: wire.Order) -> Purchase | None:
    try:
        return Purchase.objects.filter(pk=UUID(seen.notes.get(NOTE, ""))).first()
    except ValueError:
        return None


def apply(razorpay: Razorpay, order_id: str) -> Purchase | None:
    """Write what Razorpay says of an order and its payments; the first that is right gives the tokens.

    None when no purchase of ours asked for it. ``dispatch.NotOurs`` when it is not what was ordered: then nothing is
    given.
    """
    seen = razorpay.order(order_id)
    row = Purchase.objects.filter(razorpay_order_id=order_id).first() or _waiting(seen)
    if row is None:
        return None
    why = _wrong(row, seen)
    found = [] if why else _payments(razorpay, seen)
    with transaction.atomic():
        standing.lock(row.user_id)
        row.refresh_from_db()
        if why:
            differences.note(
                "order_mismatch",
                order_id,
                ours={"purchase": str(row.pk), "amount_paise": row.amount_paise, "currency": row.currency},
                theirs={"amount_paise": seen.amount, "currency": seen.currency, "wrong": why},
            )
        else:
            _settle(row, seen, found)
    if why:
        raise dispatch.NotOurs(f"the order {order_id} is not as it was asked for: {', '.join(why)}")
    return row


def _payments(razorpay: Razorpay, order: wire.Order) -> list[wire.Payment]:
    found = list(razorpay.payments_of_order(order.id))
    if not any(payments.is_paid(each) for each in found):
        # Authorised late, or on an account that takes nothing by itself: after three days it would go back.
        for index, each in enumerate(found):
            if each.status == "authorized" and each.amount == order.amount:
                found[index] = _captured(razorpay, each)
                break
    return found


def _captured(razorpay: Razorpay, seen: wire.Payment) -> wire.Payment:
    try:
        return razorpay.capture(seen.id, amount=seen.amount, currency=seen.currency)
    except BadRequest:
        return razorpay.payment(seen.id)


def _wrong(row: Purchase, seen: wire.Order) -> list[str]:
    found = []
    if seen.notes.get(NOTE) != str(row.pk):
        found.append("notes")
    if row.razorpay_order_id not in (None, seen.id):
        found.append("id")
    if (seen.amount, seen.currency) != (row.amount_paise, row.currency):
        found.append("amount")
    if row.mode != gateway.mode():
        found.append("mode")
    return found


def _settle(row: Purchase, seen: wire.Order, found: list[wire.Payment]) -> None:
    row.razorpay_order_id = seen.id
    for payment in sorted(found, key=lambda each: (each.created_at or now(), each.id)):
        kept, _ = payments.write(payment, purchase=row)
        if kept.effect_at is not None or not payments.is_paid(payment) or payment.amount_refunded >= payment.amount:
            continue
        if (payment.amount, payment.currency) != (row.amount_paise, row.currency):
            differences.note(
                settling.MISMATCH,
                payment.id,
                ours={"purchase": str(row.pk), "amount_paise": row.amount_paise},
                theirs=payments.shown_wire(payment),
            )
        elif row.credited_at is not None:
            refunds.ask(kept, f"double-{payment.id}", kept.amount_paise, reason=DOUBLE)
        elif coupons.is_spent(row):
            refunds.ask(kept, f"coupon-{payment.id}", kept.amount_paise, reason=COUPON_SPENT)
        else:
            _give(row, kept)
    said = seen.status if seen.status in STATES else row.status
    row.status = max(row.status, said, key=STATES.index)
    row.save()


def _give(row: Purchase, kept: Payment) -> None:
    payments.take_effect(kept)
    to = row.team_id or row.user_id
    amounts = {"tokens": row.tokens}
    nano = row.nano_usd
    if nano is None:
        nano = grants.in_proportion(reading.payer(to).caller.terms, row.tokens)
    if nano:
        amounts["nano_usd"] = nano
    until = now() + timedelta(days=row.days) if row.days else None
    grants.grant(to, refunds.cause_of(kept), amounts, until=until, note=row.pack.name)
    row.credited_at = now()
    coupons.use_for(row)
