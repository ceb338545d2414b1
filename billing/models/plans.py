"""Plans and their prices. The pricing page, the allowances and the admin read these tables."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Interval(models.TextChoices):
    MONTH = "month"
    YEAR = "year"


class Plan(models.Model):
    """A plan: its price in paise, tax included, and what it allows, in the shape of ``quotas.Allowance``.

    ``limits`` are of a month, of a seat when ``per_seat``. ``only_for``: a package made for one customer,
    which nobody else sees. ``trial_days``: how long somebody who never tried may do so before paying.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=60)
    tagline = models.CharField(max_length=200, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    currency = models.CharField(max_length=3, default="INR")
    price_month_paise = models.BigIntegerField(default=0)
    price_year_paise = models.BigIntegerField(default=0)
    per_seat = models.BooleanField(default=False)
    features = models.JSONField(default=list)
    limits = models.JSONField(default=list)
    model_patterns = models.JSONField(default=list)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_generations = models.PositiveIntegerField(null=True, blank=True)
    trial_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    only_for = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "plans"
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Price(models.Model):
    """A price at which a plan is or was sold: never changed, since the plan behind it at Razorpay never is.

    Written by ``billing.prices``. ``current`` is what a new subscription takes; ``terms`` is what the plan
    allowed when the price was made (limits, model_patterns and rates by name), which those who pay it keep.
    ``razorpay_plan_id`` is null until Razorpay has it, ``mode`` which of its worlds does (test or live).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="prices")
    version = models.PositiveIntegerField()
    interval = models.CharField(max_length=5, choices=Interval.choices)
    amount_paise = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="INR")
    terms = models.JSONField(default=dict)
    razorpay_plan_id = models.CharField(max_length=40, unique=True, null=True, blank=True)
    mode = models.CharField(max_length=4, default="test")
    current = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "plan_prices"
        constraints = [
            models.UniqueConstraint(fields=["plan", "interval", "mode", "version"], name="plan_prices_version"),
            models.UniqueConstraint(
                fields=["plan", "interval", "mode"], condition=models.Q(current=True), name="plan_prices_one_current"
            ),
            models.CheckConstraint(condition=models.Q(amount_paise__gt=0), name="plan_prices_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} by the {self.interval}, version {self.version}"
