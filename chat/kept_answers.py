"""What ``/v1`` answered under an idempotency key, kept for ten minutes so that a retry finds it anywhere.

The text is written while it comes, as a message's is, and is whole in the transaction that settles: a
retry in another process, or after a restart, follows the row. How it ended is in the generation's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from chat.models import KeptAnswer
from oneai.kit import rows
from oneai.kit.clock import now

KEPT: Final = timedelta(minutes=10)  # after the end of the answer


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer so far; ``tool_calls`` are joined ones."""

    generation_id: UUID
    content: str
    reasoning: str
    tool_calls: list[dict[str, Any]]


def opened(generation_id: UUID) -> dict[str, Any]:
    """The row of an answer that is about to be written."""
    return {"generation_id": generation_id, "content": "", "reasoning": "", "tool_calls": []}


def save(answers: Iterable[Kept | None]) -> None:
    """Write down what there is of each answer that is kept."""
    changed = [
        {
            "generation_id": kept.generation_id,
            "content": kept.content,
            "reasoning": kept.reasoning,
            "tool_calls": kept.tool_calls,
        }
        for kept in answers
        if kept is not None
    ]
    rows.update(KeptAnswer, changed)


def read(generation_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """The rows of these generations' answers that are still kept, by generation."""
    names = ("generation_id", "content", "reasoning", "tool_calls")
    found = rows.select(KeptAnswer, names, by="generation_id", values=generation_ids)
    return {row["generation_id"]: row for row in found}


def expired(finished_at: datetime | None) -> bool:
    """Whether an answer that ended at ``finished_at`` is past its time; False while it runs."""
    return finished_at is not None and finished_at < now() - KEPT


def erase() -> int:
    """Delete what is past its time; returns how many answers went."""
    late = KeptAnswer.objects.filter(generation__finished_at__lt=now() - KEPT)
    return late.delete()[0] if late.exists() else 0
