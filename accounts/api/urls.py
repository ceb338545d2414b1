"""Paths of the API about the person who asks, below /api/."""

from __future__ import annotations

from django.urls import path

from accounts.api.auth_views import CallbackView, LogoutView, RefreshView, VerifyView
from accounts.api.closing_views import ClosingView, ExportFile, ExportList
from accounts.api.device_views import AuditList, SignInDetail, SignInList
from accounts.api.views import ProfileView, SessionView

urlpatterns = [
    path("auth/callback", CallbackView.as_view(), name="api_auth_callback"),
    path("auth/refresh", RefreshView.as_view(), name="api_auth_refresh"),
    path("auth/verify", VerifyView.as_view(), name="api_auth_verify"),
    path("auth/logout", LogoutView.as_view(), name="api_auth_logout"),
    path("auth/session", SessionView.as_view(), name="api_auth_session"),
    path("user/sessions", SignInList.as_view(), name="api_user_sessions"),
    path("user/sessions/<str:sign_in_id>", SignInDetail.as_view(), name="api_user_session"),
    path("user/export", ExportList.as_view(), name="api_user_export"),
    path("user/export/<str:export_id>", ExportFile.as_view(), name="api_user_export_file"),
    path("user/delete", ClosingView.as_view(), name="api_user_delete"),
    path("user/audit", AuditList.as_view(), name="api_user_audit"),
    path("user/profile", ProfileView.as_view(), name="api_user_profile"),
]
