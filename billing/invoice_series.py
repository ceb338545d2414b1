"""The counters behind invoice numbers: the only writer of ``InvoiceSeries``.

A number is taken under the lock of its counter's row and in the transaction that writes the invoice: what is undone
gives its number back, so there is no gap, and who waits for the lock is dated later, so days follow the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from billing import invoice_numbers
from billing.models import InvoiceSeries
from oneai.kit.clock import now


@dataclass(slots=True)
class Series:
    """A series whose counter is ours until the transaction ends. ``at`` is when it became so."""

    row: InvoiceSeries
    at: datetime

    @property
    def year(self) -> str:
        return self.row.year

    def take(self) -> str:
        """The next number."""
        self.row.last += 1
        self.row.save(update_fields=["last"])
        return invoice_numbers.number(self.row.prefix, self.row.year, self.row.last)


def lock(prefix: str) -> Series:
    """The series of ``prefix`` in the running financial year, for the transaction that the caller has begun."""
    assert connection.in_atomic_block, "a number outside a transaction could be lost"
    while True:
        year = invoice_numbers.financial_year(now())
        row = _row(prefix, year)
        at = now()
        if invoice_numbers.financial_year(at) == year:  # else the year has turned while we waited
            return Series(row, at)


def _row(prefix: str, year: str) -> InvoiceSeries:
    # On SQLite the transaction itself is the lock.
    rows = InvoiceSeries.objects.select_for_update().filter(prefix=prefix, year=year)
    found = rows.first()
    if found is None:
        InvoiceSeries.objects.bulk_create([InvoiceSeries(prefix=prefix, year=year)], ignore_conflicts=True)
        found = rows.get()
    return found
