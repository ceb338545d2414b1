"""Exceptions that nobody expected: counted, and told to Sentry when SENTRY_DSN is set.

What is sent names the exception's class, where it was raised, and the request's id. Never its message, a variable, a
body, a header or an address: a message can quote a prompt or a secret.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

from oneai.kit import metrics
from oneai.kit.request_id import request_ids

_sentry: Any = None
_KEPT = frozenset(
    {"event_id", "timestamp", "platform", "level", "exception", "tags", "environment", "sdk", "type", "server_name"}
)


def start(dsn: str, environment: str) -> None:
    """Tell Sentry from now on."""
    global _sentry
    if _sentry is not None:
        return
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=_without_words,
    )
    _sentry = sentry_sdk


def _without_words(event: Any, hint: Any) -> Any:
    """The event without everything that is not named as harmless."""
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = ""
        exception.pop("mechanism", None)
        for frame in (exception.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    return {name: value for name, value in event.items() if name in _KEPT}


def unexpected(where: str, error: BaseException | None = None) -> None:
    """Count ``error``, or the one that is being handled, and tell of it."""
    metrics.count("errors", where)
    if _sentry is None:
        return
    error = error or sys.exc_info()[1]
    if error is None:
        return
    with _sentry.new_scope() as scope:
        scope.set_tag("where", where)
        if request_id := request_ids.get():
            scope.set_tag("request_id", request_id)
        _sentry.capture_exception(error)


def from_log(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of the log: a line that carries an exception is told of."""
    found = line.get("exc_info")
    if found:
        error = found if isinstance(found, BaseException) else found[1] if isinstance(found, tuple) else None
        unexpected(str(line.get("logger", "log")), error)
    return line
