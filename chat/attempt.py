"""One try at an answer: what an upstream says, read into the turn as it comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
import structlog

from chat import tool_calls
from chat.attachment_store import with_pictures
from chat.openrouter import client
from chat.openrouter.client import Call, Endpoint, Site
from chat.openrouter.errors import refusal_of
from chat.openrouter.wire import Chunk, TextMender, Usage, WireError, identity, read_chunk
from chat.replay import Answer, TurnStream
from oneai.kit.errors import Refusal
from oneai.kit.http import Answer as HTTPAnswer
from oneai.kit.http import Streams
from oneai.kit.sse import Decoder

log = structlog.get_logger("runner")

IDLE_SECONDS: Final = 60.0
COMMENTS_SECONDS: Final = 600.0
HARD_SECONDS: Final = 1800.0
LONGEST_TEXT: Final = 4 * 1024 * 1024


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True, eq=False)
class Attempt:
    """A call to one model with one key, and what has come of it. Times are the loop's, in seconds."""

    turn: TurnStream
    answer: Answer
    endpoint: Endpoint
    site: Site
    call: Call
    dispatched: bool = False
    http: HTTPAnswer | None = None
    decoder: Decoder = field(default_factory=Decoder)
    upstream_id: str = ""
    provider: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    delivered_bytes: int = 0
    started_at: float = field(default_factory=_now)
    last_byte: float = field(init=False)
    last_data: float = field(init=False)

    def __post_init__(self) -> None:
        self.last_byte = self.last_data = self.started_at

    @property
    def kind(self) -> str:
        """The upstream's kind, as ``Upstream.kind``."""
        return "openrouter" if self.endpoint.openrouter else "openai"

    def close(self) -> None:
        """Drop the connection: what is still coming is not wanted."""
        if self.http is not None:
            self.http.close()
            self.http = None

    def overdue(self, at: float) -> bool:
        """Whether the upstream has been silent, or has said nothing but comments, for too long."""
        return (
            at - self.last_byte > IDLE_SECONDS
            or at - self.last_data > COMMENTS_SECONDS
            or at - self.started_at > HARD_SECONDS
        )

    async def read(self, streams: Streams) -> str:
        """Call, and read the answer to its end; the finish reason.

        Whatever keeps it from its end is raised: a Refusal, HTTPFailure, Garbage or LineTooLong.
        """
        call = replace(self.call, messages=await with_pictures(self.call.messages))
        self.dispatched = True
        self.http = http = await client.open_stream(streams, self.endpoint, self.site, call)
        del call  # pictures are megabytes, and an answer may take an hour
        self.upstream_id = identity(http.headers.get("x-generation-id", ""))
        loop = asyncio.get_running_loop()
        decoder, mender = self.decoder, TextMender()
        error: WireError | None = None
        done = understood = False
        async for data in http.chunks():
            self.last_byte = loop.time()
            texts: list[str] = []
            woken = False
            try:
                for event in decoder.feed(data):
                    if event == b"[DONE]":
                        done = True
                        break
                    chunk = read_chunk(event)
                    understood = True
                    self._note(chunk)
                    if chunk.text:
                        texts.append(mender.feed(chunk.text))
                    if chunk.reasoning:
                        woken = self._reason(chunk.reasoning) or woken
                    if chunk.tool_calls:
                        self._call(chunk.tool_calls)
                        woken = True
                    if chunk.error is not None:
                        error = chunk.error
                        break
            finally:
                # What is whole before garbage counts, however the network has cut it.
                if texts:
                    self._say("".join(texts) if len(texts) > 1 else texts[0])
                    woken = True
            if woken:
                self.last_data = self.last_byte
                self.turn.wake()
            if done or error is not None:
                break
        if tail := mender.close():
            self._say(tail)
        if error is not None:
            log.warning("upstream_error", status=error.status, kind=error.kind, upstream_id=self.upstream_id)
            raise Refusal("upstream_interrupted") if self.answer.begun else refusal_of(error)
        if not self.finish_reason and not done:
            raise Refusal("upstream_interrupted" if understood else "upstream_invalid")
        return self.finish_reason or "stop"

    def _note(self, chunk: Chunk) -> None:
        if chunk.id and not self.upstream_id:
            self.upstream_id = chunk.id
        if chunk.provider:
            self.provider = chunk.provider
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.finish_reason and chunk.finish_reason != "error":
            self.finish_reason = chunk.finish_reason[:20]

    def _say(self, text: str) -> None:
        if not text:
            return
        answer = self.answer
        answer.parts.append(text)
        answer.length += len(text)
        answer.begun = True
        self.delivered_bytes += len(text) if text.isascii() else len(text.encode())
        if answer.length > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")

    def _call(self, fragments: list[dict[str, Any]]) -> None:
        fragments = tool_calls.clean(fragments)
        self.answer.tool_calls += fragments
        self.answer.begun = True
        self.delivered_bytes += len(orjson.dumps(fragments))
        if self.delivered_bytes > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")

    def _reason(self, text: str) -> bool:
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        self.answer.reasoning.append(text)
        self.answer.reasoning_length += len(text)
        self.answer.begun = True
        self.delivered_bytes += len(text.encode())
        if self.answer.reasoning_length > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")
        return bool(text)
