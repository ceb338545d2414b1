"""Subscribing: a row of ours, a subscription at Razorpay that knows it, and what the browser needs to pay for it.

Each stop has a way on. A failed or abandoned first payment is tried again at the same subscription, which is given
out again until it expires after a day; an answer that was lost is found by its notes; a browser that closed after
paying is not needed, because the event and the reconciler bring the payment, too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from accounts.models import User
from billing import (
    coupons,
    dispatch,
    effects,
    ending,
    gateway,
    holders,
    plans,
    prices,
    standing,
    subscriptions,
    topups,
    trials,
)
from billing.models import Payment, Plan, Price, Purchase, Subscription, SubscriptionStatus
from billing.once_keys import NOTHING, Asked
from billing.razorpay import wire
from billing.razorpay.client import Razorpay
from billing.razorpay.errors import RazorpayError
from billing.razorpay.once import made_since, once
from billing.razorpay.signatures import order_is_signed, subscription_is_signed
from billing.standing import LIVE, OPEN, Holder
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

log = structlog.get_logger("billing")

Status = SubscriptionStatus

EXPIRES_AFTER: Final = timedelta(days=1)
STILL_GIVEN_OUT: Final = timedelta(minutes=30)
"""A link that expires sooner than this is not given out again."""
AHEAD: Final = timedelta(minutes=15)
"""How far in the future one that follows another has to begin, so that it can still be paid for."""
LEASE: Final = timedelta(seconds=60)
WAITS: Final = 8.0  # seconds for another request of the same person
PAUSE: Final = 0.2
MOST_SEATS: Final = 1000


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the page of Checkout.js is opened with; ``url`` is Razorpay's own page for the same."""

    key: str
    subscription_id: str
    url: str


def checkout_of(row: Subscription) -> Checkout | None:
    """How ``row`` can be paid; None once it has been, or when Razorpay does not have it yet."""
    if row.status != Status.CREATED or row.razorpay_subscription_id is None:
        return None
    return Checkout(settings.RAZORPAY_KEY_ID, row.razorpay_subscription_id, row.short_url)


# Creating ----------------------------------------------------------------------------------------
def subscribe(
    user: User, holder: Holder, code: str, interval: str, *, seats: int = 1, coupon: str = "", asked: Asked = NOTHING
) -> Subscription:
    """A subscription that waits to be paid. The same request again gives the same one.

    After the last charge of another one it begins when that one's cycle ends: no day is paid twice or missing.

    Refusals: ``plan_not_found``, ``plan_not_for_sale``, ``already_subscribed``, ``coupon_not_valid``,
    ``invalid_value`` for seats, ``idempotency_conflict`` and those of the gateway.
    """
    razorpay = gateway.razorpay()
    plan = sold_to(user, code)
    price = prices.for_sale(plan, interval)
    check_seats(plan, seats)
    holders.check_seats_of(holder.team_id, seats)
    with transaction.atomic():
        standing.lock(holder.user_id)
        row = asked.found(Subscription.objects.filter(user_id=holder.user_id))
        if row is None:
            if standing.live(holder):
                raise Refusal("already_subscribed")
            last = ending.running_out(holder)
            row = _open(holder, price, seats, coupon, last) or _make(user, holder, price, seats, coupon, asked, last)
    return ask_razorpay(razorpay, subscriptions.again(row.pk))


def sold_to(user: User, code: str) -> Plan:
    """The plan ``code``, if it is sold to ``user``. Refusal ``plan_not_found``."""
    # PostgreSQL takes no U+0000, and no code has one.
    plan = None if "\0" in code else Plan.objects.filter(code=code, is_active=True).first()
    if plan is None or plan.code == plans.DEFAULT_PLAN or plan.only_for_id not in (None, user.pk):
        raise Refusal("plan_not_found", param="plan")
    return plan


def check_seats(plan: Plan, seats: int) -> None:
    """Refusal ``invalid_value`` for a number of seats that the plan can't have."""
    if not 1 <= seats <= (MOST_SEATS if plan.per_seat else 1):
        text = f"From 1 to {MOST_SEATS} seats." if plan.per_seat else "This plan has no seats: leave them out."
        raise Refusal("invalid_value", text, param="seats")


def _open(holder: Holder, price: Price, seats: int, coupon: str, last: Subscription | None) -> Subscription | None:
    """One for the same that waits to be paid and can wait a little longer."""
    rows = Subscription.objects.filter(
        user_id=holder.user_id,
        team_id=holder.team_id,
        price=price,
        quantity=seats,
        status__in=OPEN,
        replaces=last,
        expires_at__gt=now() + STILL_GIVEN_OUT,
    )
    for row in rows.select_related("coupon_use__coupon").order_by("-created_at"):
        if (row.coupon_use.coupon.code if row.coupon_use else "").lower() == coupon.strip().lower():
            return row
    return None


def _make(
    user: User, holder: Holder, price: Price, seats: int, coupon: str, asked: Asked, last: Subscription | None
) -> Subscription:
    use = None
    if coupon:
        use = coupons.reserve(holder.user_id, coupon, price.amount_paise * seats, plan=price.plan.code)
    # Nobody tries a plan of seats: as many of them as one likes would be free.
    may_try = holder.team_id is None and not price.plan.per_seat and trials.may_try(user)
    trial_days = price.plan.trial_days if may_try else 0
    at = now()
    starts = at + max(EXPIRES_AFTER, timedelta(days=trial_days)) if trial_days else None
    if last is not None:
        end = ending.ends_at(last)
        starts = end if end is not None and end > at + AHEAD else None
        Subscription.objects.filter(replaces=last).update(replaces=None)  # it was never paid
    return subscriptions.make(
        holder,
        price,
        seats,
        total_count=prices.cycles(price),
        expires_at=at + EXPIRES_AFTER,
        starts_at=starts,
        replaces=last,
        idempotency_key=asked.key,
        coupon_use=use,
        trial=bool(trial_days),
    )


