"""The load generator: many concurrent answers read by one lean process, every chunk of them checked.

It speaks HTTP/1.1 by its own protocol class over httptools; the framing inside the body does not matter to
it, because the stamps are found in the text itself.
"""

import asyncio
import gc
import random
import time

from benchmarks.clients import Client, Load, Outcome, SocketClient, Target

__all__ = ["Load", "Outcome", "Run", "Target", "run_load"]


class Run:
    """One load on one target."""

    def __init__(self, target: Target, load: Load, first_tag: int) -> None:
        self.target = target
        self.load = load
        self.loop = asyncio.get_running_loop()
        self.outcome = Outcome()
        self._tag = first_tag
        self._until = 0.0
        self._open: set[Client] = set()
        self._heads: dict[tuple[str, int], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()

    def next_tag(self) -> int | None:
        """The tag of the next request, or None when the load is spent."""
        if not self.left():
            return None
        self.outcome.asked += 1
        self._tag += 1
        return self._tag

    def left(self) -> bool:
        """Whether another request may begin."""
        return self.outcome.asked < self.load.requests and self.loop.time() <= self._until

    def head(self, key: str, length: int) -> bytes:
        """The request's head."""
        known = self._heads.get((key, length))
        if known is None:
            accept = "text/event-stream" if self.load.streaming else "application/json"
            known = (
                f"POST {self.target.path} HTTP/1.1\r\nHost: localhost:{self.target.port}\r\n"
                f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nAccept: {accept}\r\n"
                f"User-Agent: oneai-bench\r\nContent-Length: {length}\r\n\r\n"
            ).encode()
            self._heads[key, length] = known
        return known

    async def _connect(self, key: str) -> Client:
        kind = SocketClient if self.target.websocket else Client
        _, client = await self.loop.create_connection(lambda: kind(self, key), self.target.host, self.target.port)
        if isinstance(client, SocketClient):
            await client.ready
        self._open.add(client)
        return client

    def closed(self, client: Client, key: str) -> None:
        """A connection has ended; a server that keeps none gets a new one for the requests that are left."""
        self._open.discard(client)
        if self._until and self.left():
            task = self.loop.create_task(self._again(key))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        elif not self._open and not self._tasks:
            self._finished.set()

    async def _again(self, key: str) -> None:
        try:
            client = await self._connect(key)
        except OSError as problem:
            self.outcome.complaints[f"no connection: {problem}"] += 1
            return
        client.ask()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not self._open and not self._tasks:
            self._finished.set()

    async def go(self) -> Outcome:
        """Opens the connections, then asks; the clock runs from the first request to the last answer."""
        keys = self.target.keys
        clients: list[Client] = []
        for start in range(0, self.load.connections, 100):
            some = range(start, min(start + 100, self.load.connections))
            clients += await asyncio.gather(*(self._connect(keys[n % len(keys)]) for n in some))
        dice = random.Random(20)
        moments = sorted(dice.uniform(0, self.load.ramp_s) for _ in clients)
        collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            begin = self.loop.time()
            self._until = begin + self.load.seconds
            began = time.monotonic_ns()
            for client, moment in zip(clients, moments, strict=True):
                self.loop.call_at(begin + moment, client.ask)
            limit = self.load.seconds + self.load.ramp_s + self.load.patience_s + 5
            async with asyncio.timeout(limit):
                await self._finished.wait()
            self.outcome.wall_ns = max(self.outcome.last_ns - began, 1)
        finally:
            if collecting:
                gc.enable()
            for client in list(self._open):
                client.close()
        return self.outcome


_tags = 0


async def run_load(target: Target, load: Load) -> Outcome:
    """Puts `load` on `target`. Every request of this process has a tag of its own.

    Raises OSError when the target can't be reached at all, TimeoutError when it never comes to an end.
    """
    global _tags
    first = _tags
    _tags += load.requests + 1
    return await Run(target, load, first).go()
