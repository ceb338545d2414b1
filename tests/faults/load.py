"""Load that goes on while something is done to the servers: streams that insist, and requests at a steady pace."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chat.client import Event
from tests.servers.site import Newcomer, Site

GONE = (httpx.TransportError,)


async def events_of(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of an open stream; ends where the connection does. httpx.TransportError when it breaks."""
    rest = b""
    async for data in response.aiter_raw():
        *blocks, rest = (rest + data).split(b"\n\n")
        for block in blocks:
            fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n") if b": " in line)
            if b"data" in fields:
                yield Event(fields[b"event"].decode(), fields[b"id"].decode(), json.loads(fields[b"data"]))


@dataclass
class Followed:
    """A turn as its insistent reader saw it, over however many connections.

    ``heard`` has when which length of text had come, ``broken`` when a connection ended before the turn.
    """

    started: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    last_id: str = "0"
    closing: Event | None = None
    completed: bool = False
    connections: int = 0
    trouble: str = ""
    heard: list[tuple[float, int]] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Add an event; a gap or a double is trouble."""
        if event.name == "turn.started":
            self.started = event.data
        elif event.name == "message.delta":
            if event.data["offset"] != len(self.text):
                self.trouble = f"at {len(self.text)} came the text of {event.data['offset']}"
            self.text += event.data["text"]
            self.heard.append((time.monotonic(), len(self.text)))
        elif event.name in {"message.completed", "message.failed"}:
            self.closing = event
        elif event.name == "turn.completed":
            self.completed = True
        self.last_id = event.id


@dataclass
class Load:
    """Clients of a site: `failures` has a line for whatever did not go as it must.

    With ``patient``, a request that nobody answered is sent again, under its idempotency key, for as long as
    the load goes on and a minute more: whether anybody serves is the business of whoever kills.
    """

    site: Site
    users: list[Newcomer]
    patient: bool = False
    failures: list[str] = field(default_factory=list)
    turns: list[Followed] = field(default_factory=list)
    answered: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _over_since: float = field(default=float("inf"))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def client(self, user: Newcomer, *, keep: bool = True) -> httpx.AsyncClient:
        """A client with connections of its own, kept open for 3 s or closed after each request."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.site.port}",
            headers={"Authorization": f"Bearer {user.api_key}", "Host": f"localhost:{self.site.port}"},
            timeout=60,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50 if keep else 0, keepalive_expiry=3),
        )

    def start(self, *, streams: int, requests_a_second: float, **body: Any) -> None:
        """Keep so many streams of ``body`` open, one after the other, and send other requests beside them."""
        for number in range(streams):
            user = self.users[number % len(self.users)]
            self._tasks.append(asyncio.create_task(self._streams(user, number / max(streams, 1), body)))
        if requests_a_second:
            self._tasks.append(asyncio.create_task(self._requests(1 / requests_a_second)))

    async def end(self) -> None:
        """Begin nothing new, and wait for what runs."""
        self._over.set()
        self._over_since = time.monotonic()
        await asyncio.gather(*self._tasks)

    # Streams --------------------------------------------------------------------------------------

    async def _streams(self, user: Newcomer, delay: float, body: dict[str, Any]) -> None:
        await asyncio.sleep(delay)
        async with self.client(user, keep=False) as client, asyncio.TaskGroup() as rest:
            while not self._over.is_set():
                turn = Followed()
                self.turns.append(turn)
                if self.patient:
                    # Who is cut off waits for the end beside the next turn, so that something always streams.
                    await self.follow(client, turn, body, until_broken=True)
                    rest.create_task(self._to_the_end(client, turn, body))
                else:
                    await self._to_the_end(client, turn, body)

    async def _to_the_end(self, client: httpx.AsyncClient, turn: Followed, body: dict[str, Any]) -> None:
        await self.follow(client, turn, body)
        if not turn.completed:
            turn.trouble = turn.trouble or (
                f"{turn.started.get('turn_id')} never completed in {turn.connections} connections, of which "
                f"{len(turn.broken)} broke, at {turn.last_id}, closed by {turn.closing}"
            )
        if turn.trouble:
            self.failures.append(f"stream: {turn.trouble}")

    async def follow(
        self, client: httpx.AsyncClient, turn: Followed, body: dict[str, Any], *, until_broken: bool = False
    ) -> None:
        """Send, and resume wherever the connection ends until the turn does."""
        began = time.monotonic()
        key = {"Idempotency-Key": secrets.token_hex(12)} if self.patient else {}
        while not turn.completed and not turn.trouble and not self._given_up(began):
            if turn.started:
                url = f"/api/chat/stream/{turn.started['turn_id']}"
                request = client.build_request("GET", url, headers={"Last-Event-ID": turn.last_id})
            else:
                request = client.build_request("POST", "/api/chat/stream", json=body, headers=key)
            turn.connections += 1
            try:
                await self._read(client, request, turn)
            except GONE as error:
                turn.broken.append(time.monotonic())
                if not turn.started and not self.patient:
                    turn.trouble = f"{request.method} was not answered: {error!r}"
                if turn.started and until_broken:
                    return
                await asyncio.sleep(0.2 if self.patient else 0)

    def _given_up(self, began: float) -> bool:
        at = time.monotonic()
        return at > self._over_since + 60 if self.patient else at > began + 120

    async def _read(self, client: httpx.AsyncClient, request: httpx.Request, turn: Followed) -> None:
        response = await client.send(request, stream=True)
        try:
            if response.status_code == 503 and self.patient:
                await asyncio.sleep(0.5)
            elif response.status_code != 200:
                turn.trouble = f"{request.method} {response.status_code}: {(await response.aread())[:300]!r}"
            else:
                async for event in events_of(response):
                    turn.take(event)
        finally:
            await response.aclose()

    # Requests -------------------------------------------------------------------------------------

    async def _requests(self, gap: float) -> None:
        """Half of them on connections that are kept, half on new ones; reads, chats and the other door in turn."""
        running: set[asyncio.Task[None]] = set()
        clients = [self.client(user, keep=keep) for user in self.users for keep in (True, False)]
        number = 0
        due = time.monotonic()
        while not self._over.is_set():
            task = asyncio.create_task(self._request(clients[number % len(clients)], number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            due += gap
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await asyncio.gather(*running)
        for client in clients:
            await client.aclose()

    async def _request(self, client: httpx.AsyncClient, number: int) -> None:
        said = {"model": "sandbox/hello", "max_tokens": 16}
        kind = number // 2 % 4
        try:
            if kind == 0:
                answer = await client.post("/api/chat/stream", json=said | {"content": "Hello"})
            elif kind == 1:
                messages = [{"role": "user", "content": "Hello"}]
                answer = await client.post("/v1/chat/completions", json=said | {"messages": messages})
            elif kind == 2:
                answer = await client.get("/api/user/quota")
            else:
                answer = await client.get("/healthz")
        except GONE as error:
            self.failures.append(f"request {number} of kind {kind}: {error!r}")
            return
        if answer.status_code != 200 or (kind == 0 and "turn.completed" not in answer.text):
            self.failures.append(f"request {number} of kind {kind}: {answer.status_code} {answer.text[:300]}")
        self.answered += 1


def unlimited(site: Site, count: int) -> list[Newcomer]:
    """Users whom no quota and no rate stops."""
    users = [site.new_user("team") for _ in range(count)]
    for user in users:
        site.command("set_quota", user.email, "--model", "*", "--tokens", "unlimited", "--reason", "load")
        rates = ("--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited")
        site.command("set_rates", user.email, *rates, "--reason", "load")
    return users
