"""Addresses of the price list, and of plan and billing."""

from __future__ import annotations

from django.urls import path

from billing import change_pages, checkout_pages, invoice_pages, portal_pages, views

urlpatterns = [
    path("pricing", views.pricing, name="pricing"),
    *portal_pages.urlpatterns,
    *checkout_pages.urlpatterns,
    *change_pages.urlpatterns,
    *invoice_pages.urlpatterns,
]
