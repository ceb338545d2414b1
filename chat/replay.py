"""What a turn has said so far, in memory, and readers that follow it from any offset.

The producer appends and wakes; it never waits for a reader and never knows how many there are. A
reader takes what came since it last looked, so a slow one gets fewer, longer deltas, in groups small
enough that what waits for its socket stays small. The text is kept once for all readers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from uuid import UUID

import orjson

from chat import events
from chat.events import Event

# Code points of a group of events. None takes more than six bytes, however it is written: 60,000
# bytes, less than a socket's write buffer takes before it makes its writer wait.
MOST_TEXT: Final = 10_000
FAR_BEHIND: Final = 512  # parts; behind that the parts are joined before they are looked through


def _joined(parts: list[str]) -> str:
    """All parts as one text; joined once and kept joined."""
    if len(parts) > 1:
        joined = "".join(parts)
        parts[:] = [joined]
        return joined
    return parts[0] if parts else ""


@dataclass(slots=True, eq=False)
class Answer:
    """One generation's output. ``length`` counts code points of ``parts``; ``closing`` ends it.

    ``switched`` has each model that took over before any text, with the reason.
    """

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
    switched: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """All of the text so far; joined once and kept joined."""
        return _joined(self.parts)

    def thoughts(self) -> str:
        """All of the reasoning so far; joined once and kept joined."""
        return _joined(self.reasoning)

    def switch(self, model: str, reason: str) -> None:
        """Another model takes over, before any text."""
        self.model = model
        self.switched.append((model, reason))

    def add_text(self, offset: int, text: str) -> bool:
        """Add what is new in ``text``, which belongs at ``offset``; False when something before it is missing."""
        if offset > self.length:
            return False
        if new := text[self.length - offset :]:
            self.parts.append(new)
            self.length += len(new)
            self.begun = True
        return True

    def add_reasoning(self, offset: int, text: str) -> bool:
        """As ``add_text``, for the reasoning."""
        if offset > self.reasoning_length:
            return False
        if new := text[self.reasoning_length - offset :]:
            self.reasoning.append(new)
            self.reasoning_length += len(new)
            self.begun = True
        return True


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

    def forget(self) -> None:
        """Drop a kept wake-up: its reader is about to look anyway."""
        self._woken = False

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


@dataclass(slots=True, eq=False, weakref_slot=True)
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

    @contextmanager
    def listening(self) -> Iterator[Waker]:
        """A waker that hears of everything new in this block."""
        waker = Waker()
        self.wakers.add(waker)
        try:
            yield waker
        finally:
            self.wakers.discard(waker)

    def size(self) -> int:
        """About how many bytes of memory it takes."""
        total = 4096
        for answer in self.answers:
            total += sys.getsizeof(answer.text()) + sys.getsizeof(answer.thoughts())
            if answer.tool_calls:
                total += 4 * len(orjson.dumps(answer.tool_calls, default=str))
        return total


@dataclass(slots=True)
class Place:
    """How far a reader is in one answer: by code points of the text and of the reasoning.

    A reader that comes back with some text has seen the reasoning before it, however long that was:
    its ``reasoning`` is None until the answer here is as far as the reader.
    """

    text: int = 0
    reasoning: int | None = 0
    switched: int = 0
    closed: bool = False


def places_after(turn: TurnStream, after: list[int] | None) -> list[Place]:
    """Where a reader goes on that has the text up to ``after``; at the beginning without it.

    An offset may be ahead of the text here: another process wrote it, and it is on its way.
    """
    if after is None:
        return [Place() for _ in turn.answers]
    return [
        # No model takes over once there is text: who has some has seen every switch.
        Place(offset, None if offset else 0, sys.maxsize if offset else 0)
        for _, offset in zip(turn.answers, after, strict=True)
    ]


def _take(parts: list[str], length: int, offset: int, most: int) -> str:
    """Up to ``most`` code points after ``offset``, which is usually near the end and so looked for from there."""
    start = length
    index = len(parts)
    while start > offset:
        index -= 1
        start -= len(parts[index])
        if len(parts) - index > FAR_BEHIND:
            _joined(parts)
            index = start = 0
    taken = parts[index][offset - start : offset - start + most]
    if index + 1 == len(parts):
        return taken
    pieces, room = [taken], most - len(taken)
    for part in islice(parts, index + 1, None):
        if not room:
            break
        pieces.append(part[:room])
        room -= len(pieces[-1])
    return "".join(pieces)


def _next_group(turn: TurnStream, places: list[Place]) -> tuple[list[Event], bool]:
    """What comes next for the reader at ``places``, which are moved on; and whether more may be waiting."""
    found: list[Event] = []
    room = MOST_TEXT
    for answer, place in zip(turn.answers, places, strict=True):
        message_id = answer.message_id
        if place.switched < len(answer.switched):
            for model, reason in answer.switched[place.switched :]:
                data: dict[str, Any] = {"message_id": message_id, "model": model, "reason": reason}
                found.append(Event(events.MESSAGE_MODEL, _vector(places), data))
            place.switched = len(answer.switched)
        if place.reasoning is None and answer.length >= place.text:
            place.reasoning = answer.reasoning_length
        if room and place.reasoning is not None and answer.reasoning_length > place.reasoning:
            text = _take(answer.reasoning, answer.reasoning_length, place.reasoning, room)
            data = {"message_id": message_id, "offset": place.reasoning, "text": text}
            place.reasoning += len(text)
            room -= len(text)
            found.append(Event(events.MESSAGE_REASONING, _vector(places), data))
        if room and answer.length > place.text:
            text = _take(answer.parts, answer.length, place.text, room)
            data = {"message_id": message_id, "offset": place.text, "text": text}
            place.text += len(text)
            room -= len(text)
            found.append(Event(events.MESSAGE_DELTA, _vector(places), data))
        if room and answer.closing is not None and not place.closed:
            place.closed = True
            place.text = answer.length  # a reader may have seen more than a crash has left
            found.append(Event(answer.closing.name, _vector(places), answer.closing.data))
    if room and turn.completed is not None:
        found.append(Event(turn.completed.name, _vector(places), turn.completed.data))
    return found, not room


def _vector(places: list[Place]) -> str:
    return str(places[0].text) if len(places) == 1 else ",".join(str(place.text) for place in places)


async def follow(turn: TurnStream, after: list[int] | None = None) -> AsyncIterator[list[Event]]:
    """The events of a turn in groups: what is missing after ``after``, then live, until it is completed.

    ``after`` None starts at the beginning, with the opening events. A group has at most ``MOST_TEXT``
    code points of text. An empty group is a sign of life: nothing came for a while. Leaving changes
    nothing for the turn.
    """
    places = places_after(turn, after)
    opening = [Event(event.name, _vector(places), event.data) for event in turn.opening] if after is None else []
    async for group in follow_from(turn, places, opening):
        yield group


async def follow_from(turn: TurnStream, places: list[Place], opening: list[Event]) -> AsyncIterator[list[Event]]:
    """As ``follow``, from ``places``, after the ``opening`` events."""
    with turn.listening() as waker:
        if opening:
            yield opening
        woken = False
        while True:
            waker.forget()
            found, more = _next_group(turn, places)
            if found:
                yield found
                if found[-1].name == events.TURN_COMPLETED:
                    return
            elif woken:
                yield []
            if more:
                await asyncio.sleep(0)  # a long way to catch up: others have their turn, too
            else:
                await waker.sleep()
            woken = not more
