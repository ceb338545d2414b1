"""The rows of conversations and messages that a turn begins with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chat.models import Message
from chat.turn_jobs import Start


def new_conversation(
    job: Start, conversation_id: UUID, user_id: UUID, title: str, leaf: UUID, at: datetime
) -> dict[str, Any]:
    """The row of a conversation that begins with this turn."""
    return {
        "id": conversation_id,
        "user_id": user_id,
        "title": title,
        "title_source": "auto",
        "model": job.model.slug,
        "system": job.system or "",
        "tags": [],
        "pinned": False,
        "archived": False,
        "temporary": job.temporary,
        "active_message_id": leaf,
        "message_count": 2,
        "metadata": {},
        "created_at": at,
        "updated_at": at,
        "last_message_at": at,
    }


def changed_conversation(job: Start, conversation: dict[str, Any], leaf: UUID, at: datetime) -> dict[str, Any]:
    """The changes of a conversation that goes on; ``conversation`` itself follows, for the next job of the batch."""
    conversation["message_count"] += 2
    conversation["active_message_id"] = leaf
    return {
        "id": conversation["id"],
        "model": job.model.slug,
        "active_message_id": leaf,
        "message_count": conversation["message_count"],
        "updated_at": at,
        "last_message_at": at,
    }


def question_and_answer(
    job: Start,
    conversation_id: UUID | None,
    user_id: UUID,
    question: UUID,
    answer: UUID,
    generation_id: UUID,
    leaf: UUID | None,
    at: datetime,
) -> list[dict[str, Any]]:
    """The two messages of a turn: what was asked, and the empty answer that its producer will fill."""
    common: dict[str, Any] = {
        "conversation_id": conversation_id,
        "user_id": user_id,
        "content_html": "",
        "html_version": 0,
        "reasoning": "",
        "tokens_used": 0,
        "finish_reason": "",
        "metadata": {},
    }
    return [
        common
        | {
            "id": question,
            "role": Message.Role.USER,
            "content": job.content,
            "status": Message.Status.COMPLETE,
            "model_id": "",
            "generation_id": None,
            "parent_message_id": leaf,
            "created_at": at,
        },
        common
        | {
            "id": answer,
            "role": Message.Role.ASSISTANT,
            "content": "",
            "status": Message.Status.STREAMING,
            "model_id": job.model.slug,
            "generation_id": generation_id,
            "parent_message_id": question,
            "created_at": at + timedelta(microseconds=1),
        },
    ]
