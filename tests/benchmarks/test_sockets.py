"""The generator's WebSocket against a real one."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from benchmarks.doors import WS
from benchmarks.generator import Load, run_load
from benchmarks.stamps import stamp
from benchmarks.subjects import through

CHUNKS = 12
Serve = Callable[[web.WebSocketResponse, dict[str, str]], Awaitable[None]]


@asynccontextmanager
async def site(serve: Serve) -> AsyncIterator[int]:
    async def chat(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer oneai_good":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await serve(socket, message.json())
        return socket

    app = web.Application()
    app.router.add_get("/ws/chat", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def tag_of(asked: dict[str, str]) -> bytes:
    return asked["content"].rpartition("bench-")[2].encode()


async def answer(socket: web.WebSocketResponse, asked: dict[str, str], left_out: int | None = None) -> None:
    await socket.send_json({"type": "turn.started", "data": {"padding": "x" * 300}})
    for number in range(CHUNKS):
        if number != left_out:
            text = stamp(tag_of(asked), number, time.monotonic_ns()).decode()
            await socket.send_json({"type": "message.delta", "data": {"text": text + " "}})
    await socket.send_json({"type": "turn.completed", "data": {}})


async def test_answers_over_a_socket_are_whole() -> None:
    async with site(answer) as port:
        target = through("test", WS, port, keys=["oneai_good"])
        outcome = await run_load(target, Load("bench/c12-d0", CHUNKS, 3, 9))
    assert outcome.complaints == {}
    assert outcome.whole == 9
    assert len(outcome.lags_ns) == 9 * CHUNKS
    assert min(outcome.lags_ns) > 0


async def test_a_chunk_left_out_of_a_socket_is_seen() -> None:
    async def lossy(socket: web.WebSocketResponse, asked: dict[str, str]) -> None:
        await answer(socket, asked, left_out=5)

    async with site(lossy) as port:
        target = through("test", WS, port, keys=["oneai_good"])
        outcome = await run_load(target, Load("bench/c12-d0", CHUNKS, 1, 2))
    assert outcome.complaints == {"chunks missing": 2}


async def test_a_refusal_over_a_socket_is_a_complaint() -> None:
    async def refuse(socket: web.WebSocketResponse, asked: dict[str, str]) -> None:
        await socket.send_json({"type": "error", "data": {"code": "rate_limited"}})

    async with site(refuse) as port:
        target = through("test", WS, port, keys=["oneai_good"])
        outcome = await run_load(target, Load("bench/c12-d0", CHUNKS, 1, 2))
    assert outcome.complaints == {"refused": 2}
    assert "rate_limited" in outcome.examples[0]
