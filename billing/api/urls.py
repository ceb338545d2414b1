"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from billing.api.invoice_views import BillingDetailsView, InvoiceDetail, InvoiceList, InvoicePdf
from billing.api.subscription_views import (
    CancelView,
    CreateView,
    CurrentView,
    PauseView,
    PortalView,
    ResumeView,
    UndoView,
    UpdateView,
    VerifyView,
)
from billing.api.topup_views import PacksView, TopupView
from billing.api.views import PlansView

urlpatterns = [
    path("subscription", CurrentView.as_view(), name="subscription"),
    path("subscription/create", CreateView.as_view(), name="subscription_create"),
    path("subscription/verify", VerifyView.as_view(), name="subscription_verify"),
    path("subscription/update", UpdateView.as_view(), name="subscription_update"),
    path("subscription/cancel", CancelView.as_view(), name="subscription_cancel"),
    path("subscription/undo", UndoView.as_view(), name="subscription_undo"),
    path("subscription/pause", PauseView.as_view(), name="subscription_pause"),
    path("subscription/resume", ResumeView.as_view(), name="subscription_resume"),
    path("subscription/portal", PortalView.as_view(), name="subscription_portal"),
    path("subscription/packs", PacksView.as_view(), name="subscription_packs"),
    path("subscription/topup", TopupView.as_view(), name="subscription_topup"),
    path("subscription/plans", PlansView.as_view(), name="subscription_plans"),
    path("subscription/invoice", InvoiceList.as_view(), name="subscription_invoices"),
    path("subscription/invoice/<uuid:invoice_id>", InvoiceDetail.as_view(), name="subscription_invoice"),
    path("subscription/invoice/<uuid:invoice_id>/pdf", InvoicePdf.as_view(), name="subscription_invoice_pdf"),
    path("subscription/billing-details", BillingDetailsView.as_view(), name="billing_details"),
]
