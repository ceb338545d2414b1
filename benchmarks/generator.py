"""The load generator: many concurrent answers read by one lean process, every chunk of them checked.

It speaks HTTP/1.1 by its own protocol class over httptools; the framing inside the body does not matter to
it, because the stamps are found in the text itself.
"""

import asyncio
import gc
import random
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import httptools

from benchmarks.stamps import Scanner, tag_text

_ERROR_BYTES = 400


@dataclass(frozen=True)
class Target:
    """Where the load goes and how a request is made.

    `body` makes the JSON of a request from (model, tag's text, whether it streams); `marker` is what the body
    of a whole streamed answer ends with. `keys` are given to the connections in turn.
    """

    name: str
    port: int
    path: str
    body: Callable[[str, str, bool], bytes]
    marker: bytes
    keys: tuple[str, ...] = ("bench",)
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Load:
    """What is asked: `connections` at once, each with one request after the other.

    The connections begin at random moments of the first `ramp_s` seconds (seeded: each server gets the same).
    No request begins after `requests` have begun or `seconds` have passed; none may take longer than
    `patience_s`.
    """

    model: str
    chunks: int
    connections: int
    requests: int
    streaming: bool = True
    ramp_s: float = 0.0
    seconds: float = 60.0
    patience_s: float = 60.0


@dataclass
class Outcome:
    """What one load brought. Times in nanoseconds."""

    asked: int = 0
    whole: int = 0
    chunks: int = 0
    wall_ns: int = 0
    last_ns: int = 0
    first_ns: "array[int]" = field(default_factory=lambda: array("q"))
    total_ns: "array[int]" = field(default_factory=lambda: array("q"))
    lags_ns: "array[int]" = field(default_factory=lambda: array("q"))
    complaints: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Takes the figures of another round into this one."""
        self.asked += other.asked
        self.whole += other.whole
        self.chunks += other.chunks
        self.wall_ns += other.wall_ns
        self.first_ns += other.first_ns
        self.total_ns += other.total_ns
        self.lags_ns += other.lags_ns
        self.complaints += other.complaints
        self.examples = (self.examples + other.examples)[:3]


class Client(asyncio.Protocol):
    """One connection of the load."""

    def __init__(self, run: "Run", key: str) -> None:
        self._run = run
        self._key = key
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._scanner: Scanner | None = None
        self._began = 0
        self._now = 0
        self._error = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        """Begins the next request, or ends the connection when there is none left."""
        run = self._run
        if self._transport is None or self._transport.is_closing():
            return  # connection_lost has seen to it that another one goes on
        tag = run.next_tag()
        if tag is None:
            self._transport.close()
            return
        load, target = run.load, run.target
        text = tag_text(tag)
        # An answer that is not streamed ends by its length, which the parser checks.
        marker = target.marker if load.streaming else b"}"
        self._scanner = Scanner(text.encode(), load.chunks, marker, run.outcome.lags_ns)
        self._error = b""
        body = target.body(load.model, text, load.streaming)
        self._timer = run.loop.call_later(load.patience_s, self._late)
        self._began = time.monotonic_ns()
        self._transport.write(run.head(self._key, len(body)) + body)

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self._done(f"not HTTP: {problem}")
            self.close()

    def on_body(self, body: bytes) -> None:
        """Called by the parser with the body's bytes, without the chunks' framing."""
        scanner = self._scanner
        if scanner is None:
            return
        scanner.feed(body, self._now)
        if not scanner.received and len(self._error) < _ERROR_BYTES:
            self._error += body[:_ERROR_BYTES]

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        if self._scanner is None:
            return
        status = self._parser.get_status_code()
        self._done(f"status {status}" if status != 200 else self._scanner.complaint())
        if self._parser.should_keep_alive():
            self._run.loop.call_soon(self.ask)
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._done("connection lost")
        self._run.closed(self, self._key)

    def _late(self) -> None:
        self._done("took too long")
        self.close()

    def _done(self, complaint: str | None) -> None:
        scanner, self._scanner = self._scanner, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if scanner is None:
            return
        outcome = self._run.outcome
        outcome.last_ns = time.monotonic_ns()
        outcome.chunks += scanner.received
        if scanner.first_ns:
            outcome.first_ns.append(scanner.first_ns - self._began)
        if complaint is None:
            outcome.whole += 1
            outcome.total_ns.append(outcome.last_ns - self._began)
        else:
            outcome.complaints[complaint] += 1
            if len(outcome.examples) < 3:
                outcome.examples.append(f"{complaint}: {self._error.decode(errors='replace')}".strip(": "))

    def close(self) -> None:
        """Ends the connection; the run opens another one if requests are left."""
        if self._transport is not None:
            self._transport.close()


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
        _, client = await self.loop.create_connection(
            lambda: Client(self, key), self.target.host, self.target.port
        )
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
