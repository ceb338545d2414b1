"""The roots of the URLs. The hot routes stand in oneai.hot_routes, in front of these."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path

from adminpanel import metrics_view
from oneai import dashboard, pages, reference, usage_page

urlpatterns = [
    path("healthz", pages.healthz),
    path("readyz", pages.readyz),
    path("metrics", metrics_view.page),
    path("favicon.ico", pages.favicon),
    path("api/", include("accounts.api.urls")),
    path("api/", include("chat.api.urls")),
    path("api/user/", include("chat.api.user_urls")),
    path("api/", include("quotas.api.urls")),
    path("api/", include("billing.api.urls")),
    path("api/", include("content.api.urls")),
    path("api/admin/", include("adminpanel.api.urls")),
    path("v1/", include("chat.api.v1_urls")),
    path("", include("oneai.api")),
    path("api/reference", reference.page, name="api_reference"),
    path("admin/", admin.site.urls),
    path("dashboard", dashboard.dashboard, name="dashboard"),
    path("usage", usage_page.usage_page, name="usage"),
    path("", include("chat.urls")),
    path("", include("billing.urls")),
    path("", include("content.urls")),
    path("", include("accounts.urls")),
    path("", include("accounts.second_step_views")),
    path("", include("accounts.settings_pages")),
    path("", include("accounts.settings_mails")),
    path("", include("accounts.settings_security")),
    path("", include("accounts.settings_data")),
    path("", include("quotas.key_pages")),
    path("", include("quotas.team_pages")),
    re_path(r"^(?:api|v1)(?:/.*)?$", pages.api_not_found),
]

handler400 = "oneai.pages.bad_request"
handler403 = "oneai.pages.permission_denied"
handler404 = "oneai.pages.page_not_found"
handler500 = "oneai.pages.server_error"
