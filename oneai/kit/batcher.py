"""Group commit: what waits goes into one transaction on a warm connection; each is answered after it.

No timer and no added delay: while one batch runs, the next gathers. A batch that fails as a whole is
run again one job at a time, so a bad job fails alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any, Final

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from oneai.kit.database import release_connection
from oneai.kit.errors import Refusal

log = structlog.get_logger("batcher")

MAX_BATCH: Final = 128
MAX_WAITING: Final = 5000
ANOTHER_AFTER_SECONDS: Final = 0.02

Job = Any
Apply = Callable[[Sequence[Job]], Sequence[Any]]


class Batcher:
    """Runs jobs through ``apply``, a synchronous function that opens its own transaction.

    ``apply`` takes the jobs in order of arrival and returns one result each; a result that is an
    exception is raised to that job's waiter alone. ``threads`` batches may run at once (one on
    SQLite, which has one writer): another begins only when the last has been at it for a while,
    as when it waits for a lock, since one large batch costs less than two small ones.
    """

    def __init__(self, apply: Apply, *, threads: int = 1, name: str = "batch") -> None:
        self._apply = apply
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._running = 0
        self._due: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.batches = 0
        self.jobs = 0

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Queue ``job``; the future has its result once the transaction is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if len(self._waiting) >= MAX_WAITING:
            future.set_exception(Refusal("unavailable", retry_after=2))
            return future
        self._loop = loop
        self._waiting.append((job, future))
        if self._running < self._threads and self._due is None:
            if self._running:
                self._due = loop.call_later(ANOTHER_AFTER_SECONDS, self._start)
            else:
                # Whatever else is ready in this turn of the loop comes along in the same batch.
                self._due = loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        if self._due is not None:
            self._due.cancel()  # a later job must not wait for what was to begin this one
            self._due = None
        batch: list[tuple[Job, asyncio.Future[Any]]] = []
        while self._waiting and len(batch) < MAX_BATCH:
            batch.append(self._waiting.popleft())
        self._running += 1
        self.batches += 1
        self.jobs += len(batch)
        self._executor.submit(self._run, batch)

    def _run(self, batch: list[tuple[Job, asyncio.Future[Any]]]) -> None:
        results = self._apply_safely([job for job, _ in batch])
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._finish, batch, results)

    def _finish(self, batch: list[tuple[Job, asyncio.Future[Any]]], results: Sequence[Any]) -> None:
        self._running -= 1
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._waiting and self._running < self._threads:
            self._start()

    def _apply_safely(self, jobs: list[Job]) -> Sequence[Any]:
        try:
            return self._apply_connected(jobs)
        except Exception as error:
            if len(jobs) == 1 or _is_outage(error):
                # Where nobody answers, each job alone would wait for nothing in its turn.
                waiter = _for_waiter(error)
                return [waiter if number == 0 else copy(waiter) for number in range(len(jobs))]
            log.warning("batch_failed", jobs=len(jobs), kind=type(error).__name__)
        results: list[Any] = []
        for job in jobs:
            try:
                results += self._apply_connected([job])
            except Exception as error:
                results.append(_for_waiter(error))
        return results

    def _apply_connected(self, jobs: list[Job]) -> Sequence[Any]:
        """Apply, and once more when the database broke it off: nothing of it was committed.

        That is a connection found dead, a deadlock that this transaction lost, or a lock that it
        asked for too late.
        """
        try:
            return self._apply(jobs)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or connection.connection is None:
                raise
            if not connection.is_usable():
                connection.close()
        return self._apply(jobs)

    async def close(self) -> None:
        """Wait for what was submitted, then stop the threads and their connections."""
        while self._waiting or self._running:  # noqa: ASYNC110 (once, at the end of a process)
            await asyncio.sleep(0.01)
        for _ in range(self._threads):
            self._executor.submit(release_connection)
        self._executor.shutdown(wait=True)


def _is_outage(error: Exception) -> bool:
    """Whether the database can't be reached at all; a connection found dead is given up."""
    if not isinstance(error, OperationalError | InterfaceError) or connection.in_atomic_block:
        return False
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    return connection.connection is None


def _for_waiter(error: Exception) -> Exception:
    """What the waiter is told: an outage as a refusal, anything else as it is."""
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database_unavailable", error=type(error).__name__, text=str(error)[:200])
        return Refusal("unavailable", retry_after=2)
    if isinstance(error, DatabaseError):
        log.error("database_error", error=type(error).__name__, exc_info=error)
    return error
