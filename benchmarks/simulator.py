"""A lean upstream that speaks OpenRouter's wire, for measuring; it does as little as it can per chunk.

The model's name is the scenario: `bench/c200-d10` answers 200 chunks, 10 milliseconds apart. Every chunk
carries a stamp (see `stamps`) with the tag found in the request, so each answer can be told from all others.
"""

import argparse
import asyncio
import gc
import json
import re
import time
from collections.abc import Callable
from typing import cast

import uvloop

from benchmarks.stamps import stamp

_SLUG = re.compile(rb'"model"\s*:\s*"[^"]*?bench/c(\d{1,6})-d(\d{1,5})')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_TAG = re.compile(rb"bench-(\d{8})")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_NO_TAG = b"00000000"
_MAX_HEAD = 64 * 1024
_MAX_BODY = 16 * 1024 * 1024
_PRICE_PROMPT = 0.00000015
_PRICE_COMPLETION = 0.0000006
PROMPT_TOKENS = 9

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\nX-Generation-Id: %b\r\n\r\n"
)


def slug(chunks: int, delay_ms: int) -> str:
    """The model that answers `chunks` chunks, `delay_ms` milliseconds apart."""
    return f"bench/c{chunks}-d{delay_ms}"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _usage(chunks: int) -> dict[str, object]:
    cost = PROMPT_TOKENS * _PRICE_PROMPT + chunks * _PRICE_COMPLETION
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": chunks,
        "total_tokens": PROMPT_TOKENS + chunks,
        "cost": round(cost, 10),
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
    }


def catalogue(models: list[str]) -> bytes:
    """The answer of GET /models: every model priced."""
    rows = [
        {
            "id": name,
            "canonical_slug": name,
            "name": f"Bench: {name}",
            "created": 1_700_000_000,
            "description": "Answers stamped text for measuring.",
            "context_length": 128_000,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": {
                "prompt": "0.00000015",
                "completion": "0.0000006",
                "request": "0",
                "image": "0",
                "web_search": "0",
                "internal_reasoning": "0",
            },
            "top_provider": {
                "context_length": 128_000,
                "max_completion_tokens": 16_384,
                "is_moderated": False,
            },
            "per_request_limits": None,
            "supported_parameters": ["max_tokens", "temperature", "stop", "tools"],
            "default_parameters": {},
        }
        for name in models
    ]
    return json.dumps({"data": rows, "total_count": len(rows), "links": {"next": None}}).encode()


class Plan:
    """The answers of one model, made once with a placeholder where the generation's id goes."""

    def __init__(self, chunks: int, delay_ms: int, started: int) -> None:
        self.chunks = chunks
        self.delay = delay_ms / 1000
        self._model = slug(chunks, delay_ms)
        self._started = started
        self._count = 0
        # As long as every id, so that the lengths on the wire are right when the id takes its place.
        self._blank = b"*" * len(self.generation())
        before, after = self._chunk([self._choice("|", None)]).split(b"|")
        self._before, self._after = before, b" " + after
        finish = self._chunk([self._choice("", "stop")])
        usage = self._chunk([], usage=_usage(chunks))
        self._end = _framed(finish) + _framed(usage) + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self._whole = json.dumps(self._completion("|"), separators=(",", ":")).encode().split(b"|")

    def generation(self) -> bytes:
        """A new id; it says how many chunks were asked for, so that GET /generation needs no memory."""
        self._count += 1
        return b"gen-%d-%08dc%d" % (self._started, self._count, self.chunks)

    def _choice(self, content: str, finish: str | None) -> dict[str, object]:
        return {
            "index": 0,
            "delta": {"role": "assistant", "content": content},
            "finish_reason": finish,
            "native_finish_reason": finish,
            "logprobs": None,
        }

    def _chunk(self, choices: list[dict[str, object]], **more: object) -> bytes:
        event = {
            "id": self._blank.decode(),
            "provider": "Bench",
            "model": self._model,
            "object": "chat.completion.chunk",
            "created": self._started,
            "choices": choices,
            **more,
        }
        return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"

    def _completion(self, text: str) -> dict[str, object]:
        message = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "native_finish_reason": "stop",
            "logprobs": None,
            "message": message,
        }
        return {
            "id": self._blank.decode(),
            "object": "chat.completion",
            "created": self._started,
            "model": self._model,
            "provider": "Bench",
            "system_fingerprint": None,
            "choices": [choice],
            "usage": _usage(self.chunks),
        }

    def delta(self, generation: bytes) -> tuple[bytes, bytes]:
        """What stands before and after the stamp in a chunk."""
        return self._before.replace(self._blank, generation), self._after

    def end(self, generation: bytes) -> bytes:
        """The finish chunk, the usage chunk and the end, framed for the wire."""
        return self._end.replace(self._blank, generation)

    def whole(self, generation: bytes, tag: bytes) -> bytes:
        """The answer that is not streamed."""
        text = b" ".join(stamp(tag, n, time.monotonic_ns()) for n in range(self.chunks))
        before, after = self._whole
        return b"%b%b%b" % (before.replace(self._blank, generation), text, after)


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
            self._answer(b"200 OK", _generation(query))
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
        generation = plan.generation()
        self._busy = True
        if not _STREAM.search(body):
            self._timer = self._loop.call_later(plan.chunks * plan.delay, self._whole, plan, generation)
            return
        self._before, self._after = plan.delta(generation)
        self._plan = plan
        self._end = plan.end(generation)
        self._number = 0
        self._start = self._loop.time()
        if self._transport is not None:
            self._transport.write(_STREAM_HEAD % generation + _framed(b": OPENROUTER PROCESSING\n\n"))
        self._next()

    def _whole(self, plan: Plan, generation: bytes) -> None:
        self._answer(b"200 OK", plan.whole(generation, self._tag))

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


def _generation(query: bytes) -> bytes:
    found = re.search(rb"id=([^&]+)", query)
    name = found.group(1).decode() if found else ""
    chunks = int(name.rpartition("c")[2]) if re.fullmatch(r"gen-\d+-\d+c\d+", name) else 0
    return json.dumps(
        {
            "data": {
                "id": name,
                "tokens_prompt": PROMPT_TOKENS,
                "tokens_completion": chunks,
                "native_tokens_prompt": PROMPT_TOKENS,
                "native_tokens_completion": chunks,
                "native_tokens_reasoning": 0,
                "native_tokens_cached": 0,
                "total_cost": _usage(chunks)["cost"],
                "usage": _usage(chunks)["cost"],
                "finish_reason": "stop",
                "cancelled": False,
                "streamed": True,
                "provider_name": "Bench",
            }
        }
    ).encode()


async def serve(
    port: int, models: list[str], alter: Callable[[int, bytes], bytes] | None = None
) -> asyncio.Server:
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
