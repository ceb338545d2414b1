"""What is sold. The pricing page, the allowances and the admin read this one table."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Plan(models.Model):
    """A plan: its price in paise and what it allows, in the shape of ``quotas.Allowance``."""

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
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "plans"
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name
