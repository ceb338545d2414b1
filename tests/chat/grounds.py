"""A turn written by one process and read by another, on each ground that replay stands on.

The writer is what a producer is to its readers: it says things in memory, saves them now and then,
and writes its end before it tells of it. On the ground ``memory`` the reader is in the writer's
process; on the others it has mirrors of its own, and on ``redis`` both have a letter box.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from chat import events, mirror
from chat.events import Event
from chat.mirror import Mirrors
from chat.models import Conversation, Generation, Message, Turn
from chat.relay import Relay
from chat.replay import Answer, TurnStream, follow
from oneai.kit import database
from oneai.kit.clock import uuid7

WRITER = "writer"


class Writer:
    """Produces one turn with any number of answers. ``saves``: everything said is in the database at once."""

    def __init__(self, user: User, models: list[str], *, saves: bool) -> None:
        self.user, self.saves = user, saves
        self.conversation_id, self.question_id = uuid7(), uuid7()
        self.tries: dict[int, list[dict[str, str]]] = {}
        answers = [Answer(uuid7(), uuid7(), model) for model in models]
        self.stream = TurnStream(turn_id=uuid7(), user_id=user.id, answers=answers, opening=[])
        self.stream.opening.append(
            mirror.opening(self.stream.turn_id, self.conversation_id, self.question_id, answers, {}, {})
        )

    def write_rows(self) -> None:
        """What the transaction of a start writes."""
        Conversation.objects.create(id=self.conversation_id, user=self.user)
        Turn.objects.create(
            id=self.stream.turn_id,
            user=self.user,
            conversation_id=self.conversation_id,
            user_message_id=self.question_id,
            door="api",
        )
        common: dict[str, Any] = {"conversation_id": self.conversation_id, "user": self.user}
        Message.objects.create(id=self.question_id, role="user", content="?", **common)
        for position, answer in enumerate(self.stream.answers):
            Message.objects.create(id=answer.message_id, role="assistant", status="streaming", **common)
            Generation.objects.create(
                id=answer.generation_id,
                turn_id=self.stream.turn_id,
                user=self.user,
                position=position,
                message_id=answer.message_id,
                model_id=answer.model,
                hold_id=uuid7(),
                worker=WRITER,
            )

    def save_now(self, state: str = "running", error: dict[str, Any] | None = None, number: int | None = None) -> None:
        with transaction.atomic():
            for each, answer in enumerate(self.stream.answers):
                if number not in (None, each):
                    continue
                text, thoughts = answer.text(), answer.thoughts()
                Message.objects.filter(id=answer.message_id).update(content=text, reasoning=thoughts)
                Generation.objects.filter(id=answer.generation_id).update(
                    state=state,
                    error=error,
                    finish_reason="" if error else "stop",
                    usage={"total_tokens": 7},
                    model_id=answer.model,
                    tries=self.tries.get(each),
                    delivered_bytes=len((text + thoughts).encode()),
                )

    async def save(self) -> None:
        await database.run(self.save_now)

    async def _said(self) -> None:
        self.stream.wake()
        if self.saves:
            await self.save()
        await asyncio.sleep(0)

    async def say(self, text: str, number: int = 0) -> None:
        answer = self.stream.answers[number]
        answer.add_text(answer.length, text)
        await self._said()

    async def think(self, text: str, number: int = 0) -> None:
        answer = self.stream.answers[number]
        answer.add_reasoning(answer.reasoning_length, text)
        await self._said()

    async def switch(self, model: str, reason: str, number: int = 0) -> None:
        answer = self.stream.answers[number]
        self.tries.setdefault(number, []).append({"model": answer.model, "code": reason})
        answer.switch(model, reason)
        await self.save()
        self.stream.wake()

    async def end(self, state: str = "complete", error: dict[str, Any] | None = None, number: int = 0) -> None:
        """Write the end, then tell the readers, as a producer does."""
        await database.run(self.save_now, state, error, number)
        answer = self.stream.answers[number]
        data: dict[str, Any] = {"message_id": answer.message_id}
        if error:
            answer.closing = Event(events.MESSAGE_FAILED, "", data | {"error": error})
        else:
            data |= {"model": answer.model, "finish_reason": "stop", "usage": {"total_tokens": 7}}
            answer.closing = Event(events.MESSAGE_COMPLETED, "", data)
        if all(each.closing for each in self.stream.answers):
            self.stream.completed = Event(events.TURN_COMPLETED, "", {"turn_id": self.stream.turn_id, "quota": []})
        self.stream.wake()

    async def stored(self, number: int = 0) -> str:
        """The text as the database has it."""
        identity = self.stream.answers[number].message_id
        return await database.run(lambda: Message.objects.get(id=identity).content)


class Ground:
    """One of the three. ``write`` begins a turn, ``find`` is what a reader's process does to follow it."""

    def __init__(self, name: str, user: User, mirrors: Mirrors | None, turns: dict[UUID, TurnStream]) -> None:
        self.name, self.user, self.mirrors, self.turns = name, user, mirrors, turns

    async def write(self, *models: str) -> Writer:
        # With letters, nothing is saved before the end: what a reader has has come by letter.
        writer = Writer(self.user, list(models) or ["some/model"], saves=self.name == "database")
        await database.run(writer.write_rows)
        self.turns[writer.stream.turn_id] = writer.stream
        return writer

    async def find(self, writer: Writer) -> TurnStream:
        if self.mirrors is None:
            return writer.stream
        return await self.mirrors.find(writer.stream.turn_id, self.user.id)

    async def read(self, writer: Writer, after: list[int] | None = None) -> list[Event]:
        """Everything from ``after`` to the end."""
        return [event async for group in follow(await self.find(writer), after) for event in group]

    def reader(self, writer: Writer, after: list[int] | None = None) -> Reader:
        return Reader(self, writer, after)


