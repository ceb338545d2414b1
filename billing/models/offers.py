"""Packs of tokens, coupons and trials."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Pack(models.Model):
    """Tokens sold once, beside the plan: price in paise, tax included; ``days`` until they end, null for never.

    ``nano_usd`` is what they may cost upstream; null takes the plan's proportion.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=60)
    amount_paise = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="INR")
    tokens = models.BigIntegerField()
    nano_usd = models.BigIntegerField(null=True, blank=True)
    days = models.PositiveIntegerField(null=True, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "packs"
        ordering = ["position", "code"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_paise__gte=100, tokens__gt=0), name="packs_positive")
        ]

    def __str__(self) -> str:
        return self.name


class Coupon(models.Model):
    """A code that makes the first payment cheaper. Written by staff; its uses by ``billing.coupons``.

    Either ``percent`` (1 to 100) or ``amount_paise`` off; ``razorpay_offer_id`` names the offer at Razorpay that
    does it for subscriptions, where only Razorpay can change an amount. Empty ``plans`` is all of them and packs.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.CharField(max_length=40, unique=True)
    percent = models.PositiveSmallIntegerField(null=True, blank=True)
    amount_paise = models.BigIntegerField(null=True, blank=True)
    bonus_tokens = models.BigIntegerField(null=True, blank=True)
    plans = models.JSONField(default=list, blank=True)
    razorpay_offer_id = models.CharField(max_length=40, blank=True)
    starts_at = models.DateTimeField(default=now)
    until = models.DateTimeField(null=True, blank=True)
    most_uses = models.PositiveIntegerField(null=True, blank=True)
    uses = models.PositiveIntegerField(default=0)
    uses_per_user = models.PositiveSmallIntegerField(default=1)
    is_active = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "coupons"

    def __str__(self) -> str:
        return self.code


class CouponUse(models.Model):
    """A coupon that somebody reserved (``released_at`` null) and, once paid for, used (``used_at``)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="taken")
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")
    discount_paise = models.BigIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "coupon_uses"


class Trial(models.Model):
    """That an identity has tried a plan: a keyed hash of what it is known by, kept when the account goes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    identity = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    plan = models.CharField(max_length=40)
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "trials"
