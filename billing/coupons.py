"""Coupons: reserved when something is ordered, used once it is paid, free again when it never is."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, Q

from billing.models import Coupon, CouponUse, Payment, Purchase, Subscription
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import grants
from quotas.allowances import InvalidTerms

LONGEST: Final = 40
LEAST_PAISE: Final = 100
"""Razorpay takes nothing smaller; a coupon leaves at least this to pay."""
KEPT: Final = timedelta(days=3)


def reserve(user_id: UUID, code: str, paise: int, *, plan: str = "") -> CouponUse:
    """Reserve ``code`` for something that costs ``paise``: a pack, or the plan of that code.

    In the caller's transaction, under the lock of the person's money. Refusal ``coupon_not_valid`` says why not.
    A subscription's amount only Razorpay can change: there a discount needs an offer of Razorpay.
    """
    coupon = Coupon.objects.filter(code__iexact=code.strip()[:LONGEST]).first()
    at = now()
    if coupon is None or not coupon.is_active or coupon.starts_at > at or (coupon.until and coupon.until <= at):
        raise _no("There is no such coupon, or it has ended.")
    if coupon.plans and (plan not in coupon.plans if plan else "packs" not in coupon.plans):
        raise _no("The coupon is for something else.")
    if plan and not coupon.razorpay_offer_id and (coupon.percent or coupon.amount_paise):
        raise _no("The coupon is for packs of tokens.")
    if _is_used_up(coupon, user_id):
        raise _no("You have used this coupon.")
    mine = CouponUse.objects.filter(coupon=coupon, user_id=user_id, released_at=None)
    if mine.count() >= coupon.uses_per_user:
        raise _no("You have ordered something with this coupon. Pay that, or wait until it has ended.")
    # Whoever changes the row has the use: two at once can't take the last one.
    free = Q(most_uses=None) | Q(uses__lt=F("most_uses"))
    if not Coupon.objects.filter(free, pk=coupon.pk).update(uses=F("uses") + 1):
        raise _no("The coupon has been used up.")
    return CouponUse.objects.create(coupon=coupon, user_id=user_id, discount_paise=discount(coupon, paise))


def _is_used_up(coupon: Coupon, user_id: UUID) -> bool:
    """Whether the person has paid as often with the coupon as anybody may, also with an order that had lost it."""
    used = CouponUse.objects.filter(coupon=coupon, user_id=user_id).exclude(used_at=None)
    return used.count() >= coupon.uses_per_user


def is_spent(purchase: Purchase) -> bool:
    """Whether an order is paid so late that its coupon has been free again, and was used up with other orders."""
    use = purchase.coupon_use
    return use is not None and use.released_at is not None and _is_used_up(use.coupon, use.user_id)


def discount(coupon: Coupon, paise: int) -> int:
    """What it takes off ``paise``, rounded down; it leaves a rupee to pay."""
    off = paise * (coupon.percent or 0) // 100 if coupon.percent else (coupon.amount_paise or 0)
    return max(0, min(off, paise - LEAST_PAISE))


def _no(why: str) -> Refusal:
    return Refusal("coupon_not_valid", why, param="coupon")


def use(row: Subscription) -> None:
    """A subscription with a coupon was paid first: its use counts, and its bonus is given."""
    if row.coupon_use is None:
        return
    CouponUse.objects.filter(pk=row.coupon_use.pk, used_at=None).update(used_at=now())
    bonus = row.coupon_use.coupon.bonus_tokens
    if bonus:
        grants.grant(
            row.team_id or row.user_id,
            _bonus(row),
            {"tokens": bonus},
            until=now() + timedelta(days=365),
            note=f"Coupon {row.coupon_use.coupon.code}",
        )


def take_back(row: Subscription, paid: Payment, key: str, paise: int) -> None:
    """Of the cycle that a coupon's bonus came with, ``paise`` go back: so does the bonus, once for each ``key``."""
    earlier = row.payments.filter(period_start__lt=paid.period_start)
    if row.coupon_use is None or not row.coupon_use.coupon.bonus_tokens or earlier.exists():
        return
    try:
        grants.refund(_bonus(row), key, paise, paid.amount_paise)
    except InvalidTerms:  # it was never given
        return


def _bonus(row: Subscription) -> str:
    return f"sub:{row.pk}:bonus"


def use_for(purchase: Purchase) -> None:
    """A pack with a coupon was paid."""
    if purchase.coupon_use is not None:
        CouponUse.objects.filter(pk=purchase.coupon_use.pk, used_at=None).update(used_at=now())


def release(row: Subscription | Purchase) -> None:
    """What was ordered with a coupon is never paid: somebody else may use it."""
    use = row.coupon_use
    if use is None:
        return
    if CouponUse.objects.filter(pk=use.pk, used_at=None, released_at=None).update(released_at=now()):
        Coupon.objects.filter(pk=use.coupon_id, uses__gt=0).update(uses=F("uses") - 1)