class Reader:
    """Reads in the background; ``until`` waits for something, ``rest`` for the end."""

    def __init__(self, ground: Ground, writer: Writer, after: list[int] | None) -> None:
        self.events: list[Event] = []
        self.groups = 0
        self._writer = writer
        self._more = asyncio.Event()
        self._task = asyncio.create_task(self._read(ground, writer, after))

    async def _read(self, ground: Ground, writer: Writer, after: list[int] | None) -> None:
        async for group in follow(await ground.find(writer), after):
            self.events += group
            self.groups += 1
            self._more.set()

    def text(self, number: int = 0) -> str:
        return joined(self.events, self._writer, number)

    async def until(self, holds: Callable[[Reader], bool]) -> Reader:
        async with asyncio.timeout(20):
            while not holds(self):
                self._more.clear()
                await self._more.wait()
        return self

    async def rest(self) -> Reader:
        async with asyncio.timeout(20):
            await self._task
        return self

    async def leave(self) -> Reader:
        self._task.cancel()
        await asyncio.wait([self._task])
        return self

    def place(self) -> list[int]:
        """Where this reader would go on."""
        return [int(offset) for offset in self.events[-1].vector.split(",")]


def joined(found: list[Event], writer: Writer, number: int = 0, text: str = "") -> str:
    """The text of one answer's deltas after ``text``; fails on a gap or a double."""
    message_id = writer.stream.answers[number].message_id
    for event in found:
        if event.name == events.MESSAGE_DELTA and event.data["message_id"] == message_id:
            assert event.data["offset"] == len(text), "a gap or a double"
            text += event.data["text"]
            assert int(event.vector.split(",")[number]) == len(text)
    return text


def _close_connection(together: threading.Barrier) -> None:
    with suppress(threading.BrokenBarrierError):
        together.wait(2)
    database.release_connection()


@asynccontextmanager
async def on(name: str, user: User, redis_url: str) -> AsyncIterator[Ground]:
    """The ground ``name``, as long as it is needed."""
    tasks: set[asyncio.Task[Any]] = set()

    def spawn(work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        tasks.add(task)
        return task

    turns: dict[UUID, TurnStream] = {}
    mirrors = None if name == "memory" else Mirrors()
    if mirrors is not None:
        spawn(mirrors.run())
    if name == "redis":
        assert mirrors is not None
        boxes = [
            Relay(redis_url, WRITER, turns, Mirrors(), spawn).post,
            Relay(redis_url, "reader", {}, mirrors, spawn).post,
        ]
        for post in boxes:
            spawn(post.run())
        async with asyncio.timeout(20):
            while not all(post.up for post in boxes):  # noqa: ASYNC110 (once, at the start)
                await asyncio.sleep(0.005)
    try:
        yield Ground(name, user, mirrors, turns)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # The threads that read are kept, and no database can be dropped under their connections.
        together = threading.Barrier(2)
        await asyncio.gather(*(database.run(_close_connection, together) for _ in range(2)))


Grounds = Callable[[str], AbstractAsyncContextManager[Ground]]
