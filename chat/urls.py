"""Addresses of the chat's pages."""

from __future__ import annotations

from chat import pages, preference_pages, share_pages

urlpatterns = [*pages.urlpatterns, *preference_pages.urlpatterns, *share_pages.urlpatterns]
