"""Readers on bare sockets, hundreds at once: they read what they like, leave when they like and come back."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chat.client import Event
from tests.servers.site import Newcomer, Site

BACK_TRIES = 5  # a database that a busy machine does not answer in time is asked again


class Refused(AssertionError):
    """A request was not answered with a stream."""

    def __init__(self, path: str, head: str, body: str) -> None:
        super().__init__(f"{path}: {head} {body}")
        self.head = head


class Connection:
    """One request for a stream, and its events as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(
        cls, site: Site, user: Newcomer, path: str, *, body: dict[str, Any] | None = None, after: str | None = None
    ) -> Connection:
        """Raises Refused when the answer is not 200."""
        connection = cls(*await asyncio.open_connection("127.0.0.1", site.port, limit=2**24))
        data = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{'POST' if body else 'GET'} {path} HTTP/1.1",
            f"Host: localhost:{site.port}",
            f"Authorization: Bearer {user.api_key}",
            "Connection: close",
        ]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        if after is not None:
            lines.append(f"Last-Event-ID: {after}")
        connection.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        head = await connection.reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            rest = await connection.reader.read()
            connection.cut()
            raise Refused(path, head.decode(), rest.decode())
        return connection

    @classmethod
    async def back(cls, site: Site, user: Newcomer, turn_id: str, place: str) -> Connection:
        """Come back to a turn as a browser does: who is asked to wait (503, Retry-After) waits and asks again."""
        for _ in range(BACK_TRIES):
            try:
                return await cls.open(site, user, f"/api/chat/stream/{turn_id}", after=place)
            except Refused as refused:
                wait = re.search(r"^HTTP/1.1 503 .*^retry-after: (\d+)", refused.head, re.DOTALL | re.MULTILINE)
                if wait is None:
                    raise
                await asyncio.sleep(int(wait[1]))
        return await cls.open(site, user, f"/api/chat/stream/{turn_id}", after=place)

    async def events(self) -> AsyncIterator[Event]:
        """Events until the stream ends; ConnectionError when it ends in the middle."""
        buffer = b""
        while size := int((await self.reader.readline()).strip() or b"0", 16):
            buffer += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            *whole, buffer = buffer.split(b"\n\n")
            for block in whole:
                if block.startswith(b"event: "):
                    name, identity, data = (line.partition(b": ")[2] for line in block.split(b"\n"))
                    yield Event(name.decode(), identity.decode(), json.loads(data))
        if buffer:
            raise ConnectionError("cut in the middle of an event")

    def cut(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()


@dataclass
class Followed:
    """One turn as its restless reader had it, over all connections."""

    turn_id: str = ""
    conversation_id: str = ""
    message_ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    place: str = ""
    connections: int = 0
    longest: int = 0  # code points of the longest delta that came live, on a connection that came back
    closed: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Note an event; AssertionError on a gap or a double."""
        if event.name == "turn.started":
            assert not self.turn_id
            self.turn_id, self.conversation_id = event.data["turn_id"], event.data["conversation_id"]
            self.message_ids = [message["message_id"] for message in event.data["messages"]]
            self.texts = ["" for _ in self.message_ids]
        elif event.name == "message.delta":
            number = self.message_ids.index(event.data["message_id"])
            assert event.data["offset"] == len(self.texts[number]), "a gap or a double"
            self.texts[number] += event.data["text"]
        self.place = event.id

    async def read(self, connection: Connection, seconds: float | None) -> bool:
        """Read until the turn is over (True) or for so many seconds, then leave."""
        self.connections += 1
        closed: list[str] = []
        count = 0
        try:
            async with asyncio.timeout(seconds):
                async for event in connection.events():
                    self.take(event)
                    if event.name == "message.delta":
                        count += 1
                        if self.connections > 1 and count > 1:
                            self.longest = max(self.longest, len(event.data["text"]))
                    if event.name in {"message.completed", "message.failed"}:
                        closed.append(event.name)
                    if event.name == "turn.completed":
                        self.closed = closed
                        return True
        except TimeoutError:
            return False
        finally:
            connection.cut()
        raise ConnectionError("the stream ended before the turn")


async def restless(
    site: Site, user: Newcomer, models: Sequence[str], *, cuts: int, seconds: float, seed: int, max_tokens: int
) -> Followed:
    """Start a turn, leave it ``cuts`` times at random moments within ``seconds``, come back each time, read the end."""
    dice = random.Random(seed)
    followed = Followed()
    asked: dict[str, Any] = {"content": f"Tell me a long story. {seed}", "max_tokens": max_tokens}
    asked |= {"model": models[0]} if len(models) == 1 else {"models": list(models)}
    connection = await Connection.open(site, user, "/api/chat/stream", body=asked)
    for _ in range(cuts):
        if await followed.read(connection, dice.uniform(0.3, 1.7) * seconds / cuts):
            break
        if not followed.turn_id:
            # It left before the first event: the turn goes on, but nobody knows its name.
            connection = await Connection.open(site, user, "/api/chat/stream", body=asked)
            continue
        if dice.random() < 0.3:
            await asyncio.sleep(dice.uniform(0, 0.5))
        connection = await Connection.back(site, user, followed.turn_id, followed.place)
    else:
        async with asyncio.timeout(120):
            assert await followed.read(connection, None)
    if len(followed.closed) < len(followed.message_ids):
        # Ends that came before the last cut are sent again.
        again = await Connection.back(site, user, followed.turn_id, followed.place)
        await followed.read(again, None)
    return followed
