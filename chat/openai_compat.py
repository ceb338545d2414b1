"""``POST /v1/chat/completions``: OpenAI's shapes over the same turn, hold and ledger.

Chunks are written anew, never relayed: clients concatenate what providers repeat. The status waits
for the first token, so a failure before it is an ordinary HTTP error that SDKs know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from chat import catalog, door, engine, events, openai_read, tool_calls
from chat.catalog import CatalogModel
from chat.events import Event
from chat.openai_read import CompletionRequest
from chat.replay import Answer, TurnStream, Waker, follow
from chat.sse import STREAM_HEADERS
from chat.turn_jobs import Start
from oneai.kit import sse
from oneai.kit.errors import CODES, Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.hot import Headers, Request, send_json

FIRST_TOKEN_SECONDS: Final = 10.0
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


async def chat_completions(request: Request) -> None:
    """Answer a completion request, streaming or whole."""
    running = engine.current()

    async def read() -> tuple[CompletionRequest, str | None, CatalogModel]:
        asked = openai_read.read(request.json())
        model = door.priced(catalog.usable(asked.model))
        if openai_read.images(asked.messages) and "image" not in model.input_modalities:
            raise Refusal("invalid_value", "The model does not read images.", param="messages")
        return asked, door.idempotency_key(request), model

    if not request.headers.get("authorization"):
        raise Refusal("not_authenticated")
    asked, key, model = await door.known_first(request, read(), "chat")
    stream, started = await running.start_turn(
        Start(
            claim=await door.claim(request),
            door="v1",
            worker=running.worker,
            models=[model],
            messages=asked.messages,
            max_tokens=asked.max_tokens,
            params=asked.params,
            idempotency_key=key,
            body_digest=door.body_digest(request) if key else "",
        )
    )
    if stream.erased:
        raise Refusal("conflict", "The answer to this Idempotency-Key was kept for 10 minutes and is erased.")
    headers = door.rate_headers(started.admitted if started else None)
    answer = _stream(request, stream, asked, headers) if asked.stream else _whole(request, stream, headers)
    try:
        ended = await door.while_connected(request, answer)
    except Refusal as refusal:
        if key is not None:  # asked again with this key, it would be told the same
            refusal.headers = {**refusal.headers, "x-should-retry": "false"}
        raise
    if not ended and key is None:
        running.abandon(stream)


async def _first_token(stream: TurnStream, seconds: float | None) -> None:
    """Wait until the answer has begun or ended. Refusal when it failed before its first token."""
    answer = stream.answers[0]
    waker = Waker()
    stream.wakers.add(waker)
    try:
        async with asyncio.timeout(seconds):
            while not answer.begun and stream.completed is None:
                await waker.sleep()
    except TimeoutError:
        return
    finally:
        stream.wakers.discard(waker)
    if answer.closing is not None and answer.closing.name == events.MESSAGE_FAILED and not answer.begun:
        raise _refusal(answer.closing)


def _refusal(closing: Event) -> Refusal:
    error = closing.data["error"]
    code = error["code"] if error["code"] in CODES else "upstream_error"
    return Refusal(code, error["message"], param=error.get("param"), details=error.get("details"))


def _usage(closing: Event) -> dict[str, Any]:
    usage = closing.data.get("usage") or {}
    return {
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "total_tokens": usage.get("total_tokens", 0),
        "prompt_tokens_details": {"cached_tokens": usage.get("cached_tokens", 0)},
        "completion_tokens_details": {"reasoning_tokens": usage.get("reasoning_tokens", 0)},
        "cost_usd": usage.get("cost_usd", "0"),
        "estimated": usage.get("estimated", False),
    }


def _finish_reason(closing: Event) -> str:
    reason = closing.data.get("finish_reason") or "stop"
    return reason if reason in FINISH_REASONS else "stop"


# Whole answers ------------------------------------------------------------------------------------


async def _whole(request: Request, stream: TurnStream, headers: Headers) -> None:
    waker = Waker()
    stream.wakers.add(waker)
    try:
        while stream.completed is None:
            await waker.sleep()
    finally:
        stream.wakers.discard(waker)
    answer = stream.answers[0]
    assert answer.closing is not None
    if answer.closing.name == events.MESSAGE_FAILED:
        raise _refusal(answer.closing)
    calls = [_without_index(call) for call in tool_calls.joined(answer.tool_calls)]
    message: dict[str, Any] = {"role": "assistant", "content": answer.text(), "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if calls:
        message["tool_calls"] = calls
        message["content"] = answer.text() or None
    body = _frame(stream, answer, "chat.completion") | {
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer.closing)}
        ],
        "usage": _usage(answer.closing),
    }
    await send_json(request, 200, body, headers)


def _frame(stream: TurnStream, answer: Answer, kind: str) -> dict[str, Any]:
    created = stream.turn_id.int >> 80  # the milliseconds of a version 7 id
    return {
        "id": f"chatcmpl-{stream.turn_id.hex}",
        "object": kind,
        "created": created // 1000 or int(time.time()),
        "model": answer.model,
        "system_fingerprint": None,
    }


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}


# Streams ------------------------------------------------------------------------------------------


async def _stream(request: Request, stream: TurnStream, asked: CompletionRequest, headers: Headers) -> None:
    await _first_token(stream, FIRST_TOKEN_SECONDS)
    send = request.send
    await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + headers})
    async for body in _chunks(stream, asked):
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _chunks(stream: TurnStream, asked: CompletionRequest) -> AsyncIterator[bytes]:
    answer = stream.answers[0]
    frame = _frame(stream, answer, "chat.completion.chunk")
    if asked.include_usage:
        frame["usage"] = None
    # Everything but the text is the same in every chunk of text: encode it once.
    marker = "\x00text\x00"
    head, _, tail = _choice(frame, {"content": marker}, None).partition(orjson.dumps(marker))
    calls = tool_calls.Writer()
    yield _choice(frame, {"role": "assistant", "content": ""}, None)
    async for group in follow(stream):
        out: list[bytes] = []
        for event in group:
            if event.name == events.MESSAGE_DELTA:
                out.append(head + orjson.dumps(event.data["text"]) + tail)
            elif event.name == events.MESSAGE_REASONING:
                out.append(_choice(frame, {"reasoning_content": event.data["text"]}, None))
            elif event.name == events.MESSAGE_COMPLETED:
                out += [_choice(frame, {"tool_calls": [call]}, None) for call in calls.new(answer.tool_calls)]
                out.append(_choice(frame, {}, _finish_reason(event)))
                if asked.include_usage:
                    out.append(sse.encode_data(orjson.dumps(frame | {"choices": [], "usage": _usage(event)})))
                out.append(sse.encode_data(b"[DONE]"))
            elif event.name == events.MESSAGE_FAILED:
                error = _refusal(event).body(current_request_id(), openai=True)
                out.append(sse.encode_data(orjson.dumps(error)))
        if not (group and group[-1].name == events.TURN_COMPLETED):
            out += [_choice(frame, {"tool_calls": [call]}, None) for call in calls.new(answer.tool_calls)]
        if out:
            yield b"".join(out)
        elif not group:
            yield sse.COMMENT


def _choice(frame: dict[str, Any], delta: dict[str, Any], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return sse.encode_data(orjson.dumps(frame | {"choices": [choice]}))
