"""The id of the request that a task serves."""

from __future__ import annotations

from contextvars import ContextVar

request_ids: ContextVar[str] = ContextVar("request_id", default="")
