"""``POST /v1/chat/completions``: OpenAI's shapes over the same turn, hold and ledger.

The status waits for the first token, so a failure before it is an ordinary HTTP error that SDKs know.
"""

from __future__ import annotations

import asyncio
from typing import Final

from chat import catalog, door, engine, events, openai_messages, openai_read, openai_write
from chat.catalog import CatalogModel
from chat.openai_read import CompletionRequest
from chat.replay import TurnStream
from chat.sse import STREAM_HEADERS
from chat.turn_jobs import Start
from oneai.kit.errors import Refusal
from oneai.kit.hot import Headers, Request, send_json

FIRST_TOKEN_SECONDS: Final = 10.0


async def chat_completions(request: Request) -> None:
    """Answer a completion request, streaming or whole."""
    running = engine.current()

    async def read() -> tuple[CompletionRequest, str | None, CatalogModel]:
        asked = openai_read.read(request.json())
        model = door.priced(catalog.usable(asked.model))
        if openai_messages.images(asked.messages) and "image" not in model.input_modalities:
            raise Refusal("invalid_value", "The model does not read images.", param="messages")
        return asked, door.idempotency_key(request), model

    if not request.headers.get("authorization"):
        raise Refusal("not_authenticated")
    asked, key, model = await door.known_first(request, read(), "chat")
    claim = await door.claim(request)
    stream, started = await running.start_turn(
        Start(
            claim=claim,
            door="v1",
            worker=running.worker,
            models=[model],
            messages=asked.messages,
            store=asked.store,
            max_tokens=asked.max_tokens,
            params=asked.params,
            idempotency_key=key,
            body_digest=door.body_digest(request) if key else "",
        )
    )
    if stream.erased:
        raise Refusal("conflict", "The answer to this Idempotency-Key was kept for 10 minutes and is erased.")
    headers = door.rate_headers(started.admitted if started else None)
    answer = _stream(request, stream, asked, headers) if asked.stream else _whole(request, stream, asked, headers)
    try:
        ended = await door.while_connected(request, answer, claim)
    except door.Revoked as revoked:
        if key is None:
            running.abandon(stream)
        if not request.answered:
            raise revoked.refusal from None
        if asked.stream:
            await door.cut_off(request, openai_write.refused(revoked.refusal))
        return
    except Refusal as refusal:
        if key is not None:  # asked again with this key, it would be told the same
            refusal.headers = {**refusal.headers, "x-should-retry": "false"}
        raise
    if not ended and key is None:
        running.abandon(stream)


async def _first_token(stream: TurnStream) -> None:
    """Wait until the answer has begun or ended, but not for long. Refusal when it failed before its first token."""
    answer = stream.answers[0]
    try:
        with stream.listening() as waker:
            async with asyncio.timeout(FIRST_TOKEN_SECONDS):
                while not answer.begun and stream.completed is None:
                    await waker.sleep()
    except TimeoutError:
        return
    if answer.closing is not None and answer.closing.name == events.MESSAGE_FAILED and not answer.begun:
        raise openai_write.refusal_of(answer.closing)


async def _whole(request: Request, stream: TurnStream, asked: CompletionRequest, headers: Headers) -> None:
    with stream.listening() as waker:
        while stream.completed is None:
            await waker.sleep()
    closing = stream.answers[0].closing
    if closing is not None and closing.name == events.MESSAGE_FAILED:
        raise openai_write.refusal_of(closing)
    await send_json(request, 200, openai_write.completion(stream, asked), headers)


async def _stream(request: Request, stream: TurnStream, asked: CompletionRequest, headers: Headers) -> None:
    await _first_token(stream)
    await request.send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + headers})
    async for body in openai_write.chunks(stream, asked):
        await request.send({"type": "http.response.body", "body": body, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})
