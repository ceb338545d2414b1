"""Turns that other processes produce, or produced: read from the database into local replays.

One mirror per turn and process, however many readers; it lives as long as somebody holds it. Without
Redis all of them are looked at together every quarter of a second; the text there is at most a second
old. With Redis the producer's process tells the text as it comes (chat/relay.py), and the look, once a
second, is what makes good whatever is lost on that way. The database decides how a turn ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from chat import events, tool_calls, turn_reading
from chat.events import Event
from chat.replay import Answer, TurnStream
from chat.turn_reading import Asked, Found, Known, Row
from oneai.kit import database
from oneai.kit.errors import Refusal

log = structlog.get_logger("mirror")

POLL_SECONDS: Final = 0.25
FED_POLL_SECONDS: Final = 1.0
MOST_AT_ONCE: Final = 100
LOOK_SECONDS: Final = 10.0  # a look that is given up is made again: a busy database would never be done with it


@dataclass(slots=True, eq=False)
class Mirror(TurnStream):
    """A turn of the process ``worker``. ``fed``: that process tells what comes, as far as we know."""

    worker: str = ""
    kept: bool = False
    delivered: dict[UUID, int] = field(default_factory=dict)
    due: float = 0.0
    fed: bool = False
    asked_at: float = 0.0

    def asked(self) -> Asked:
        """What to read of it."""
        known = {
            answer.generation_id: Known(
                answer.length, answer.reasoning_length, self.delivered.get(answer.generation_id, -1)
            )
            for answer in self.answers
        }
        return Asked(self.kept, known)

    def absorb(self, found: Found) -> tuple[bool, bool]:
        """Take over what is new; whether anything was, and whether text was that we should have been told."""
        changed = ahead = False
        answers = {answer.generation_id: answer for answer in self.answers}
        for row in found.rows:
            answer = answers[row.generation["id"]]
            if answer.closing is not None:
                continue
            before = answer.length + answer.reasoning_length
            changed = _absorb(answer, row) or changed
            ahead = ahead or answer.length + answer.reasoning_length > before
            if row.tail is not None:
                self.delivered[answer.generation_id] = row.generation["delivered_bytes"]
        if not found.rows:  # deleted, with its conversation or its account
            error = Refusal("not_found").error("")
            for answer in self.answers:
                answer.closing = Event(events.MESSAGE_FAILED, "", {"message_id": answer.message_id, "error": error})
        if all(answer.closing is not None for answer in self.answers):
            self.completed = Event(events.TURN_COMPLETED, "", {"turn_id": self.turn_id, "quota": found.limits})
        return changed or self.completed is not None, ahead


def _absorb(answer: Answer, row: Row) -> bool:
    """Take over what is new in ``row``; whether anything was."""
    changed = False
    for model, reason in _switches(row)[len(answer.switched) :]:
        answer.switch(model, reason)
        changed = True
    before = answer.length + answer.reasoning_length
    if row.tail is not None:
        answer.add_reasoning(row.known.reasoning, row.tail["reasoning"])
        answer.add_text(row.known.text, row.tail["content"])
    if row.kept is not None and (calls := tool_calls.added(answer.tool_calls, row.kept["tool_calls"])):
        answer.tool_calls += calls
        answer.begun = changed = True
    if row.ended:
        answer.closing = _closing(answer, row)
        changed = True
    return changed or answer.length + answer.reasoning_length > before


def _models(row: Row) -> list[tuple[str, str]]:
    """Each model that was asked, in order, and the code with which it failed, empty for the last."""
    tries = [(one["model"], one["code"]) for one in row.generation["tries"] or ()]
    return [*tries, (row.generation["model_id"], "")]


def _switches(row: Row) -> list[tuple[str, str]]:
    """Each model that took over before any text, with the reason; another key of the same model is not told."""
    return [(after, code) for (before, code), (after, _) in pairwise(_models(row)) if after != before]


def _closing(answer: Answer, row: Row) -> Event:
    generation = row.generation
    data: dict[str, Any] = {"message_id": answer.message_id}
    if generation["error"] is not None:
        return Event(events.MESSAGE_FAILED, "", data | {"error": generation["error"]})
    data |= {"model": answer.model, "finish_reason": generation["finish_reason"], "usage": generation["usage"]}
    return Event(events.MESSAGE_COMPLETED, "", data)


def opening(
    turn_id: UUID,
    conversation_id: UUID | None,
    user_message_id: UUID | None,
    answers: list[Answer],
    quote: dict[str, Any],
    context: dict[str, Any],
) -> Event:
    """The ``turn.started`` event."""
    data = {
        "turn_id": turn_id,
        "conversation_id": conversation_id,
        "user_message_id": user_message_id,
        "messages": [{"message_id": answer.message_id, "model": answer.model} for answer in answers],
        "quote": quote,
        "context": context,
    }
    return Event(events.TURN_STARTED, "", data)


async def load(turn_id: UUID, user_id: UUID) -> Mirror:
    """The user's turn as it is now. Refusal ``not_found`` when it is unknown or another's, by the same query."""
    read = await database.run(turn_reading.read, turn_id, user_id)
    if read is None or not read[1].rows:
        raise Refusal("not_found")
    turn, found = read
    answers = []
    for row in found.rows:
        generation = row.generation
        first, _ = _models(row)[0]
        answers.append(Answer(generation["id"], generation["message_id"] or generation["id"], first))
    mirror = Mirror(
        turn_id=turn_id,
        user_id=user_id,
        answers=answers,
        opening=[],
        worker=found.rows[0].generation["worker"],
        kept=turn["door"] == "v1",
    )
    mirror.opening.append(
        opening(turn_id, turn["conversation_id"], turn["user_message_id"], answers, turn["quote"], turn["context"])
    )
    mirror.absorb(found)
    mirror.erased = mirror.kept and mirror.completed is not None and any(row.erased for row in found.rows)
    return mirror


class Mirrors:
    """The mirrors of one process, and the clock that keeps them up to date."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[UUID, Mirror] = WeakValueDictionary()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.ask: Callable[[Mirror], None] = lambda mirror: None

    def __iter__(self) -> Iterator[Mirror]:
        return iter(list(self._turns.values()))

    async def find(self, turn_id: UUID, user_id: UUID) -> Mirror:
        """The user's turn. Refusal ``not_found``."""
        mirror = self._turns.get(turn_id)
        if mirror is not None and mirror.user_id == user_id and mirror.completed is None:
            return mirror
        mirror = await load(turn_id, user_id)
        if mirror.completed is not None:
            return mirror
        known = self._turns.get(turn_id)
        if known is not None and known.completed is None:
            return known
        self._turns[turn_id] = mirror
        self.ask(mirror)
        return mirror

    def hear(self, turn_id: UUID, pieces: Iterable[tuple[str, int, int, str]], look: bool) -> bool:
        """Take over what the producer's process tells; False when nobody here reads this turn.

        A piece is its kind (``message.delta`` or ``message.reasoning``), the answer's number, the offset
        and the text; of ``message.model`` the text is the model and the reason. ``look``: the database has news.
        """
        mirror = self._turns.get(turn_id)
        if mirror is None or mirror.completed is not None:
            return False
        mirror.fed = True
        for kind, number, offset, text in pieces:
            answer = mirror.answers[number]
            if answer.closing is not None:
                continue
            if kind == events.MESSAGE_MODEL:
                if offset == len(answer.switched):
                    answer.switch(*text.split(" ", 1))
                continue
            add = answer.add_text if kind == events.MESSAGE_DELTA else answer.add_reasoning
            if not add(offset, text):
                # Something was lost on the way: the database has it, or will within a second.
                mirror.fed, look = False, True
                self.ask(mirror)
                break
        if look:
            mirror.due = 0.0
            self._news.set()
        mirror.wake()
        return True

    def unfed(self) -> None:
        """Nobody tells anything any more: the database has it all."""
        for mirror in self:
            mirror.fed, mirror.due = False, 0.0

    async def run(self) -> None:
        """Keep them up to date, for ever."""
        while True:
            await self._pause()
            at = self._loop.time()
            due = [mirror for mirror in self if mirror.wakers and mirror.completed is None and mirror.due <= at]
            for start in range(0, len(due), MOST_AT_ONCE):
                try:
                    await self._look(due[start : start + MOST_AT_ONCE])
                except Refusal:
                    break  # an outage: the readers wait with us
                except Exception:
                    log.exception("mirrors_not_read")
                    break
            del due  # what nobody else holds may go

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _look(self, mirrors: list[Mirror]) -> None:
        at = self._loop.time()
        for mirror in mirrors:
            mirror.due = at + (FED_POLL_SECONDS if mirror.fed else POLL_SECONDS)
        asked = {mirror.turn_id: mirror.asked() for mirror in mirrors}
        found = await database.run(turn_reading.look, asked, seconds=LOOK_SECONDS)
        for mirror in mirrors:
            changed, ahead = mirror.absorb(found[mirror.turn_id])
            if mirror.completed is None and (ahead or not mirror.fed):
                mirror.fed = False
                self.ask(mirror)
            if changed:
                mirror.wake()
