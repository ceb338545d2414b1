"""What the database has of turns that other processes produce: how each generation stands, and new text.

One look reads any number of turns in a few statements. Text is read from where the asker's ends, and
only where it has grown. The rows of generations come first: an end that is seen has its whole text
beside it, which the same transaction wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Model

from chat import kept_answers
from chat.models import Generation, KeptAnswer, Message, Turn
from oneai.kit import rows
from quotas.reading import limits_json

_TURN = ("id", "user_id", "conversation_id", "user_message_id", "quote", "context", "door")
_GENERATION = (
    "id",
    "turn_id",
    "user_id",
    "message_id",
    "model_id",
    "tries",
    "state",
    "worker",
    "delivered_bytes",
    "finish_reason",
    "error",
    "usage",
    "finished_at",
)


@dataclass(frozen=True, slots=True)
class Known:
    """How much the asker has of a generation: code points, and the bytes that the row said were delivered."""

    text: int = 0
    reasoning: int = 0
    delivered_bytes: int = -1


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn to look at. ``kept``: what it says may be with the answers that ``/v1`` keeps for a while."""

    kept: bool
    known: dict[UUID, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A generation, where the asker's text ended, and what comes after that in its message or kept answer, if any."""

    generation: dict[str, Any]
    known: Known
    tail: dict[str, Any] | None
    kept: dict[str, Any] | None

    @property
    def ended(self) -> bool:
        return bool(self.generation["state"] != Generation.State.RUNNING)

    @property
    def erased(self) -> bool:
        """Whether it has ended on ``/v1`` and what it said is gone, or is about to be."""
        return self.kept is None or kept_answers.expired(self.generation["finished_at"])


@dataclass(slots=True)
class Found:
    """A turn's generations in order; its owner's limits once all have ended."""

    rows: list[Row] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)


def read_turn(turn_id: UUID, user_id: UUID) -> dict[str, Any] | None:
    """The turn's row, if it is this user's."""
    owner = rows.table(Turn).to_db("user_id", user_id)
    found = rows.select(Turn, _TURN, by="id", values=[turn_id], where="user_id = %s", params=[owner])
    return found[0] if found else None


def look(turns: Mapping[UUID, Asked]) -> dict[UUID, Found]:
    """How these turns stand; one without generations is gone."""
    generations = rows.select(Generation, _GENERATION, by="turn_id", values=turns, order="turn_id, position")
    messages, answers = [], []
    for row in generations:
        asked = turns[row["turn_id"]]
        known = asked.known.get(row["id"], Known())
        if row["delivered_bytes"] == known.delivered_bytes and row["state"] == Generation.State.RUNNING:
            continue
        if row["message_id"]:
            messages.append((row["message_id"], known.text, known.reasoning))
        if asked.kept:
            answers.append((row["id"], known.text, known.reasoning))
    tails = {row["id"]: row for row in _tails(Message, "id", messages)}
    kept = {row["generation_id"]: row for row in _tails(KeptAnswer, "generation_id", answers, whole="tool_calls")}
    found = {turn_id: Found() for turn_id in turns}
    for row in generations:
        known = turns[row["turn_id"]].known.get(row["id"], Known())
        answer = kept.get(row["id"])
        found[row["turn_id"]].rows.append(Row(row, known, tails.get(row["message_id"], answer), answer))
    for turn in found.values():
        if turn.rows and all(row.ended for row in turn.rows):
            turn.limits = limits_json(turn.rows[0].generation["user_id"])
    return found


def read(turn_id: UUID, user_id: UUID) -> tuple[dict[str, Any], Found] | None:
    """This user's turn from the beginning; None when the user has no such turn."""
    turn = read_turn(turn_id, user_id)
    if turn is None:
        return None
    return turn, look({turn_id: Asked(turn["door"] == "v1")})[turn_id]


def _tails(model: type[Model], key: str, starts: Sequence[tuple[UUID, int, int]], *, whole: str = "") -> list[rows.Row]:
    """What comes after so many code points of ``content`` and ``reasoning`` of each row.

    ``starts`` has the value of the row's column ``key`` and the two lengths; ``whole`` is a column to
    read beside them.
    """
    if not starts:
        return []
    table = rows.table(model)
    params = [part for value, *lengths in starts for part in (table.to_db(key, value), *lengths)]
    row = f"(CAST(%s AS {table.types[key]}),CAST(%s AS integer),CAST(%s AS integer))"
    source = f"VALUES {','.join([row] * len(starts))}"
    if table.vendor == "postgresql":
        source, start = f"({source}) AS v(c1,c2,c3)", "v.c"
    else:
        source, start = f"(SELECT * FROM ({source})) AS v", "v.column"  # noqa: S608 (names of ours)
    columns = table.columns
    wanted = f"t.{columns[key]},SUBSTR(t.{columns['content']},{start}2+1),SUBSTR(t.{columns['reasoning']},{start}3+1)"
    names = [key, "content", "reasoning"]
    if whole:
        wanted += f",t.{columns[whole]}"
        names.append(whole)
    sql = f"SELECT {wanted} FROM {source} JOIN {table.name} AS t ON t.{columns[key]}={start}1"  # noqa: S608 (as above)
    return table.decoded(names, rows.query(table, sql, params))
