"""What every page's template may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def page_context(request: HttpRequest) -> dict[str, Any]:
    """``csp_nonce``, ``site_name``, ``site_url``, ``google_enabled``, ``imitated`` (what the sandbox stands for)."""
    return {
        "csp_nonce": getattr(request, "scope", {}).get("csp_nonce", ""),
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "google_enabled": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "imitated": {
            "google": "google" in settings.IMITATED,
            "mail": settings.IMITATED.get("mail"),
            "upstream": "upstream" in settings.IMITATED,
        },
    }
