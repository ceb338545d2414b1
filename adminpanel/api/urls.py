"""Paths of the API for staff, below /api/admin/."""

from __future__ import annotations

from django.urls import path

from adminpanel.api import people_views, site_views

urlpatterns = [
    path("users", people_views.UserList.as_view(), name="admin_users"),
    path("users/<str:user_id>", people_views.UserDetail.as_view(), name="admin_user"),
    path("quotas", people_views.QuotaList.as_view(), name="admin_quotas"),
    path("quotas/<str:user_id>", people_views.QuotaDetail.as_view(), name="admin_quota"),
    path("subscriptions", site_views.SubscriptionList.as_view(), name="admin_subscriptions"),
    path("subscriptions/<str:subscription_id>", site_views.SubscriptionDetail.as_view(), name="admin_subscription"),
    path("webhooks", site_views.WebhookList.as_view(), name="admin_webhooks"),
    path("webhooks/<str:event_id>/replay", site_views.WebhookReplay.as_view(), name="admin_webhook_replay"),
    path("audit", site_views.AuditList.as_view(), name="admin_audit"),
    path("analytics", site_views.AnalyticsView.as_view(), name="admin_analytics"),
]
