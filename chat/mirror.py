"""A turn that another process produces, or produced: read from the database into a local replay.

One mirror per turn and process, however many readers. Without Redis it looks every quarter of a
second; the text there is at most a second old.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from chat import events, kept_answers, tool_calls
from chat.events import Event
from chat.models import Generation, Message, Turn
from chat.replay import Answer, TurnStream
from oneai.kit import database, rows
from oneai.kit.errors import Refusal
from quotas.reading import limits_json

POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """One generation with its message, or with its answer that is kept for a while, as the database has them."""

    generation: dict[str, Any]
    message: dict[str, Any] | None
    kept: dict[str, Any] | None

    @property
    def erased(self) -> bool:
        """Whether it has ended on ``/v1`` and what it said is gone, or is about to be."""
        return self.kept is None or kept_answers.expired(self.generation["finished_at"])


def _read(turn_id: UUID) -> tuple[dict[str, Any], list[Row]] | None:
    turns = rows.select(
        Turn,
        ("id", "user_id", "conversation_id", "user_message_id", "quote", "context", "door"),
        by="id",
        values=[turn_id],
    )
    if not turns:
        return None
    generations = rows.select(
        Generation,
        ("id", "message_id", "model_id", "state", "finish_reason", "error", "usage", "finished_at"),
        by="turn_id",
        values=[turn_id],
        order="position",
    )
    messages = {
        row["id"]: row
        for row in rows.select(
            Message,
            ("id", "content", "reasoning", "status", "finish_reason", "error", "usage"),
            by="id",
            values=[row["message_id"] for row in generations if row["message_id"]],
        )
    }
    kept = kept_answers.read(row["id"] for row in generations) if turns[0]["door"] == "v1" else {}
    return turns[0], [Row(row, messages.get(row["message_id"]), kept.get(row["id"])) for row in generations]


def _limits(user_id: UUID) -> list[dict[str, Any]]:
    return limits_json(user_id)


def _absorb(answer: Answer, row: Row) -> bool:
    """Take over what is new in ``row``; whether anything was."""
    changed = False
    message = row.message or row.kept or {"content": "", "reasoning": ""}
    content, reasoning = message["content"], message["reasoning"]
    if len(content) > answer.length:
        answer.parts.append(content[answer.length :])
        answer.length = len(content)
        changed = True
    if len(reasoning) > answer.reasoning_length:
        answer.reasoning.append(reasoning[answer.reasoning_length :])
        answer.reasoning_length = len(reasoning)
        changed = True
    if row.kept and (calls := tool_calls.added(answer.tool_calls, row.kept["tool_calls"])):
        answer.tool_calls += calls
        changed = True
    answer.begun = answer.begun or changed
    if row.generation["state"] != Generation.State.RUNNING and answer.closing is None:
        answer.closing = _closing(answer, row)
        changed = True
    return changed


def _closing(answer: Answer, row: Row) -> Event:
    generation = row.generation
    data: dict[str, Any] = {"message_id": answer.message_id}
    if generation["error"] is not None:
        return Event(events.MESSAGE_FAILED, "", data | {"error": generation["error"]})
    usage = (row.message or generation)["usage"] or generation["usage"]
    data |= {"model": answer.model, "finish_reason": generation["finish_reason"], "usage": usage}
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


async def load(turn_id: UUID) -> TurnStream:
    """The turn as it is now. Refusal ``not_found`` when there is none. ``watch`` keeps it up to date."""
    found = await database.run(_read, turn_id)
    if found is None:
        raise Refusal("not_found")
    turn, read = found
    answers = [
        Answer(row.generation["id"], row.generation["message_id"] or row.generation["id"], row.generation["model_id"])
        for row in read
    ]
    stream = TurnStream(turn_id=turn_id, user_id=turn["user_id"], answers=answers, opening=[])
    stream.opening.append(
        opening(turn_id, turn["conversation_id"], turn["user_message_id"], answers, turn["quote"], turn["context"])
    )
    for answer, row in zip(answers, read, strict=True):
        _absorb(answer, row)
    await _complete(stream)
    stream.erased = turn["door"] == "v1" and stream.completed is not None and any(row.erased for row in read)
    return stream


async def _complete(stream: TurnStream) -> None:
    if all(answer.closing is not None for answer in stream.answers):
        limits = await database.run(_limits, stream.user_id)
        stream.completed = Event(events.TURN_COMPLETED, "", {"turn_id": stream.turn_id, "quota": limits})


async def watch(stream: TurnStream) -> None:
    """Follow the rows until the turn is completed or nobody reads any more."""
    while stream.completed is None:
        await asyncio.sleep(POLL_SECONDS)
        if not stream.wakers:
            return
        try:
            found = await database.run(_read, stream.turn_id)
        except Refusal:
            continue  # an outage: the readers wait with us
        if found is None:
            return
        changed = [_absorb(answer, row) for answer, row in zip(stream.answers, found[1], strict=True)]
        if any(changed):
            await _complete(stream)
            stream.wake()
