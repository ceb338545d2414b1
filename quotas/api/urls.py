"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from quotas.api.views import QuotaView

urlpatterns = [path("user/quota", QuotaView.as_view(), name="user_quota")]
