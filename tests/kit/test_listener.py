"""One connection of the server, beside a process that stands still for a while."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from oneai.kit import listener

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE = 1.0  # seconds


async def application(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})


def answer(client: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"OK") and (more := client.recv(4096)):
        found += more
    return found


def served(client_side: Callable[[int, Callable[[float], None]], Any]) -> Any:
    """What ``client_side`` returns; it runs in a thread, gets the port, and can have the loop stand still."""

    async def serve() -> Any:
        config = uvicorn.Config(application, timeout_keep_alive=IDLE, lifespan="off")  # type: ignore[arg-type]
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(
            lambda: listener.Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]

        # Where it stands still among sockets that are read, it comes to timers before it reads again.
        ours, theirs = socket.socketpair()
        standing = threading.Event()

        def stand() -> None:
            seconds = float(ours.recv(10))
            standing.set()
            time.sleep(seconds)

        loop.add_reader(ours, stand)

        def pause(seconds: float) -> None:
            theirs.send(str(seconds).encode())
            assert standing.wait(10)

        try:
            return await asyncio.to_thread(client_side, port, pause)
        finally:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()
            server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve())


def test_a_request_that_came_in_time_is_answered_though_the_process_stood_still_past_the_timeout() -> None:
    def client_side(port: int, pause: Callable[[float], None]) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(REQUEST)
            answer(client)
            pause(IDLE + 0.5)
            client.sendall(REQUEST)
            return answer(client)

    assert served(client_side).endswith(b"OK")


def test_a_head_that_came_in_time_is_read_though_the_process_stood_still_past_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", IDLE)

    def client_side(port: int, pause: Callable[[float], None]) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            time.sleep(IDLE / 4)
            pause(IDLE + 0.5)
            client.sendall(REQUEST)
            return answer(client)

    assert served(client_side).endswith(b"OK")


def test_an_idle_connection_is_closed() -> None:
    def client_side(port: int, pause: Callable[[float], None]) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(REQUEST)
            answer(client)
            return client.recv(1)

    assert served(client_side) == b""
