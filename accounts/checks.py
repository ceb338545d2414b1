"""System checks of what signs and signs in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured


def signing_keys_are_long(**_: Any) -> list[checks.CheckMessage]:
    """JWT_SIGNING_KEYS: HS256 is as strong as its key."""
    from accounts import tokens

    try:
        tokens.signing_keys()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="accounts.E001")]
    return []


def mail_goes_by_smtp(**_: Any) -> list[checks.CheckMessage]:
    """EMAIL_URL, when set, names a mail server."""
    from accounts import outbox

    if not settings.EMAIL_URL:
        return []
    try:
        outbox.mail_server()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="accounts.E002")]
    return []


def register() -> None:
    """Add the checks to Django's."""
    checks.register(signing_keys_are_long, checks.Tags.security)
    checks.register(mail_goes_by_smtp)
