"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from content.api.views import DocsFeedbackView, DocsSearchView

urlpatterns = [
    path("docs/search", DocsSearchView.as_view(), name="docs_search_api"),
    path("docs/feedback", DocsFeedbackView.as_view(), name="docs_feedback_api"),
]
