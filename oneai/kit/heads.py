"""The head of a request: what the gate reads of it, and what nothing behind the gate should have to think about."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from oneai.kit.errors import Refusal

HEADER_LIMIT: Final = 32 * 1024  # bytes of all names and values
MOST_HEADERS: Final = 100
COOKIE_LIMIT: Final = 8 * 1024  # a parser of cookies may take quadratic time

#: Sent twice, one reader would take the first, one the last and one both: who asks and what for must not depend on it.
ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"last-event-id",
        b"origin",
    }
)
_READ: Final = ONCE | {b"cookie", b"transfer-encoding", b"x-forwarded-proto"}


class Head:
    """The headers that the gate needs, and the refusal that the head as a whole has earned, if any."""

    __slots__ = ("_values", "problem")

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        """Read the headers of ``scope``; several Cookie headers in it become the one that they are parts of."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        values: dict[bytes, bytes] = {}
        size = 0
        twice = b""
        crumbs = False
        for name, value in headers:
            size += len(name) + len(value)
            if name in _READ:
                if name not in values:
                    values[name] = value
                elif name in ONCE:
                    twice = name
                elif name == b"cookie":
                    crumbs = True  # as HTTP/2 sends them (RFC 9113, 8.2.3)
                    values[name] += b"; " + value
                else:
                    values[name] = value
        if crumbs:
            scope["headers"] = [(name, value) for name, value in headers if name != b"cookie"]
            scope["headers"].append((b"cookie", values[b"cookie"]))
        self._values = values
        self.problem: Refusal | None = None
        length = values.get(b"content-length", b"")
        if size > HEADER_LIMIT or len(headers) > MOST_HEADERS or len(values.get(b"cookie", b"")) > COOKIE_LIMIT:
            self.problem = Refusal("headers_too_large")
        elif twice:
            self.problem = Refusal("invalid_request", f"The header {twice.decode()} was sent more than once.")
        elif length and not (length.isdigit() and length.isascii()):
            self.problem = Refusal("invalid_request", "Content-Length is not a number.")

    def get(self, name: bytes) -> bytes:
        """The value of a header that the gate reads, empty when it was not sent."""
        return self._values.get(name, b"")

    @property
    def length(self) -> int | None:
        """The announced bytes of the body; None when the head does not say."""
        length = self.get(b"content-length")
        return int(length[:18]) if length and self.problem is None else None
