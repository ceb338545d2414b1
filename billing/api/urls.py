"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from billing.api.views import PlansView

urlpatterns = [path("subscription/plans", PlansView.as_view(), name="subscription_plans")]
