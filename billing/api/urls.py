"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from billing.api.invoice_views import BillingDetailsView, InvoiceDetail, InvoiceList, InvoicePdf
from billing.api.views import PlansView

urlpatterns = [
    path("subscription/plans", PlansView.as_view(), name="subscription_plans"),
    path("subscription/invoice", InvoiceList.as_view(), name="subscription_invoices"),
    path("subscription/invoice/<uuid:invoice_id>", InvoiceDetail.as_view(), name="subscription_invoice"),
    path("subscription/invoice/<uuid:invoice_id>/pdf", InvoicePdf.as_view(), name="subscription_invoice_pdf"),
    path("subscription/billing-details", BillingDetailsView.as_view(), name="billing_details"),
]
