"""Letters between the processes of one site, through Redis: quick, never waited for, sometimes lost.

Each process has one letter box, a channel of its own name, and two connections: one listens, one
sends. What is written while a batch is on its way goes with the next, one message per box. Redis
holds nothing. When it is away or slow, letters are dropped at once and their writers told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger("post")

ANSWER_SECONDS: Final = 1.0  # a Redis that takes longer is as good as away
RETRY_SECONDS: Final = 1.0
MOST_WAITING: Final = 8 * 1024 * 1024  # bytes that may wait to be sent
MOST_AT_ONCE: Final = 512 * 1024  # bytes of one message: listeners with much waiting are cut off by Redis
PREFIX: Final = "oneai:post:"

Letter = list[Any]
Receipt = asyncio.Future[bool]


def _cancelled() -> bool:
    """Whether this task was cancelled: connecting, the client library now and then swallows that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Post:
    """The letter box ``name`` of this process. ``deliver`` gets each letter; ``changed`` hears of up and down."""

    def __init__(
        self, url: str, name: str, *, deliver: Callable[[Letter], None], changed: Callable[[bool], None]
    ) -> None:
        """ValueError when ``url`` is none of Redis's."""
        common: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": ANSWER_SECONDS,
            "single_connection_client": True,
        }
        self.name = name
        self.up = False
        self.messages = 0
        self._sending = Redis.from_url(url, socket_timeout=ANSWER_SECONDS, **common)
        self._listening = Redis.from_url(url, socket_timeout=None, **common)
        self._deliver = deliver
        self._changed = changed
        self._boxes: dict[str, list[tuple[bytes, Receipt]]] = {}
        self._waiting = 0
        self._written = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def send(self, to: str, letter: Letter) -> Receipt:
        """Write to the box ``to``; the receipt says whether anybody got the letter."""
        receipt: Receipt = self._loop.create_future()
        data = orjson.dumps(letter)
        if not self.up or self._waiting + len(data) > MOST_WAITING:
            receipt.set_result(False)
            return receipt
        self._waiting += len(data)
        self._boxes.setdefault(to, []).append((data, receipt))
        self._written.set()
        return receipt

    async def run(self) -> None:
        """Listen and send, for ever; through every loss of Redis."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._send())
        finally:
            self._drop(self._take())
            for client in (self._sending, self._listening):
                with suppress(RedisError, OSError):
                    await client.aclose()

    # Listening ------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        told = False
        while not _cancelled():
            try:
                await self._listen_once()
            except Exception as error:
                if self.up or not told:
                    log.warning("redis_away", error=type(error).__name__, text=str(error)[:200])
                    told = True
            finally:
                self._set(False)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen_once(self) -> None:
        async with self._listening.pubsub() as box:
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                await box.subscribe(PREFIX + self.name)
            async for message in box.listen():
                if message["type"] == "subscribe":
                    self._set(True)
                elif message["type"] == "message":
                    self._read(message["data"])

    def _set(self, up: bool) -> None:
        if up != self.up:
            self.up = up
            log.info("redis_in_use" if up else "redis_not_in_use")
            self._changed(up)

    def _read(self, data: bytes) -> None:
        try:
            letters = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        for letter in letters if isinstance(letters, list) else ():
            try:
                self._deliver(letter)
            except Exception:
                log.exception("letter_not_read")

    # Sending --------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while not _cancelled():
            await self._written.wait()
            self._written.clear()
            batch = self._take()
            try:
                got = await self._publish(batch)
            except Exception as error:
                log.warning("letters_lost", error=type(error).__name__, letters=len(batch))
                self._drop(batch)
                self._drop(self._take())
                with suppress(RedisError, OSError):
                    await self._sending.aclose()  # half an answer may be left in the connection
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for (_, _, receipt), received in zip(batch, got, strict=True):
                if not receipt.done():
                    receipt.set_result(received)

    def _take(self) -> list[tuple[str, bytes, Receipt]]:
        boxes, self._boxes = self._boxes, {}
        self._waiting = 0
        return [(to, data, receipt) for to, letters in boxes.items() for data, receipt in letters]

    def _drop(self, batch: list[tuple[str, bytes, Receipt]]) -> None:
        for _, _, receipt in batch:
            if not receipt.done():
                receipt.set_result(False)

    async def _publish(self, batch: list[tuple[str, bytes, Receipt]]) -> list[bool]:
        """Send the letters, one message per box or ``MOST_AT_ONCE``; for each whether anybody got it."""
        messages: list[tuple[str, list[bytes]]] = []
        size = 0
        for to, data, _ in batch:
            if not messages or messages[-1][0] != to or size + len(data) > MOST_AT_ONCE:
                messages.append((to, []))
                size = 0
            messages[-1][1].append(data)
            size += len(data)
        async with self._sending.pipeline(transaction=False) as pipe:
            for to, letters in messages:
                pipe.publish(PREFIX + to, b"[" + b",".join(letters) + b"]")
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                counts = await pipe.execute()
        self.messages += len(messages)
        return [bool(count) for (_, letters), count in zip(messages, counts, strict=True) for _ in letters]
