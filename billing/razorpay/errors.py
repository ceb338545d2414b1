"""What a call to Razorpay can come to instead of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from oneai.kit.http import HTTPFailure, Reply

UNKNOWN_ID: Final = "id provided does not exist"
UNKNOWN_URL: Final = "requested url was not found"
LONGEST: Final = 300  # characters kept of what a server says


@dataclass(slots=True)
class RazorpayError(Exception):
    """``status`` is None when no answer came; ``maybe_done``: the call may have had its effect all the same."""

    description: str
    status: int | None = None
    code: str = ""
    field: str = ""
    reason: str = ""
    maybe_done: bool = False

    def __str__(self) -> str:
        named = f" ({self.field})" if self.field else ""
        return f"{self.status or 'no answer'}: {self.description}{named}"


class BadRequest(RazorpayError):
    """Refused as it is: sending it again changes nothing. ``field`` names what was at fault, when said."""


class NotFound(BadRequest):
    """No object with this id, for this key: one of the other mode does not exist either."""


class NotOffered(BadRequest):
    """The address is unknown: the product, such as Subscriptions, is not switched on for the account."""


class Unauthorised(RazorpayError):
    """The key is not accepted."""


class Conflict(RazorpayError):
    """A refund under a key that was used with another body, or that is still being made."""


class Unavailable(RazorpayError):
    """No usable answer: a failure of theirs, or none at all. What only reads may be sent again."""


@dataclass(slots=True)
class TooMany(RazorpayError):
    """Too many calls; nothing was done. ``retry_after`` is in seconds, None when it was not said."""

    retry_after: int | None = None


class Unreadable(Unavailable):
    """An answer with a good status whose content makes no sense; it names the field."""


def no_answer(failure: HTTPFailure, *, changes: bool) -> Unavailable:
    """The error of a call that got no whole answer; ``changes`` says that it was one that makes something."""
    return Unavailable(str(failure), failure.status, maybe_done=changes and failure.sent)


def _text(error: dict[str, Any], name: str) -> str:
    value = error.get(name)
    return value[:LONGEST] if isinstance(value, str) and value != "NA" else ""


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = whole.get("error") if isinstance(whole, dict) else None
    return error if isinstance(error, dict) else {}


def _seconds(header: str | None) -> int | None:
    header = (header or "").strip()
    return int(header) if header.isascii() and header.isdigit() and len(header) < 7 else None


def _kind(status: int, error: dict[str, Any]) -> type[RazorpayError]:
    by_status = {401: Unauthorised, 409: Conflict, 429: TooMany}
    if status in by_status:
        return by_status[status]
    # A redirect, a page of some proxy, a failure of theirs: nobody who knows has said no.
    if not error or not 400 <= status < 500 or status == 408:
        return Unavailable
    if error.get("code") in {"GATEWAY_ERROR", "SERVER_ERROR"}:
        return Unavailable
    description = _text(error, "description").lower()
    if UNKNOWN_ID in description:
        return NotFound
    return NotOffered if UNKNOWN_URL in description else BadRequest


def refused(reply: Reply, *, changes: bool) -> RazorpayError:
    """The error that an answer without a good status stands for; ``changes`` as in ``no_answer``."""
    error = _error_of(reply.body)
    kind = _kind(reply.status, error)
    found = kind(
        _text(error, "description") or f"an answer with status {reply.status} and no description",
        reply.status,
        code=_text(error, "code"),
        field=_text(error, "field"),
        reason=_text(error, "reason"),
        maybe_done=changes and kind is Unavailable,
    )
    if isinstance(found, TooMany):
        found.retry_after = _seconds(reply.headers.get("retry-after"))
    return found
