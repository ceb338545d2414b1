"""Money that came in and went back."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Purchase(models.Model):
    """An order of something once: a pack of tokens. Written by ``billing.topups``.

    ``tokens`` and ``nano_usd`` are what it gives when it is paid, ``days`` how long that may be used: the pack as
    it was when ordered. ``credited_at``: the payment that was made for it has been turned into a top-up.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="purchases", db_index=False)
    team_id = models.UUIDField(null=True, blank=True)
    pack = models.ForeignKey("billing.Pack", on_delete=models.PROTECT, related_name="+")
    razorpay_order_id = models.CharField(max_length=40, unique=True, null=True, blank=True)
    mode = models.CharField(max_length=4, default="test")
    amount_paise = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="INR")
    tokens = models.BigIntegerField()
    nano_usd = models.BigIntegerField(null=True, blank=True)
    days = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=10, default="creating")
    coupon_use = models.ForeignKey(
        "billing.CouponUse", on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    idempotency_key = models.CharField(max_length=80, unique=True, null=True, blank=True)
    credited_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "purchases"
        indexes = [
            models.Index(fields=["user", "created_at"], name="purchases_of_user"),
            models.Index(fields=["status", "created_at"], name="purchases_to_look_at"),
        ]
        constraints = [models.CheckConstraint(condition=models.Q(amount_paise__gt=0), name="purchases_positive")]

    def __str__(self) -> str:
        return f"{self.pack_id} for {self.user_id}: {self.status}"


class Payment(models.Model):
    """A payment at Razorpay as it was last fetched. Written by ``billing.payments``.

    ``period_start`` and ``period_end``: the cycle of the subscription that it paid for. ``status`` only goes forward:
    failed, created, authorized, captured, refunded. ``dispute`` is what all of its ``disputes`` come to; each stands
    there with its state by Razorpay's id.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="payments", db_index=False)
    subscription = models.ForeignKey(
        "billing.Subscription", on_delete=models.PROTECT, null=True, blank=True, related_name="payments"
    )
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, null=True, blank=True, related_name="payments")
    razorpay_payment_id = models.CharField(max_length=40, unique=True)
    razorpay_order_id = models.CharField(max_length=40, blank=True)
    razorpay_invoice_id = models.CharField(max_length=40, blank=True)
    mode = models.CharField(max_length=4, default="test")
    amount_paise = models.BigIntegerField()
    refunded_paise = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, default="INR")
    status = models.CharField(max_length=10)
    method = models.CharField(max_length=20, blank=True)
    international = models.BooleanField(default=False)
    error_code = models.CharField(max_length=80, blank=True)
    error_description = models.CharField(max_length=300, blank=True)
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    disputed_at = models.DateTimeField(null=True, blank=True)
    dispute = models.CharField(max_length=20, blank=True)
    disputes = models.JSONField(default=dict, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    effect_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(default=now)
    created_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "payments"
        indexes = [
            models.Index(fields=["user", "created_at"], name="payments_of_user"),
            models.Index(fields=["created_at"], name="payments_newest"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    amount_paise__gte=0, refunded_paise__gte=0, refunded_paise__lte=models.F("amount_paise")
                ),
                name="payments_refunded_within",
            )
        ]

    def __str__(self) -> str:
        return self.razorpay_payment_id


class Refund(models.Model):
    """Money given back, by us or in Razorpay's dashboard. Written by ``billing.refunds``.

    ``key`` is ours and goes with the call, so that asking twice pays once. ``taken`` is what it took back of
    what the payment had bought, by unit, ``owed`` what was used already. ``status``: asked, pending, processed, failed,
    or to_pay, by the site's owner and not by Razorpay.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    key = models.CharField(max_length=80, unique=True)
    razorpay_refund_id = models.CharField(max_length=40, unique=True, null=True, blank=True)
    amount_paise = models.BigIntegerField()
    status = models.CharField(max_length=10, default="asked")
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=254, blank=True)
    taken = models.JSONField(default=dict, blank=True)
    owed = models.JSONField(default=dict, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "refunds"
        indexes = [models.Index(fields=["status", "due_at"], name="refunds_to_send")]
        constraints = [models.CheckConstraint(condition=models.Q(amount_paise__gt=0), name="refunds_positive")]

    def __str__(self) -> str:
        return self.key
