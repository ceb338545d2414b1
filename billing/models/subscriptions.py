"""Subscriptions: what Razorpay says of them, and what the customer asked of us."""

from __future__ import annotations

from django.db import models

from billing.models.plans import Price
from oneai.kit.clock import now, uuid7


class SubscriptionStatus(models.TextChoices):
    """Razorpay's states, and ours before Razorpay knows (``creating``)."""

    CREATING = "creating"
    CREATED = "created"
    AUTHENTICATED = "authenticated"
    ACTIVE = "active"
    PENDING = "pending"
    HALTED = "halted"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    EXPIRED = "expired"


class Subscription(models.Model):
    """One subscription at Razorpay. Written by ``billing.subscriptions``.

    ``status`` and the period are what Razorpay last said (``fetched_at``); nothing is concluded from what a
    browser sends. What the customer wants of us stands beside it, because Razorpay shows no field for it:
    ``cancel_at_cycle_end`` (sent to Razorpay at ``cancel_sent_at``, shortly before the end; until then it can be
    taken back), ``next_price`` and ``next_quantity`` from the next cycle on. ``replaces`` is the subscription
    that this one takes over from once it is paid: a mandate that can't be changed is made anew.
    ``allowed_until``: the end of what has been granted for it. ``terms`` are those of the price when sold.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="subscriptions", db_index=False)
    team_id = models.UUIDField(null=True, blank=True, db_index=True)
    plan = models.ForeignKey("billing.Plan", on_delete=models.PROTECT, related_name="+")
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="subscriptions")
    razorpay_subscription_id = models.CharField(max_length=40, unique=True, null=True, blank=True)
    razorpay_customer_id = models.CharField(max_length=40, blank=True)
    mode = models.CharField(max_length=4, default="test")
    status = models.CharField(max_length=13, choices=SubscriptionStatus.choices, default=SubscriptionStatus.CREATING)
    quantity = models.PositiveIntegerField(default=1)
    current_period_start = models.DateTimeField(null=True, blank=True)
    current_period_end = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    charge_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    paid_count = models.PositiveIntegerField(default=0)
    total_count = models.PositiveIntegerField(default=0)
    payment_method = models.CharField(max_length=20, blank=True)
    international = models.BooleanField(default=False)
    short_url = models.URLField(max_length=300, blank=True)
    terms = models.JSONField(default=dict)
    coupon_use = models.ForeignKey(
        "billing.CouponUse", on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    trial = models.BooleanField(default=False)
    allowed_until = models.DateTimeField(null=True, blank=True)
    cancel_at_cycle_end = models.BooleanField(default=False)
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.TextField(blank=True)
    next_price = models.ForeignKey(
        Price, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    next_quantity = models.PositiveIntegerField(null=True, blank=True)
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by")
    idempotency_key = models.CharField(max_length=80, unique=True, null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "subscriptions"
        indexes = [
            models.Index(fields=["user", "created_at"], name="subscriptions_of_user"),
            models.Index(fields=["status", "fetched_at"], name="subscriptions_to_look_at"),
        ]

    def __str__(self) -> str:
        return f"{self.razorpay_subscription_id or self.pk}, {self.status}"


class SubscriptionChange(models.Model):
    """What happened to a subscription, in order: its state history and every wish. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=40)
    before = models.CharField(max_length=40, blank=True)
    after = models.CharField(max_length=40, blank=True)
    actor = models.CharField(max_length=254, blank=True)
    reason = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "subscription_changes"
        ordering = ["created_at", "id"]
