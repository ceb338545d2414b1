"""Turns told from process to process as they come, through Redis, for readers that are not where the producer is.

A process with a reader asks the producer's process, whose name is in the generation's row, for what
comes after what it has. There the asker is one more reader: it hinders nobody, and gets joined deltas
when the way is slow. Nobody asks, nothing is sent. Whatever is lost on the way the database makes good.

Letters: ``["follow", turn, asker, [[text, reasoning, switched], …]]`` and ``["told", turn, teller, pieces, look]``,
where a piece is ``[event, answer, offset, text]`` (of another model: which it is, and "model reason") and
``look`` says that the database has news (an end); ``["leave", turn, asker]``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final
from uuid import UUID

from chat import events
from chat.events import Event
from chat.mirror import Mirror, Mirrors
from chat.replay import Place, TurnStream, follow_from
from oneai.kit.post import Letter, Post

ASK_SECONDS: Final = 1.0  # between two wishes to be told of the same turn
MOST_TOLD: Final = 5000

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Relay:
    """One process's part: it tells of the turns it produces, and asks for those it mirrors."""

    def __init__(self, url: str, name: str, turns: dict[UUID, TurnStream], mirrors: Mirrors, spawn: Spawn) -> None:
        """``turns`` are the ones produced here. ValueError when ``url`` is none of Redis's."""
        self.post = Post(url, name, deliver=self._read, changed=self._changed)
        self._turns = turns
        self._mirrors = mirrors
        self._spawn = spawn
        self._told: dict[tuple[UUID, str], asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        mirrors.ask = self._ask

    def _changed(self, up: bool) -> None:
        if up:
            for mirror in self._mirrors:
                self._ask(mirror)
        else:
            self._mirrors.unfed()
            for task in list(self._told.values()):
                task.cancel()

    def _read(self, letter: Letter) -> None:
        kind, turn, name, *rest = letter
        turn_id = UUID(turn)
        if kind == "told":
            pieces, look = rest
            if not self._mirrors.hear(turn_id, pieces, look):
                self.post.send(name, ["leave", turn, self.post.name])
        elif kind == "follow":
            self._follow(turn_id, name, rest[0])
        elif kind == "leave" and (task := self._told.get((turn_id, name))):
            task.cancel()

    # Asking ---------------------------------------------------------------------------------------

    def _ask(self, mirror: Mirror) -> None:
        at = self._loop.time()
        if not self.post.up or not mirror.worker or at - mirror.asked_at < ASK_SECONDS:
            return
        mirror.asked_at = at
        places = [[answer.length, answer.reasoning_length, len(answer.switched)] for answer in mirror.answers]
        self.post.send(mirror.worker, ["follow", mirror.turn_id.hex, self.post.name, places])

    # Telling --------------------------------------------------------------------------------------

    def _follow(self, turn_id: UUID, asker: str, places: list[list[int]]) -> None:
        turn = self._turns.get(turn_id)
        key = (turn_id, asker)
        before = self._told.get(key)
        if turn is None or len(places) != len(turn.answers) or (before is None and len(self._told) >= MOST_TOLD):
            return
        if before is not None:
            before.cancel()
        start = [Place(text=text, reasoning=reasoning, switched=switched) for text, reasoning, switched in places]
        task = self._told[key] = self._spawn(self._tell(turn, asker, start))

        def ended(done: asyncio.Task[None]) -> None:
            if self._told.get(key) is done:
                del self._told[key]

        task.add_done_callback(ended)

    async def _tell(self, turn: TurnStream, asker: str, places: list[Place]) -> None:
        """Tell the asker until the turn is completed or nobody is there; each letter only when the last has gone."""
        numbers = {answer.message_id: number for number, answer in enumerate(turn.answers)}
        if not await self._send(turn, asker, numbers, []):
            return
        async for group in follow_from(turn, places, []):
            if not await self._send(turn, asker, numbers, group):
                return

    async def _send(self, turn: TurnStream, asker: str, numbers: dict[UUID, int], group: list[Event]) -> bool:
        pieces, look = [], False
        for name, _, data in group:
            if name in {events.MESSAGE_DELTA, events.MESSAGE_REASONING}:
                pieces.append([name, numbers[data["message_id"]], data["offset"], data["text"]])
            elif name == events.MESSAGE_MODEL:
                number = numbers[data["message_id"]]
                which = turn.answers[number].switched.index((data["model"], data["reason"]))
                pieces.append([name, number, which, f"{data['model']} {data['reason']}"])
            else:
                look = True
        return await self.post.send(asker, ["told", turn.turn_id.hex, self.post.name, pieces, look])
