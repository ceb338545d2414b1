"""Who hears of TERM and INT first: the engine, then the server that runs it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from oneai.kit.connections import connections

Leave = Callable[[], Coroutine[Any, Any, None]]


def on_signals(begin: Callable[[], None], leave: Leave | None) -> None:
    """Have the running loop call ``begin`` on TERM or INT, beside what the server does then.

    A server without a lifespan ends at once, with everything that runs. So ``leave`` is given: it is
    awaited before the server hears of the signal. A second signal goes through at once.
    """
    loop = asyncio.get_running_loop()
    heard: list[int] = []
    tasks: set[asyncio.Task[None]] = set()

    async def leave_first(pass_on: Callable[[], None]) -> None:
        assert leave is not None
        connections.stopping = True
        try:
            await leave()
        finally:
            pass_on()

    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if not callable(before):
            continue

        def told(received: int, frame: Any, before: Any = before) -> None:
            heard.append(received)
            loop.call_soon_threadsafe(begin)
            if leave is None or len(heard) > 1:
                before(received, frame)
            else:
                work = leave_first(lambda: before(received, None))
                loop.call_soon_threadsafe(lambda: tasks.add(loop.create_task(work)))

        try:
            signal.signal(number, told)
        except ValueError:  # not the main thread: the lifespan's end will tell
            return