def ask_razorpay(razorpay: Razorpay, row: Subscription) -> Subscription:
    """Have ``row`` made at Razorpay, unless it is. One process does; another that comes meanwhile is told to wait.

    Refusals of the gateway; then the next request, or the reconciler, goes on with the same row.
    """
    if row.status != Status.CREATING:
        return row
    claim = Subscription.objects.filter(pk=row.pk, status=Status.CREATING)
    first = row.fetched_at is None
    free = claim.filter(fetched_at=None) if first else claim.filter(fetched_at__lt=now() - LEASE)
    if not free.update(fetched_at=now()):
        return _made_by_another(row)
    try:
        seen = _make_at_razorpay(razorpay, row, tried=not first)
    except RazorpayError as error:
        # What can't have been made need not be waited for.
        Subscription.objects.filter(pk=row.pk, status=Status.CREATING).update(
            fetched_at=now() - LEASE if error.maybe_done else None
        )
        raise gateway.as_refusal(error) from error
    with transaction.atomic():
        standing.lock(row.user_id)
        row = subscriptions.again(row.pk)
        if row.status == Status.CREATING:
            subscriptions.adopt(row, seen)
            row.save()
    return row


def _made_by_another(row: Subscription) -> Subscription:
    """The row once the process that has it in hand is through; a double click is answered twice alike."""
    for _ in range(int(WAITS / PAUSE)):
        time.sleep(PAUSE)
        row = subscriptions.again(row.pk)
        if row.status != Status.CREATING:
            return row
    raise Refusal("payments_unavailable", "This is being prepared. Try again in a moment.", retry_after=2)


def _make_at_razorpay(razorpay: Razorpay, row: Subscription, *, tried: bool) -> wire.Subscription:
    key, plan_id = subscriptions.key_of(row), row.price.razorpay_plan_id
    assert plan_id is not None
    offer = row.coupon_use.coupon.razorpay_offer_id if row.coupon_use else ""
    return once(
        lambda: razorpay.create_subscription(
            key,
            plan_id=plan_id,
            total_count=row.total_count,
            quantity=row.quantity,
            start_at=row.starts_at,
            expire_by=row.expires_at,
            offer_id=offer,
            notes={"user": str(row.user_id), "plan": row.plan.code},
        ),
        lambda: razorpay.subscription_by_key(key, plan_id, made_since(row.created_at)),
        tried_before=tried,
    )


# Back from the checkout --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Verified:
    """What stands after a browser came back: the row as it was fetched, and whether its payment has arrived."""

    row: Subscription | Purchase
    paid: bool


def verify_subscription(user_id: UUID, subscription_id: str, payment_id: str, signature: str) -> Verified:
    """A browser says that a subscription of this person was paid: the signature is looked at, then Razorpay asked.

    The id that is signed is the one in our row. Refusals ``not_found`` for another's or none, ``invalid_signature``.
    """
    row = Subscription.objects.filter(user_id=user_id, razorpay_subscription_id=subscription_id).first()
    if row is None or row.razorpay_subscription_id is None:
        raise Refusal("not_found", param="razorpay_subscription_id")
    if not subscription_is_signed(payment_id, row.razorpay_subscription_id, signature, settings.RAZORPAY_KEY_SECRET):
        raise _forged("subscription", str(row.pk))
    try:
        row = effects.apply_subscription(row.razorpay_subscription_id, [payment_id])
    except (RazorpayError, effects.Contended) as error:  # the event or the reconciler brings it
        log.warning("verify_waits", subscription=str(row.pk), error=str(error))
    except dispatch.NotOurs as error:
        raise Refusal("payment_mismatch") from error
    row = subscriptions.again(row.pk)
    return Verified(row, row.status in LIVE and _has_arrived(payment_id))


def verify_order(user_id: UUID, order_id: str, payment_id: str, signature: str) -> Verified:
    """As ``verify_subscription``, for an order."""
    row = Purchase.objects.filter(user_id=user_id, razorpay_order_id=order_id).first()
    if row is None or row.razorpay_order_id is None:
        raise Refusal("not_found", param="razorpay_order_id")
    if not order_is_signed(row.razorpay_order_id, payment_id, signature, settings.RAZORPAY_KEY_SECRET):
        raise _forged("order", str(row.pk))
    try:
        topups.apply(gateway.razorpay(), row.razorpay_order_id)
    except RazorpayError as error:
        log.warning("verify_waits", purchase=str(row.pk), error=str(error))
    except dispatch.NotOurs as error:
        raise Refusal("payment_mismatch") from error
    row.refresh_from_db()
    return Verified(row, row.credited_at is not None)


def _has_arrived(payment_id: str) -> bool:
    return Payment.objects.filter(razorpay_payment_id=payment_id).exclude(paid_at=None).exists()


def _forged(what: str, pk: str) -> Refusal:
    log.warning("checkout_signature_wrong", what=what, row=pk)
    return Refusal("invalid_signature", param="razorpay_signature")
