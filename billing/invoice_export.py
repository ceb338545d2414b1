"""Invoices for the accountant: a table of every line, and the figures of the return GSTR-1.

Days are those of India, both ends included. Amounts in tables and returns are rupees with two decimals; credit notes
are negative in the table, so that its columns add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet

from billing import gstr1 as returns
from billing import sellers
from billing.gst import Supply
from billing.invoice_numbers import INDIA, day_in_india
from billing.invoices import CREDIT_NOTE, parts, payment_of
from billing.models import Invoice

COLUMNS: Final = (
    "number", "date", "kind", "for_invoice", "customer", "customer_gstin", "customer_state", "customer_country",
    "place_of_supply", "supply", "line", "description", "sac", "quantity", "rate_percent", "taxable", "cgst", "sgst",
    "igst", "total", "currency", "seller_gstin", "razorpay_payment", "razorpay_refund",
)  # fmt: skip


def between(first: date, last: date) -> QuerySet[Invoice]:
    """Invoices and credit notes of these days, the oldest first. ValueError when the days are turned round."""
    if first > last:
        raise ValueError("The last day is before the first.")
    start = datetime.combine(first, time.min, INDIA)
    end = datetime.combine(last + timedelta(days=1), time.min, INDIA)
    found = Invoice.objects.filter(issued_at__gte=start, issued_at__lt=end).order_by("issued_at", "id")
    return found.select_related(
        "payment", "refund", "corrects__payment", "corrects__replaces__payment", "replaces__payment"
    ).prefetch_related("lines")


def rupees(paise: int) -> Decimal:
    """The amount in rupees, exactly."""
    return Decimal(paise).scaleb(-2)


def table(papers: QuerySet[Invoice]) -> Iterator[list[object]]:
    """A row for each line, under ``COLUMNS``."""
    for paper in papers.iterator(500):
        sign = -1 if paper.kind == CREDIT_NOTE else 1
        before = paper.corrects or paper.replaces
        for line in paper.lines.all():
            yield [
                paper.number,
                day_in_india(paper.issued_at).isoformat(),
                paper.kind,
                before.number if before else "",
                paper.buyer["name"],
                paper.buyer["gstin"],
                paper.buyer["state"],
                paper.buyer["country"],
                paper.place_of_supply,
                paper.supply,
                line.position,
                line.description,
                line.sac,
                line.quantity,
                Decimal(line.rate_basis_points).scaleb(-2),
                rupees(sign * line.taxable_paise),
                rupees(sign * line.cgst_paise),
                rupees(sign * line.sgst_paise),
                rupees(sign * line.igst_paise),
                rupees(sign * line.total_paise),
                paper.currency,
                paper.seller["gstin"],
                payment_of(paper).razorpay_payment_id,
                paper.refund.razorpay_refund_id if paper.refund else "",
            ]


class NoReturn(ValueError):
    """There is nothing that a return could be made of; the text says why."""


def gstr1(first: date, last: date, gstin: str = "") -> dict[str, Any]:
    """GSTR-1 of these days, filed for the month of the last; of the seller's ``gstin`` where there were several.

    NoReturn when no invoice shows a GSTIN of ours, or several do and none was named.
    """
    papers = [paper for paper in between(first, last) if paper.seller["gstin"]]
    ours = {paper.seller["gstin"] for paper in papers}
    if gstin:
        papers = [paper for paper in papers if paper.seller["gstin"] == gstin]
    elif len(ours) > 1:
        raise NoReturn(f"Invoices of these days have several GSTINs of yours: {', '.join(sorted(ours))}. Name one.")
    own = gstin or next(iter(ours), "") or sellers.current().gstin
    if not own:
        raise NoReturn("No GSTIN of yours is known: an unregistered seller files no return.")
    return returns.build(own, last, [_document(paper) for paper in papers])


def _document(paper: Invoice) -> returns.Document:
    return returns.Document(
        number=paper.number,
        day=day_in_india(paper.issued_at),
        credit=paper.kind == CREDIT_NOTE,
        gstin=paper.buyer["gstin"],
        place=paper.place_of_supply,
        supply=Supply(paper.supply),
        entries=tuple(returns.Entry(line.sac, line.rate_basis_points, parts(line)) for line in paper.lines.all()),
        about=paper.corrects.total_paise if paper.corrects else None,
    )
