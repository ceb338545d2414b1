"""Starts what watches this process: metrics, error reports and traces, each when its setting is there."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from oneai.kit import metrics, reports, traces


def start(part: str) -> None:
    """Begin; ``part`` is what this process is: ``web`` or ``worker``. Nothing is imported for what is not set."""
    if settings.METRICS_TOKEN:
        metrics.start(settings.METRICS_FOLDER)
    if settings.SENTRY_DSN:
        reports.start(settings.SENTRY_DSN, urlsplit(settings.SITE_URL).hostname or "")
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        traces.start(settings.OTEL_EXPORTER_OTLP_ENDPOINT, f"{settings.SITE_NAME.lower()}-{part}")
