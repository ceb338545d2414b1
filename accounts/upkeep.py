"""What the worker clears away: ended sessions, old windows of attempts, stale cache entries, mail and audit."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session

from accounts import audit, outbox, sign_ins
from accounts.models import AttemptWindow, CacheEntry
from oneai.kit.clock import now


def tidy() -> int:
    """Delete what no longer means anything; returns how many rows went. Meant to run every few minutes."""
    at = now()
    return (
        Session.objects.filter(expire_date__lt=at).delete()[0]
        + AttemptWindow.objects.filter(started_at__lt=at - timedelta(days=2)).delete()[0]
        + CacheEntry.objects.filter(expires__lt=at).delete()[0]
        + sign_ins.tidy(at)
        + outbox.tidy()
        + audit.forget()
    )
