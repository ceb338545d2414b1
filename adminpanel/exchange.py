"""What a dollar costs, by day: the owner names it, so that revenue in rupees and cost in dollars make a margin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db import transaction

from accounts.audit import Actor
from adminpanel.models import ExchangeRate
from oneai.kit.money import NANO

MOST: Final = 100_000_00  # paise; keeps every product within 64 bits


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days with one rate; None: none was named."""

    first: date
    last: date
    paise_per_usd: int | None

    def paise(self, nano_usd: int) -> int | None:
        """``nano_usd`` in paise, rounded half up."""
        if self.paise_per_usd is None:
            return None
        return (2 * nano_usd * self.paise_per_usd + NANO) // (2 * NANO)


def set_rate(actor: Actor, since: date, paise_per_usd: int, reason: str) -> ExchangeRate:
    """Say what a dollar costs from a day on; what was said for that day before is replaced. ValueError if absurd."""
    if not 0 < paise_per_usd <= MOST:
        raise ValueError("A dollar costs more than nothing and less than a lakh of rupees.")
    with transaction.atomic():
        row, _ = ExchangeRate.objects.update_or_create(
            since=since, defaults={"paise_per_usd": paise_per_usd, "actor": actor.label}
        )
        actor.record("exchange.set", target=since.isoformat(), reason=reason, details={"paise_per_usd": paise_per_usd})
    return row


def stretches(first: date, last: date) -> list[Stretch]:
    """The days from ``first`` to ``last``, cut where the rate changes."""
    rates = dict(ExchangeRate.objects.filter(since__lte=last).order_by("since").values_list("since", "paise_per_usd"))
    known = [since for since in rates if since <= first]
    rate = rates[known[-1]] if known else None
    found, begin = [], first
    for since in rates:
        if since > first:
            found.append(Stretch(begin, since - timedelta(days=1), rate))
            begin, rate = since, rates[since]
    return [*found, Stretch(begin, last, rate)]
