"""What the staff desk keeps of its own: what a dollar costs, for the margin."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class ExchangeRate(models.Model):
    """What a US dollar costs from a day on, in paise; written by ``adminpanel.exchange``."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    since = models.DateField(unique=True)
    paise_per_usd = models.PositiveIntegerField()
    actor = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "exchange_rates"
        constraints = [
            models.CheckConstraint(condition=models.Q(paise_per_usd__gt=0), name="exchange_rates_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.paise_per_usd} from {self.since}"
