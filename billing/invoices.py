"""Invoices and credit notes: the only writer of ``Invoice`` and its lines.

A payment has one invoice and a refund one credit note, whoever asks for it and how often. Both keep copies of
seller and customer as they were. A mistake is corrected by a credit note for all that is left of the invoice and
another invoice in its stead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from django.db import transaction
from django.db.models import Sum

from accounts import audit
from billing import details, gst, invoice_series, sellers
from billing.gst import Parts
from billing.invoice_texts import what_was_sold
from billing.models import Invoice, InvoiceKind, InvoiceLine, InvoiceMail, Payment, Refund
from oneai.kit.clock import now

log = structlog.get_logger("invoices")

INVOICE: Final = InvoiceKind.INVOICE
CREDIT_NOTE: Final = InvoiceKind.CREDIT_NOTE
PAID: Final = ("captured", "refunded")
GIVEN_BACK: Final = "processed"
LOOKS_BACK: Final = timedelta(days=60)


Cause = TypeVar("Cause", Payment, Refund)


class NoInvoice(ValueError):
    """There is nothing that an invoice or credit note could be written about; the text says why."""


@dataclass(frozen=True, slots=True)
class Sold:
    """A line before its tax is reckoned: ``paise``, tax included, for all of ``quantity``."""

    description: str
    paise: int
    quantity: int = 1
    sac: str = ""


def parts(of: Invoice | InvoiceLine) -> Parts:
    """The parts of an invoice's or a line's total."""
    return Parts(of.taxable_paise, of.cgst_paise, of.sgst_paise, of.igst_paise)


def issue_for(payment: Payment, sold: Sequence[Sold] = ()) -> Invoice:
    """The invoice of ``payment``, written now unless it is there.

    ``sold`` are its lines, which come to the payment's amount; left out, one line says what was bought.
    NoInvoice unless the payment is in rupees and was paid; ValueError when the lines come to anything else.
    """
    with transaction.atomic():
        # Whoever else writes it holds this lock, so that after it the invoice is there or ours to write.
        Payment.objects.select_for_update().get(pk=payment.pk)
        found = Invoice.objects.filter(payment=payment).first()
        if found is not None:
            return found
        if payment.status not in PAID or payment.amount_paise <= 0 or payment.currency != "INR":
            raise NoInvoice(f"{payment} is {payment.status}, {payment.amount_paise} {payment.currency}")
        lines = list(sold) or [Sold(*what_was_sold(payment))]
        if sum(line.paise for line in lines) != payment.amount_paise:
            raise ValueError(f"the lines do not come to the {payment.amount_paise} paise of {payment}")
        paper = Invoice(
            user_id=payment.user_id,
            payment=payment,
            period_start=payment.period_start,
            period_end=payment.period_end,
        )
        return _write_invoice(paper, lines)


def _write_invoice(paper: Invoice, sold: Sequence[Sold]) -> Invoice:
    seller = sellers.current()
    buyer = details.of(paper.user)
    place = gst.place_of_supply(
        seller.gstin, seller.state_code, seller.lut, buyer.gstin, buyer.state_code, buyer.country
    )
    paper.kind, paper.place_of_supply, paper.supply = INVOICE, place.state, place.supply
    paper.seller, paper.buyer = sellers.copy_of(seller), details.copy_of(buyer, paper.user)
    rate = seller.gst_rate_basis_points if place.supply.taxed else 0
    lines = [
        _line(index, one, gst.parts_of(one.paise, rate, place.supply), rate, one.sac or seller.sac)
        for index, one in enumerate(sold, 1)
    ]
    return _number_and_keep(paper, lines, seller.invoice_prefix)


def _line(position: int, sold: Sold, parts: Parts, rate: int, sac: str) -> InvoiceLine:
    return InvoiceLine(
        position=position,
        description=sold.description[:300],
        sac=sac,
        quantity=sold.quantity,
        rate_basis_points=rate,
        taxable_paise=parts.taxable,
        cgst_paise=parts.cgst,
        sgst_paise=parts.sgst,
        igst_paise=parts.igst,
        total_paise=parts.total,
    )


def _number_and_keep(paper: Invoice, lines: Sequence[InvoiceLine], prefix: str) -> Invoice:
    whole = sum((parts(line) for line in lines), Parts())
    paper.taxable_paise, paper.cgst_paise, paper.sgst_paise, paper.igst_paise = (
        whole.taxable, whole.cgst, whole.sgst, whole.igst,
    )  # fmt: skip
    paper.total_paise = whole.total
    series = invoice_series.lock(prefix)
    paper.number, paper.year, paper.issued_at = series.take(), series.year, series.at
    paper.save()
    for line in lines:
        line.invoice = paper
    InvoiceLine.objects.bulk_create(lines)
    InvoiceMail.objects.create(invoice=paper)
    log.info("invoice_written", number=paper.number, kind=paper.kind, invoice=str(paper.pk))
    return paper


# What goes back ----------------------------------------------------------------------------------
def credit_note_for(refund: Refund) -> Invoice | None:
    """The credit note of ``refund``, written now unless it is there; None when its payment has no invoice.

    NoInvoice unless the refund was processed, and when more would go back than is left of the invoice.
    """
    with transaction.atomic():
        Payment.objects.select_for_update().get(pk=refund.payment_id)
        found = Invoice.objects.filter(refund=refund).first()
        if found is not None:
            return found
        if refund.status != GIVEN_BACK:
            raise NoInvoice(f"the refund {refund} is {refund.status}")
        invoice = Invoice.objects.filter(payment_id=refund.payment_id).first()
        return None if invoice is None else _credit(latest(invoice), refund.amount_paise, refund)


def latest(invoice: Invoice) -> Invoice:
    """The invoice that stands in ``invoice``'s stead, or itself."""
    while (after := Invoice.objects.filter(replaces=invoice).first()) is not None:
        invoice = after
    return invoice


