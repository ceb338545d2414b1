"""Bodies on their way in: how large each may be, how long it may take, and how much of them all is in memory.

Sizes are in bytes, times in seconds. What is counted is what has arrived and not been answered yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from oneai.kit.errors import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

KIB: Final = 1024
MIB: Final = 1024 * KIB
BODY_LIMIT: Final = MIB
BODY_LIMITS: Final[tuple[tuple[str, int], ...]] = (
    ("/v1/chat/completions", 8 * MIB),
    ("/api/attachments", 20 * MIB),
    ("/api/conversations/import", 20 * MIB),
)
#: What the server has in its buffer anyway: such a body costs nothing to read.
SMALL: Final = 64 * KIB
FIRST_SECONDS: Final = 10.0
LEAST_RATE: Final = 16 * KIB  # bytes a second that a body must come with, after the first seconds
MOST_IN_FLIGHT: Final = 64 * MIB
MOST_OF_LARGE: Final = 48 * MIB  # the rest is kept for small bodies: a crowd of large ones does not shut the door
MOST_OF_ONE: Final = 24 * MIB


def body_limit(path: str) -> int:
    """The most bytes that a body sent to ``path`` may have."""
    for prefix, limit in BODY_LIMITS:
        if path == prefix or path.startswith(prefix + "/"):
            return limit
    return BODY_LIMIT


class _InFlight:
    """The bytes of bodies that this process holds, in all and by who sent them."""

    def __init__(self) -> None:
        self.total = 0
        self.by_owner: dict[str, int] = {}

    def add(self, owner: str, size: int) -> None:
        self.total += size
        if owner:
            held = self.by_owner.get(owner, 0) + size
            if held:
                self.by_owner[owner] = held
            else:
                self.by_owner.pop(owner, None)


_in_flight = _InFlight()


class Body:
    """One request's body as the application receives it."""

    __slots__ = ("_due", "_held", "_owner", "_receive", "announced", "finished", "limit", "size")

    def __init__(self, receive: Receive, limit: int, announced: int | None, *, open_ended: bool) -> None:
        """``announced`` is its Content-Length; ``open_ended`` says that one may come without."""
        self._receive = receive
        self.limit = limit
        self.announced = announced
        self.finished = not announced and not open_ended
        self.size = 0
        self._held = 0
        self._owner = ""
        self._due: float | None = None

    @property
    def small(self) -> bool:
        """Whether it is known to fit into what the server buffers."""
        return self.finished or (self.announced is not None and self.announced <= SMALL)

    @property
    def oversized(self) -> bool:
        return self.size > self.limit or (self.announced or 0) > self.limit

    def check_announced(self) -> None:
        """Refusal ``payload_too_large`` when its own head says that it is."""
        if self.oversized:
            raise self._too_large()

    def belongs_to(self, owner: str) -> None:
        """Count what comes from now on for ``owner``, somebody whose credential is good."""
        if not self._held:
            self._owner = owner

    async def receive(self) -> Message:
        """The next message. Refusals ``payload_too_large``, ``request_timeout``, ``rate_limited``, ``unavailable``."""
        if self.finished:
            return await self._receive()
        if self._due is None:
            self._due = asyncio.get_running_loop().time() + FIRST_SECONDS
        try:
            async with asyncio.timeout_at(self._due + self.size / LEAST_RATE):
                message = await self._receive()
        except TimeoutError:
            raise Refusal("request_timeout") from None
        if message["type"] != "http.request":
            self.finished = True
            return message
        self._take(len(message.get("body", b"")))
        self.finished = not message.get("more_body")
        return message

    def _take(self, size: int) -> None:
        self.size += size
        if self.size > self.limit:
            raise self._too_large()
        self._held += size
        _in_flight.add(self._owner, size)
        if _in_flight.by_owner.get(self._owner, 0) > MOST_OF_ONE:
            raise Refusal("rate_limited", "Too many large requests of yours arrive at once.", retry_after=2)
        if _in_flight.total > (MOST_IN_FLIGHT if self.size <= SMALL else MOST_OF_LARGE):
            raise Refusal("unavailable", retry_after=2)

    def _too_large(self) -> Refusal:
        return Refusal("payload_too_large", details={"limit_bytes": self.limit})

    def release(self) -> None:
        """It has been read and is not needed any more, or nobody will read it."""
        if self._held:
            _in_flight.add(self._owner, -self._held)
            self._held = 0
