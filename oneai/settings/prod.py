"""Production: refuses to start without its secrets, naming every one that is missing."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from oneai import env
from oneai.kit import hosts
from oneai.settings import razorpay
from oneai.settings.allauth import google_provider
from oneai.settings.base import *  # noqa: F403
from oneai.settings.base import (
    EMAIL_URL,
    EXTRA_UPSTREAMS,
    GOOGLE_BASE_URL,
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    OPENROUTER_API_KEYS,
    SECRET_KEY_FALLBACKS,
    SITE_URL,
)

IMITATED: dict[str, str] = {}
SECRET_KEY = env.text("SECRET_KEY")
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS")


def problems() -> list[str]:
    """Everything that keeps a production server from starting, one sentence each."""
    found = []
    if not SECRET_KEY:
        found.append("SECRET_KEY is missing")
    elif len(SECRET_KEY) < 50:
        found.append("SECRET_KEY has fewer than 50 characters")
    if any(len(secret) < 50 for secret in SECRET_KEY_FALLBACKS):
        found.append("SECRET_KEY_FALLBACKS holds a secret of fewer than 50 characters; commas part secrets")
    if not ALLOWED_HOSTS:
        found.append("ALLOWED_HOSTS is missing")
    elif "*" in ALLOWED_HOSTS:
        found.append("ALLOWED_HOSTS must name the hosts, not *")
    parts = urlsplit(SITE_URL)
    if not SITE_URL:
        found.append("SITE_URL is missing")
    elif parts.scheme == "http" and not hosts.is_loopback(parts.hostname or ""):
        found.append("SITE_URL must be https:// unless its host is this machine")
    if SITE_URL and ALLOWED_HOSTS and not hosts.names(ALLOWED_HOSTS, parts.hostname or ""):
        found.append(f"ALLOWED_HOSTS does not name {parts.hostname}, the host of SITE_URL")
    if not OPENROUTER_API_KEYS and not EXTRA_UPSTREAMS:
        found.append("no upstream: set OPENROUTER_API_KEY or EXTRA_UPSTREAMS")
    google = [name for name in ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET") if not env.present(name)]
    if len(google) == 1:
        found.append(f"Google is set in part: {google[0]} is missing")
    try:
        if EMAIL_URL:
            env.email(EMAIL_URL)
    except ImproperlyConfigured as error:
        found.append(str(error))
    found += razorpay.problems(only_this_machine=hosts.is_loopback(parts.hostname or ""))
    return found


if problems():
    raise ImproperlyConfigured("The settings are not complete:\n  - " + "\n  - ".join(problems()))

STAFF_NEEDS_SECOND_STEP = not hosts.is_loopback(urlsplit(SITE_URL).hostname or "")
SOCIALACCOUNT_PROVIDERS = google_provider(GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_BASE_URL)