def credited(invoice: Invoice) -> int:
    """How many paise of ``invoice`` were given back by credit notes."""
    return int(invoice.credit_notes.aggregate(paise=Sum("total_paise"))["paise"] or 0)


def _credit(invoice: Invoice, paise: int, refund: Refund | None) -> Invoice:
    """A credit note about ``paise`` of ``invoice``; its lines are used up in their order."""
    before = credited(invoice)
    if not 0 < paise <= invoice.total_paise - before:
        raise NoInvoice(f"{paise} paise can't be given back of {invoice}: {invoice.total_paise - before} are left")
    lines = []
    for line in invoice.lines.order_by("position"):
        spent = min(before, line.total_paise)
        part = min(paise, line.total_paise - spent)
        if part:
            given = gst.part_given_back(parts(line), spent, part)
            sold = Sold(line.description, part, line.quantity)
            lines.append(_line(line.position, sold, given, line.rate_basis_points, line.sac))
        before -= spent
        paise -= part
    note = Invoice(
        user_id=invoice.user_id,
        kind=CREDIT_NOTE,
        refund=refund,
        corrects=invoice,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        seller=invoice.seller,
        buyer=invoice.buyer,
        place_of_supply=invoice.place_of_supply,
        supply=invoice.supply,
    )
    return _number_and_keep(note, lines, sellers.current().credit_prefix)


def correct(invoice: Invoice, actor: str, reason: str) -> tuple[Invoice, Invoice]:
    """Write what is left of ``invoice`` anew, with today's billing details; returns its credit note and the new one.

    NoInvoice for a credit note, for one that was replaced already, and when nothing is left. Leaves an audit entry.
    """
    if invoice.kind != INVOICE:
        raise NoInvoice(f"{invoice} is a credit note")
    with transaction.atomic():
        Payment.objects.select_for_update().get(pk=payment_of(invoice).pk)
        if latest(invoice) != invoice:
            raise NoInvoice(f"{invoice} was replaced already")
        before = credited(invoice)
        note = _credit(invoice, invoice.total_paise - before, None)
        paper = Invoice(
            user_id=invoice.user_id,
            replaces=invoice,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
        )
        written = _write_invoice(
            paper, [Sold(line.description, line.total_paise, line.quantity, line.sac) for line in note.lines.all()]
        )
        audit.record(
            actor,
            "invoice.corrected",
            subject_id=invoice.user_id,
            target=invoice.number,
            reason=reason,
            details={"credit_note": note.number, "invoice": written.number},
        )
    return note, written


def payment_of(paper: Invoice) -> Payment:
    """The payment that an invoice, one in its stead, or a credit note is about."""
    while True:
        before = paper.replaces or paper.corrects
        if before is None:
            assert paper.payment is not None
            return paper.payment
        paper = before


# What is missing ---------------------------------------------------------------------------------
def issue_missing(most: int = 50, since: timedelta = LOOKS_BACK) -> int:
    """Write what payments and refunds of the last time lack; returns how many. Any number of workers may run it.

    A payment counts once it has had its effect: what was only authorised, or paid twice and sent back, sold nothing.
    """
    payments = Payment.objects.filter(
        created_at__gte=now() - since,
        status__in=PAID,
        effect_at__isnull=False,
        amount_paise__gt=0,
        currency="INR",
        invoice__isnull=True,
    )
    refunds = Refund.objects.filter(
        created_at__gte=now() - since, status=GIVEN_BACK, credit_note__isnull=True, payment__invoice__isnull=False
    )
    written = 0
    for payment in payments.select_related("user").order_by("created_at", "id")[:most]:
        written += _tried(issue_for, payment)
    for refund in refunds.order_by("created_at", "id")[:most]:
        written += _tried(credit_note_for, refund)
    return written


def _tried(write: Callable[[Cause], Invoice | None], cause: Cause) -> bool:
    try:
        return write(cause) is not None
    except Exception:  # one that can't be written keeps no other from it
        log.exception("invoice_failed", cause=str(cause.pk))
        return False
