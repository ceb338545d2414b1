"""Addresses of the chat's pages."""

from __future__ import annotations

from chat import pages, preference_pages, preset_pages, share_pages

urlpatterns = [
    *pages.urlpatterns,
    *preference_pages.urlpatterns,
    *preset_pages.urlpatterns,
    *share_pages.urlpatterns,
]
