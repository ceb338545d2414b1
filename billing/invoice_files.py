"""The PDF of an invoice: drawn for the mail, kept from then on, and shown as it was sent.

A GET writes nothing: before the mail is written it draws one and lets it go.
"""

from __future__ import annotations

from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from billing import invoice_paper
from billing.models import Invoice, InvoicePdf


def draw(invoice: Invoice) -> bytes:
    """The PDF, as the paper reads now."""
    from billing import invoice_pdf  # drawing takes 25 MB, which a process that draws nothing is spared

    return invoice_pdf.render(invoice_paper.read(invoice))


def of(invoice: Invoice) -> bytes:
    """The PDF that was kept, or else one that is drawn now."""
    kept = InvoicePdf.objects.filter(pk=invoice.pk).values_list("content", flat=True).first()
    return draw(invoice) if kept is None else bytes(kept)


def keep(invoice: Invoice, content: bytes) -> None:
    """Keep the PDF that goes to the customer; in the transaction that writes their mail."""
    InvoicePdf.objects.get_or_create(
        invoice=invoice, defaults={"content": content, "digest": sha256(content).hexdigest()}
    )


def answer(request: HttpRequest, invoice: Invoice) -> HttpResponseBase:
    """The PDF as an answer over HTTP that a browser shows; 304 for whoever names the digest of what they have."""
    digest = InvoicePdf.objects.filter(pk=invoice.pk).values_list("digest", flat=True).first()
    found = get_conditional_response(request, etag=f'"{digest}"') if digest else None
    if found is None:
        found = HttpResponse(of(invoice), content_type="application/pdf")
        found["Content-Disposition"] = f'inline; filename="{invoice_paper.file_name_of(invoice)}"'
        if digest:
            found["ETag"] = f'"{digest}"'
    found["Cache-Control"] = "private, no-store"
    return found
