"""The request that a task serves: its id, and what its line of the access log is to say besides."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

request_ids: ContextVar[str] = ContextVar("request_id", default="")
# One object for all tasks and threads that serve the request: each of them may add to it.
noted: ContextVar[dict[str, Any] | None] = ContextVar("noted", default=None)


def note(name: str, value: str) -> None:
    """Have the request's line in the access log say so; nothing outside of a request."""
    if (line := noted.get()) is not None:
        line[name] = value
