"""An upstream's failures as refusals of ours: what the user is told, and what may be tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from chat.openrouter.wire import WireError, read_error
from oneai.kit.errors import Refusal

_BY_STATUS: Final = {
    400: "upstream_refused",
    401: "upstream_unconfigured",
    402: "upstream_unpaid",
    403: "content_refused",
    404: "upstream_refused",
    408: "upstream_timeout",
    413: "upstream_refused",
    422: "upstream_refused",
    429: "upstream_overloaded",
    500: "upstream_error",
    502: "upstream_error",
    503: "upstream_overloaded",
    504: "upstream_timeout",
    524: "upstream_timeout",
    529: "upstream_overloaded",
}
_BY_KIND: Final = {
    "context_length_exceeded": "context_length_exceeded",
    "token_limit_exceeded": "context_length_exceeded",
    "content_policy_violation": "content_refused",
    "refusal": "content_refused",
    "rate_limit_exceeded": "upstream_overloaded",
    "provider_overloaded": "upstream_overloaded",
    "timeout": "upstream_timeout",
}


def refusal_of(error: WireError, retry_after: int | None = None) -> Refusal:
    """The refusal for an upstream's error. Its own words stay in the log: they may name keys or prompts."""
    code = _BY_KIND.get(error.kind) or _BY_STATUS.get(error.status)
    if code is None:
        code = "upstream_error" if error.status >= 500 else "upstream_refused"
    details: dict[str, object] = {"upstream_status": error.status}
    if retry_after is not None:
        details["retry_after"] = retry_after
    return Refusal(code, retry_after=retry_after, details=details)


def retry_seconds(headers: Mapping[str, str]) -> int | None:
    """``Retry-After`` in whole seconds, at most an hour; None when it is missing or not a number."""
    try:
        return min(max(1, round(float(headers.get("retry-after", "")))), 3600)
    except (ValueError, OverflowError):
        return None


def refusal_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """The refusal for an answer that is not a stream."""
    error = None
    try:
        value = orjson.loads(body)
        if isinstance(value, dict):
            error = read_error(value.get("error"), status)
    except orjson.JSONDecodeError:
        pass
    if status < 400:
        return refusal_of(error) if error else Refusal("upstream_invalid")
    refusal = refusal_of(WireError(status, "", error.kind if error else ""), retry_seconds(headers))
    if status == 402 and error is not None and "max_tokens" in error.message:
        # The most that this call could cost is more than the key affords; a smaller one may pass.
        refusal.details = (refusal.details or {}) | {"preflight": True}
    return refusal
