"""Paths of the API about the person who asks, below /api/."""

from __future__ import annotations

from django.urls import path

from accounts.api.views import ProfileView, SessionView

urlpatterns = [
    path("auth/session", SessionView.as_view(), name="api_auth_session"),
    path("user/profile", ProfileView.as_view(), name="api_user_profile"),
]
