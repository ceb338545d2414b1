"""Synchronous database work off the event loop, on a few threads with warm connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from oneai.kit.errors import Refusal

Result = TypeVar("Result")

ANSWER_SECONDS: Final = 1.8
LOOKS: Final = 9

log = structlog.get_logger("database")

_threads = ThreadPoolExecutor(2, thread_name_prefix="reads")


def _guarded(work: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    try:
        try:
            return work(*args)
        except (OperationalError, InterfaceError):
            if connection.connection is None or connection.is_usable():
                raise
            connection.close()
            return work(*args)
    except (OperationalError, InterfaceError) as error:
        log.warning("database_unavailable", error=type(error).__name__, text=str(error)[:200])
        raise Refusal("unavailable", retry_after=2) from error


async def run(work: Callable[..., Result], *args: Any, seconds: float = ANSWER_SECONDS) -> Result:
    """The result of ``work(*args)`` in a thread that keeps its connection. Refusal ``unavailable`` in an outage."""
    running = asyncio.get_running_loop().run_in_executor(_threads, _guarded, work, args)
    try:
        return await answered(running, seconds)
    finally:
        running.cancel()  # what nobody waits for need not begin


async def answered(work: asyncio.Future[Result], seconds: float = ANSWER_SECONDS) -> Result:
    """The result of ``work``; Refusal ``unavailable`` when the database has not answered in ``seconds``.

    ``work`` goes on after that. A server that hangs keeps its connections open and says nothing. SQLite has
    no server: there whoever waits, waits for a writer.

    The seconds are counted in looks, so that those in which this process had no processor are one look: its loop
    comes to the clock first, and the thread that reads the answer had none either.
    """
    if connection.vendor != "postgresql":
        return await asyncio.shield(work)
    for _ in range(LOOKS):
        await asyncio.wait((work,), timeout=seconds / LOOKS)
        if work.done():
            return work.result()
    log.warning("database_silent", seconds=seconds)
    raise Refusal("unavailable", retry_after=2)


def release_connection() -> None:
    """Give back this thread's connection, for threads that are rarely used."""
    close_old_connections()
    connection.close()
