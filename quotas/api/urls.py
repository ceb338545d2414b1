"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from quotas.api.key_views import KeyDetail, KeyList, KeyPrevious, KeyRotation
from quotas.api.usage_views import RefusedList, UsageRecordList, UsageView
from quotas.api.views import QuotaView

urlpatterns = [
    path("user/quota", QuotaView.as_view(), name="user_quota"),
    path("user/usage", UsageView.as_view(), name="user_usage"),
    path("user/usage/records", UsageRecordList.as_view(), name="user_usage_records"),
    path("user/usage/refused", RefusedList.as_view(), name="user_usage_refused"),
    path("user/api-keys", KeyList.as_view()),
    path("user/api-keys/<str:key_id>", KeyDetail.as_view()),
    path("user/api-keys/<str:key_id>/rotate", KeyRotation.as_view()),
    path("user/api-keys/<str:key_id>/previous", KeyPrevious.as_view()),
]
