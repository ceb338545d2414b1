"""A lean upstream that speaks OpenRouter's wire, for measuring; it does as little as it can per chunk.

The model's name is the scenario: `bench/c200-d10` answers 200 chunks, 10 milliseconds apart. Every chunk
carries a stamp (see `stamps`) with the tag found in the request, so each answer can be told from all others.
"""

import argparse
import asyncio
import gc
import re
import time
from collections.abc import Callable
from typing import cast

import uvloop

from benchmarks.answers import Plan, catalogue, framed, generation
from benchmarks.stamps import stamp

_SLUG = re.compile(rb'"model"\s*:\s*"[^"]*?bench/c(\d{1,6})-d(\d{1,5})')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_TAG = re.compile(rb"bench-(\d{8})")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_NO_TAG = b"00000000"
_MAX_HEAD = 64 * 1024
_MAX_BODY = 16 * 1024 * 1024

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\nX-Generation-Id: %b\r\n\r\n"
)


class Upstream:
    """What all connections share: the catalogue and the plans."""

    def __init__(self, models: list[str]) -> None:
        self.models = catalogue(models)
        self._plans: dict[tuple[int, int], Plan] = {}
        self._started = int(time.time())

    def plan(self, chunks: int, delay_ms: int) -> Plan:
        """The plan of a model, made when it is first asked for."""
        key = (chunks, delay_ms)
        if key not in self._plans:
            self._plans[key] = Plan(chunks, delay_ms, self._started)
        return self._plans[key]


class Connection(asyncio.Protocol):
    """One connection of a client; one request at a time, kept alive."""

    def __init__(self, upstream: Upstream, alter: Callable[[int, bytes], bytes] | None = None) -> None:
        self._upstream = upstream
        # Only the tests of the tools give it: what becomes of chunk number n on the wire.
        self._alter = alter
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._timer: asyncio.Handle | None = None
        self._busy = False
        self._paused = False
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._waiting:
            self._waiting = False
            self._next()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._busy:
            self._take()

    def _take(self) -> None:
        """Answers the next whole request of what was received."""
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._received) > _MAX_HEAD:
                self._answer(b"431 Request Header Fields Too Large", b"{}", close=True)
            return
        head = self._received[: head_end + 2]
        start = head_end + 4
        if _CHUNKED.search(head):
            whole = self._received.find(b"\r\n0\r\n\r\n", start - 2)
            if whole < 0:
                return
            body, rest = _unchunked(self._received[start : whole + 2]), self._received[whole + 7 :]
        else:
            found = _LENGTH.search(head)
            length = int(found.group(1)) if found else 0
            if length > _MAX_BODY:
                self._answer(b"413 Content Too Large", b"{}", close=True)
                return
            if len(self._received) < start + length:
                return
            body, rest = self._received[start : start + length], self._received[start + length :]
        self._received = rest
        method, path, _ = head.split(b" ", 2)
        self._route(method, path, body)

    def _route(self, method: bytes, path: bytes, body: bytes) -> None:
        where, _, query = path.partition(b"?")
        if method == b"POST" and where.endswith(b"/chat/completions"):
            self._complete(body)
        elif where.endswith(b"/models"):
            self._answer(b"200 OK", self._upstream.models)
        elif where.endswith(b"/generation"):
            self._answer(b"200 OK", generation(query))
        elif where.endswith((b"/key", b"/credits")):
            self._answer(b"200 OK", b'{"data":{"label":"bench","limit":null,"usage":0,"is_free_tier":false}}')
        else:
            self._answer(b"404 Not Found", b'{"error":{"code":404,"message":"No such path"}}')

    def _complete(self, body: bytes) -> None:
        asked = _SLUG.search(body)
        if asked is None:
            self._answer(b"404 Not Found", b'{"error":{"code":404,"message":"No such model"}}')
            return
        plan = self._upstream.plan(int(asked.group(1)), int(asked.group(2)))
        tags = _TAG.findall(body)
        self._tag = tags[-1] if tags else _NO_TAG
        number = plan.generation()
        self._busy = True
        if not _STREAM.search(body):
            self._timer = self._loop.call_later(plan.chunks * plan.delay, self._whole, plan, number)
            return
        self._before, self._after = plan.delta(number)
        self._plan = plan
        self._end = plan.end(number)
        self._number = 0
        self._start = self._loop.time()
        if self._transport is not None:
            self._transport.write(_STREAM_HEAD % number + framed(b": OPENROUTER PROCESSING\n\n"))
        self._next()

    def _whole(self, plan: Plan, number: bytes) -> None:
        self._answer(b"200 OK", plan.whole(number, self._tag))

    def _next(self) -> None:
        """Sends the chunk that is due and sets the clock for the one after it."""
        transport, number, plan = self._transport, self._number, self._plan
        if transport is None:
            return
        if number >= plan.chunks:
            transport.write(self._end)
            self._free()
            return
        if self._paused and not plan.delay:
            self._waiting = True
            return
        content = stamp(self._tag, number, time.monotonic_ns())
        if self._alter is not None:
            content = self._alter(number, content)
        data = b"%b%b%b" % (self._before, content, self._after)
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        self._number = number = number + 1
        if plan.delay and number < plan.chunks:
            # From the start, not from now: a late timer must not slow the stream down.
            self._timer = self._loop.call_at(self._start + number * plan.delay, self._next)
        else:
            self._timer = self._loop.call_soon(self._next)

    def _answer(self, status: bytes, body: bytes, *, close: bool = False) -> None:
        if self._transport is None:
            return
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)
        if close:
            self._transport.close()
            return
        self._free()

    def _free(self) -> None:
        self._busy = False
        self._timer = None
        if self._received:
            self._loop.call_soon(self._take)


def _unchunked(data: bytes) -> bytes:
    parts = []
    at = 0
    while at < len(data):
        line = data.index(b"\r\n", at)
        size = int(data[at:line].split(b";")[0], 16)
        parts.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return b"".join(parts)


async def serve(port: int, models: list[str], alter: Callable[[int, bytes], bytes] | None = None) -> asyncio.Server:
    """Listens on loopback; `port` 0 takes a free one."""
    upstream = Upstream(models)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(upstream, alter), "127.0.0.1", port, backlog=4096)


async def _forever(port: int, models: list[str]) -> None:
    server = await serve(port, models)
    gc.freeze()
    gc.disable()
    await server.serve_forever()


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=18400)
    parser.add_argument("--models", default="bench/c200-d10", help="names for GET /models, by comma")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_forever(given.port, given.models.split(",")))


if __name__ == "__main__":
    main()
