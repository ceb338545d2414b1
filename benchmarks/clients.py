"""The generator's connections: HTTP by httptools, WebSocket by the few bytes of it that are needed."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

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
    websocket: bool = False


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


class Driver(Protocol):
    """What a connection needs of the run it belongs to."""

    target: Target
    load: Load
    loop: asyncio.AbstractEventLoop
    outcome: Outcome

    def next_tag(self) -> int | None:
        """The tag of the next request, or None when the load is spent."""

    def head(self, key: str, length: int) -> bytes:
        """A request's head."""

    def closed(self, client: "Client", key: str) -> None:
        """A connection has ended."""


class Client(asyncio.Protocol):
    """One connection of the load, over HTTP/1.1."""

    def __init__(self, run: Driver, key: str) -> None:
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
        self._send(self._transport, body)

    def _send(self, transport: asyncio.Transport, body: bytes) -> None:
        transport.write(self._run.head(self._key, len(body)) + body)

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


class SocketClient(Client):
    """One connection of the load, over a WebSocket.

    Frames are not taken apart: what the server sends is neither masked nor, as nothing was negotiated, compressed,
    so the scanner finds the stamps between the frames' heads. Pings are not answered; loads are short.
    """

    def __init__(self, run: Driver, key: str) -> None:
        super().__init__(run, key)
        self._answer = b""
        self.ready: asyncio.Future[None] = run.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        target = self._run.target
        host = f"localhost:{target.port}"
        request = (
            f"GET {target.path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: b25lYWktYmVuY2gtMDAwMA==\r\n"
            f"Authorization: Bearer {self._key}\r\n\r\n"
        )
        cast("asyncio.Transport", transport).write(request.encode())

    def _send(self, transport: asyncio.Transport, body: bytes) -> None:
        # A client must mask; a mask of zeros changes nothing.
        size = len(body)
        length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        transport.write(b"\x81" + length + b"\0\0\0\0" + body)

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        scanner = self._scanner
        if not self.ready.done():
            self._answer += data
            head, found, _ = self._answer.partition(b"\r\n\r\n")
            if found:
                self._upgraded(head)
            return
        if scanner is None:
            return
        self.on_body(data)
        if scanner.ended:
            self._done(scanner.complaint())
            self._run.loop.call_soon(self.ask)
        elif not scanner.received and b'"type":"error"' in self._error.replace(b" ", b""):
            self._done("refused")
            self._run.loop.call_soon(self.ask)

    def _upgraded(self, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 101"):
            self.ready.set_result(None)
        else:
            self.ready.set_exception(ConnectionRefusedError(head[:200].decode(errors="replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionRefusedError("closed during the handshake"))
        super().connection_lost(exc)
