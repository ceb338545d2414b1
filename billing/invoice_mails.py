"""Mail of invoices and credit notes, in text and HTML with the PDF: one for each, by whichever worker comes first.

The PDF is drawn before the transaction that marks the mail as written, which then is short.
"""

from __future__ import annotations

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from billing import invoice_paper, invoice_pdf
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
            mail = message(invoice)
            with transaction.atomic():
                if not InvoiceMail.objects.filter(pk=invoice_id, written_at=None).update(written_at=now()):
                    continue
                if invoice.user.is_active:
                    mail.send()
            written += 1
        except Exception:
            log.exception("invoice_mail_failed", invoice=str(invoice_id))
    return written


def message(invoice: Invoice) -> EmailMultiAlternatives:
    """The mail of ``invoice``, not yet sent."""
    paper = invoice_paper.read(invoice)
    context = {
        "paper": paper,
        "invoice": invoice,
        "name": invoice.user.name,
        "credit": invoice.kind == InvoiceKind.CREDIT_NOTE,
        "site_url": settings.SITE_URL,
        "current_site": {"name": settings.SITE_NAME},
    }
    subject = render_to_string("billing/email/invoice_subject.txt", context)
    mail = EmailMultiAlternatives(
        " ".join(subject.split()),
        render_to_string("billing/email/invoice_message.txt", context),
        to=[invoice.user.email],
    )
    mail.attach_alternative(render_to_string("billing/email/invoice_message.html", context), "text/html")
    mail.attach(paper.file_name, invoice_pdf.render(paper), "application/pdf")
    return mail
