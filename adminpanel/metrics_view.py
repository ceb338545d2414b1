"""``GET /metrics``: what all processes of this host have counted, and what the database says of the site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from adminpanel import site_figures
from oneai.kit import metrics
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id

log = structlog.get_logger("metrics")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The figures for Prometheus. 404 unless METRICS_TOKEN is set, 401 without it as bearer."""
    if not settings.METRICS_TOKEN:
        return _refused(Refusal("not_found"))
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.encode(), settings.METRICS_TOKEN.encode()):
        return _refused(Refusal("invalid_token", "Send METRICS_TOKEN: Authorization: Bearer …"))
    body, kind = metrics.text(_families())
    return HttpResponse(body, content_type=kind)


def _refused(refusal: Refusal) -> HttpResponse:
    response = JsonResponse(refusal.body(current_request_id()), status=refusal.status)
    for name, value in refusal.answer_headers().items():
        response[name] = value
    return response


def _families() -> Iterator[Any]:
    """The site's own figures; without a database there are none, and ``oneai_site_up`` says so."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    try:
        found = site_figures.figures()
    except DatabaseError:
        log.warning("site_figures_not_read")
        found = []
    yield GaugeMetricFamily("oneai_site_up", "Whether the database answers.", value=float(bool(found)))
    for figure in found:
        kind = CounterMetricFamily if figure.total else GaugeMetricFamily
        family = kind(f"oneai_site_{figure.name}", figure.says, labels=figure.labels)
        for labels, value in figure.values.items():
            family.add_metric(list(labels), value)
        yield family
