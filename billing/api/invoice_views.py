"""Invoices and billing details over HTTP: of the person who asks alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView, person, principal
from billing import details, invoice_files, words
from billing.api.invoice_shapes import BillingDetailsBody, BillingDetailsShape, InvoiceDetailShape, InvoiceShape
from billing.invoices import payment_of
from billing.models import Invoice
from oneai.kit.drf import JSON
from oneai.kit.errors import Refusal
from oneai.kit.fields import read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages


def own(request: Request) -> QuerySet[Invoice]:
    """The papers of the person who asks."""
    return Invoice.objects.filter(user_id=principal(request).user_id)


def one(request: Request, invoice_id: UUID) -> Invoice:
    """One of their papers. Refusal ``not_found`` for another's as for none."""
    found = own(request).select_related("corrects", "replaces", "refund").filter(pk=invoice_id).first()
    if found is None:
        raise Refusal("not_found")
    return found


class InvoiceList(PersonView):
    """Invoices and credit notes."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="subscription_invoices",
        tags=["subscription"],
        parameters=PAGE_PARAMETERS,
        responses=InvoiceShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Your invoices and credit notes, the newest first."""
        pages = Pages(("-issued_at", "-id"))
        page = pages.paginate_queryset(own(request), request, self) or []
        return pages.get_paginated_response(InvoiceShape(page, many=True).data)


class InvoiceDetail(PersonView):
    """One of them."""

    @extend_schema(operation_id="subscription_invoice", tags=["subscription"], responses=InvoiceDetailShape)
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """All that an invoice or credit note says."""
        invoice: Any = one(request, invoice_id)
        invoice.in_words = words.rupees(invoice.total_paise)
        invoice.razorpay_payment = payment_of(invoice).razorpay_payment_id
        return Response(InvoiceDetailShape(invoice).data)


class InvoicePdf(PersonView):
    """One of them, to print and to keep."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return JSON(), JSON.media_type  # who accepts only application/pdf still reads a refusal

    @extend_schema(
        operation_id="subscription_invoice_pdf",
        tags=["subscription"],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, invoice_id: UUID) -> HttpResponseBase:
        """An invoice or credit note as a PDF."""
        return invoice_files.answer(request._request, one(request, invoice_id))


class BillingDetailsView(PersonView):
    """To whom invoices are written."""

    @extend_schema(operation_id="billing_details", tags=["subscription"], responses=BillingDetailsShape)
    def get(self, request: Request) -> Response:
        """The billing details."""
        return Response(BillingDetailsShape(details.of(person(request))).data)

    @extend_schema(
        operation_id="billing_details_change",
        tags=["subscription"],
        request=BillingDetailsBody,
        responses=BillingDetailsShape,
    )
    def patch(self, request: Request) -> Response:
        """Change them for the invoices to come. The GSTIN is checked, and sets the state."""
        changed = details.change(person(request), read_body(BillingDetailsBody, request))
        return Response(BillingDetailsShape(changed).data)
