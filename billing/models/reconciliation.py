"""Where Razorpay and our rows differed."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Difference(models.Model):
    """A difference that was found, and what was done about it. Written by ``billing.differences``."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    reference = models.CharField(max_length=80)
    ours = models.JSONField(default=dict, blank=True)
    theirs = models.JSONField(default=dict, blank=True)
    repaired_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    found_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "billing_differences"
        indexes = [models.Index(fields=["found_at"], name="billing_differences_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
