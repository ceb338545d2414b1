"""Addresses of the price list."""

from __future__ import annotations

from django.urls import path

from billing import invoice_pages, views

urlpatterns = [path("pricing", views.pricing, name="pricing"), *invoice_pages.urlpatterns]
