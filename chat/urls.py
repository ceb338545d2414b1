"""Addresses of the chat's pages."""

from __future__ import annotations

from chat import pages, preference_pages

urlpatterns = [*pages.urlpatterns, *preference_pages.urlpatterns]
