"""Addresses of the chat's pages."""

from __future__ import annotations

from chat.pages import urlpatterns

__all__ = ["urlpatterns"]
