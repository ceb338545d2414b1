"""Mail about keys: that one ends soon, sent once by whichever worker comes first, and that one has leaked."""

from __future__ import annotations

from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from accounts.models import ApiKey
from oneai.kit.clock import now

log = structlog.get_logger("mail")

AT_ONCE: Final = 100


def announce_ends() -> int:
    """Tell the owners of keys whose ``warn_at`` has come; returns how many. Any number of workers may run it.

    Taking ``warn_at`` away and writing the mail is one transaction: one mail for each end, or none yet.
    """
    due = ApiKey.objects.filter(revoked_at=None, warn_at__lte=now(), user__is_active=True)
    told = 0
    for key in due.select_related("user").order_by("warn_at", "id")[:AT_ONCE]:
        with transaction.atomic():
            mine = ApiKey.objects.filter(pk=key.pk, revoked_at=None, warn_at=key.warn_at, expires_at=key.expires_at)
            if not mine.update(warn_at=None):
                continue
            _send(key, f"Your API key {key.name} ends soon", "key_ends")
        told += 1
        log.info("key_end_announced", api_key_id=str(key.pk))
    return told


def tell_of_leak(key: ApiKey, prefix: str, reason: str, *, whole: bool) -> None:
    """Tell the owner that the text with ``prefix`` was found in public, and ended; ``whole``: the key with it."""
    subject = f"Your API key {key.name} was found in public"
    _send(key, subject, "key_leaked", prefix=prefix, reason=reason, whole=whole)


def _send(key: ApiKey, subject: str, template: str, **context: object) -> None:
    context |= {"key": key, "site_name": settings.SITE_NAME, "site_url": settings.SITE_URL}
    body = render_to_string(f"accounts/email/{template}_message.txt", context)
    EmailMessage(subject, body, to=[key.user.email]).send()
