"""Mail of invoices and credit notes, in text and HTML with the PDF: one for each, by whichever worker comes first.

The PDF is drawn before the transaction that marks the mail as written, which then is short.
"""

from __future__ import annotations

import structlog
from django.core.mail import EmailMultiAlternatives
from django.db import transaction

from billing import invoice_files, invoice_paper, letters, mail_texts
from billing.letters import Paper
from billing.models import Invoice, InvoiceKind, InvoiceMail
from oneai.kit.clock import now

log = structlog.get_logger("invoices")


def write(most: int = 10) -> int:
    """Put the mails of up to ``most`` invoices into the outbox; returns how many were dealt with."""
    written = 0
    waiting = InvoiceMail.objects.filter(written_at=None).order_by("invoice_id").values_list("pk", flat=True)
    for invoice_id in waiting[:most]:
        try:
            invoice = Invoice.objects.select_related("user", "corrects", "replaces", "refund").get(pk=invoice_id)
            pdf = invoice_files.draw(invoice)
            mail = message(invoice, pdf)
            with transaction.atomic():
                if not InvoiceMail.objects.filter(pk=invoice_id, written_at=None).update(written_at=now()):
                    continue
                invoice_files.keep(invoice, pdf)
                if invoice.user.is_active:
                    mail.send()
            written += 1
        except Exception:
            log.exception("invoice_mail_failed", invoice=str(invoice_id))
    return written


def message(invoice: Invoice, pdf: bytes) -> EmailMultiAlternatives:
    """The mail of ``invoice`` with its PDF, not yet sent."""
    paper = invoice_paper.read(invoice)
    facts = [(line.description, line.total) for line in paper.lines]
    if paper.taxed:
        facts += [
            ("Taxable value", paper.taxable),
            *((f"{tax.name} {tax.rate}".strip(), tax.amount) for tax in paper.taxes),
        ]
    facts += [(paper.total_name, paper.total), ("In words", paper.words)]
    if invoice.kind == InvoiceKind.CREDIT_NOTE:
        letter = mail_texts.credit_note(invoice, paper.title, facts, invoice.refund)
    else:
        letter = mail_texts.receipt(invoice, paper.title, facts, invoice.payment)
    return letters.message(letter, invoice.user.email, [Paper(paper.file_name, pdf)])
