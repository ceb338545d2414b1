"""Spans for OpenTelemetry, when OTEL_EXPORTER_OTLP_ENDPOINT is set; nothing otherwise.

A span says which door, which method, which status and how long. Never a path with an id, a query, a body or a header.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_tracer: Any = None


def start(endpoint: str, service: str) -> None:
    """Send spans to ``endpoint`` (OTLP over HTTP) from now on, in the background."""
    global _tracer
    if _tracer is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    _tracer = provider.get_tracer("oneai")


def on() -> bool:
    """Whether spans are sent."""
    return _tracer is not None


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Any]:
    """A span around a block, within the one around it; yields it, or None when off."""
    if _tracer is None:
        yield None
        return
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as found:
        yield found
