"""What a turn has said so far, in memory, and readers that follow it from any offset.

The producer appends and wakes; it never waits for a reader and never knows how many there are. A
reader takes everything that came since it last looked, so a slow one gets fewer, longer deltas. The
text is kept once for all readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chat import events
from chat.events import Event


@dataclass(slots=True, eq=False)
class Answer:
    """One generation's output. ``length`` counts code points of ``parts``; ``closing`` ends it."""

    generation_id: UUID
    message_id: UUID
    model: str
    parts: list[str] = field(default_factory=list)
    length: int = 0
    reasoning: list[str] = field(default_factory=list)
    reasoning_length: int = 0
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    closing: Event | None = None
    begun: bool = False

    def text(self) -> str:
        """All of the text so far; joined once and kept joined."""
        if len(self.parts) > 1:
            joined = "".join(self.parts)
            self.parts[:] = [joined]
            return joined
        return self.parts[0] if self.parts else ""


class Waker:
    """Lets one reader sleep until something is there. A wake-up between two sleeps is kept."""

    __slots__ = ("_future", "_woken", "since")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._woken = False
        self.since = 0.0

    def wake(self) -> None:
        future = self._future
        if future is None:
            self._woken = True
        elif not future.done():
            future.set_result(None)

    async def sleep(self) -> None:
        if self._woken:
            self._woken = False
            return
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        self.since = loop.time()
        try:
            await self._future
        finally:
            self._future = None


@dataclass(slots=True, eq=False)
class TurnStream:
    """A turn as its readers see it."""

    turn_id: UUID
    user_id: UUID
    answers: list[Answer]
    opening: list[Event]
    completed: Event | None = None
    wakers: set[Waker] = field(default_factory=set)
    erased: bool = False  # it is over, and its text is not kept any more

    def wake(self) -> None:
        """Tell every reader that something is there."""
        for waker in self.wakers:
            waker.wake()

    def vector(self) -> str:
        """The offsets after everything so far."""
        return ",".join(str(answer.length) for answer in self.answers)


@dataclass(slots=True)
class _Place:
    """How far a reader is in one answer: by part, by code points, and in the reasoning."""

    offset: int = 0
    reasoning_offset: int = 0
    closed: bool = False


def _take(answer: Answer, offset: int) -> str:
    """The text after ``offset``; usually the last parts, so it is looked for from the end."""
    start = answer.length
    parts = answer.parts
    index = len(parts)
    while index and start > offset:
        index -= 1
        start -= len(parts[index])
    text = parts[index] if len(parts) - index == 1 else "".join(parts[index:])
    return text[offset - start :] if offset > start else text


def _new_events(turn: TurnStream, places: list[_Place]) -> list[Event]:
    found: list[Event] = []
    for answer, place in zip(turn.answers, places, strict=True):
        if answer.reasoning_length > place.reasoning_offset:
            text = "".join(answer.reasoning)[place.reasoning_offset :]
            data = {"message_id": answer.message_id, "offset": place.reasoning_offset, "text": text}
            place.reasoning_offset = answer.reasoning_length
            found.append(Event(events.MESSAGE_REASONING, _vector(places), data))
        if answer.length > place.offset:
            text = _take(answer, place.offset)
            data = {"message_id": answer.message_id, "offset": place.offset, "text": text}
            place.offset = answer.length
            found.append(Event(events.MESSAGE_DELTA, _vector(places), data))
        if answer.closing is not None and not place.closed:
            place.closed = True
            found.append(Event(answer.closing.name, _vector(places), answer.closing.data))
    if turn.completed is not None:
        found.append(Event(turn.completed.name, _vector(places), turn.completed.data))
    return found


def _vector(places: list[_Place]) -> str:
    return str(places[0].offset) if len(places) == 1 else ",".join(str(place.offset) for place in places)


async def follow(turn: TurnStream, after: list[int] | None = None) -> AsyncIterator[list[Event]]:
    """The events of a turn in groups: what is missing after ``after``, then live, until it is completed.

    ``after`` None starts at the beginning, with the opening events. An empty group is a sign of
    life: nothing came for a while. Leaving changes nothing for the turn.
    """
    places = [_Place() for _ in turn.answers]
    if after is None:
        yield [Event(event.name, _vector(places), event.data) for event in turn.opening]
    else:
        for answer, place, offset in zip(turn.answers, places, after, strict=True):
            place.offset = min(offset, answer.length)
            if place.offset:
                # Reasoning is resent whole only while its message has no text.
                place.reasoning_offset = answer.reasoning_length
    waker = Waker()
    turn.wakers.add(waker)
    try:
        while True:
            found = _new_events(turn, places)
            if found:
                yield found
                if found[-1].name == events.TURN_COMPLETED:
                    return
            await waker.sleep()
            if turn.completed is None and not _anything(turn, places):
                yield []
    finally:
        turn.wakers.discard(waker)


def _anything(turn: TurnStream, places: list[_Place]) -> bool:
    return any(
        answer.length > place.offset
        or answer.reasoning_length > place.reasoning_offset
        or (answer.closing is not None and not place.closed)
        for answer, place in zip(turn.answers, places, strict=True)
    )
