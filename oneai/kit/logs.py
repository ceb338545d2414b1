"""JSON logs, one object a line, UTC, with the request id; never a prompt, a key, a cookie or a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog

from oneai.kit import reports
from oneai.kit.request_id import request_ids

_configured = False
_ACCESS: Final = "access"


def _serialise(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _add_request_id(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if request_id := request_ids.get():
        line.setdefault("request_id", request_id)
    return line


SECRET_PATHS: Final = ("/settings/team/join/", "/s/")
"""Addresses that are a secret themselves: who has read the next part of one may join a team or read what was shared."""


def loggable(path: str) -> str:
    """``path`` as a log may have it: without the token that it lets somebody in by."""
    if not path.startswith(SECRET_PATHS):
        return path
    front = next(each for each in SECRET_PATHS if path.startswith(each))
    token, slash, rest = path[len(front) :].partition("/")
    return f"{front}<token>{slash}{rest}" if token else path


def access_line(fields: dict[str, Any]) -> None:
    """One line of the access log, in the form of all others but without their machinery.

    It is written for every request, the hot ones included, so it must cost microseconds.
    """
    line = {"event": "request", **fields, "level": "info", "logger": _ACCESS}
    line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    sys.stderr.write(orjson.dumps(line).decode() + "\n")


def _said_by_the_gate(record: logging.LogRecord) -> bool:
    """Uvicorn takes every refused WebSocket handshake for an error of ours; the gate has its line about it."""
    return record.getMessage() != "ASGI callable returned without completing handshake."


def configure(level: str = "INFO") -> None:
    """Set up structlog and bring the standard library's loggers into the same stream (stdout)."""
    global _configured
    if _configured:
        return
    _configured = True
    shared: list[Any] = [
        _add_request_id,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        reports.from_log,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_serialise),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The gate writes one line a request, with its id; these would write a second without it.
    for name in ("uvicorn.access", "django.request", "django.server", "httpx", "asyncio"):
        logging.getLogger(name).setLevel("ERROR" if name == "asyncio" else "CRITICAL")
    for name in ("fontTools", "fpdf"):  # they tell every letter of a paper
        logging.getLogger(name).setLevel("ERROR")
    logging.getLogger("uvicorn.error").addFilter(_said_by_the_gate)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
