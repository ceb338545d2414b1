"""The rows that a turn begins with: its conversation and messages, itself and its generations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chat import attached
from chat.models import Generation, Message
from chat.turn_jobs import Kind, Start, Started
from oneai.kit.rows import Row

INSTEAD_OF, BECAUSE = "instead_of", "because"
"""Keys of an answer's metadata: the model that was asked and gave way to this one, and the code of its failure."""


def new_conversation(job: Start, started: Started, at: datetime) -> Row:
    """The row of a conversation that begins with this turn; its first answer is the one that is shown."""
    return {
        "id": started.conversation_id,
        "user_id": started.user_id,
        "title": started.title,
        "title_source": "auto",
        "model": job.models[0].slug,
        "system": job.system or "",
        "tags": [],
        "pinned": False,
        "archived": False,
        "temporary": job.temporary,
        "active_message_id": started.generations[0].message_id,
        "message_count": 1 + len(started.generations),
        "metadata": {},
        "created_at": at,
        "updated_at": at,
        "last_message_at": at,
    }


def changed_conversation(job: Start, conversation: Row, started: Started, at: datetime) -> Row:
    """The changes of a conversation that goes on; ``conversation`` itself follows, for the next job of the batch."""
    conversation["message_count"] += len(started.generations) + (job.kind is Kind.SEND)
    conversation["active_message_id"] = started.generations[0].message_id
    return {
        "id": conversation["id"],
        "model": job.models[0].slug,
        "active_message_id": conversation["active_message_id"],
        "message_count": conversation["message_count"],
        "updated_at": at,
        "last_message_at": at,
    }


def message_row(started: Started) -> Row:
    """What is the same in every new message of a turn."""
    return {
        "conversation_id": started.conversation_id,
        "user_id": started.user_id,
        "content_html": "",
        "html_version": 0,
        "reasoning": "",
        "tokens_used": 0,
        "finish_reason": "",
        "attached_bytes": 0,
        "attached_images": 0,
        "attached_tiles": 0,
    }


def question(job: Start, started: Started, parent: UUID | None, at: datetime) -> Row:
    """What was asked."""
    return message_row(started) | {
        "id": started.user_message_id,
        "role": Message.Role.USER,
        "content": job.content,
        "status": Message.Status.COMPLETE,
        "model_id": "",
        "generation_id": None,
        "parent_message_id": parent,
        "metadata": {},
        "created_at": at,
        **attached.columns(job.attached),
    }


def answer_metadata(job: Start) -> dict[str, Any]:
    """What an answer's message keeps of the wish behind it."""
    metadata: dict[str, Any] = {}
    if job.instruction:
        metadata["instruction"] = job.instruction
    if job.kind is Kind.CONTINUE:
        metadata["continues"] = str(job.message_id)
    return metadata


def answers(job: Start, started: Started, parent: UUID | None, at: datetime) -> list[Row]:
    """The answers that the producers will fill, side by side below the question.

    They are of the same moment; what tells them apart in every order is their ids, which rise.
    """
    metadata = answer_metadata(job)
    return [
        message_row(started)
        | {
            "id": generation.message_id,
            "role": Message.Role.ASSISTANT,
            "content": generation.prefix,
            "status": Message.Status.STREAMING,
            "model_id": generation.model.slug,
            "generation_id": generation.generation_id,
            "parent_message_id": parent,
            "metadata": metadata,
            "created_at": at + timedelta(microseconds=1),
        }
        for generation in started.generations
    ]


def turn_row(job: Start, started: Started, api_key_id: UUID | None, at: datetime) -> Row:
    """The turn itself."""
    return {
        "id": started.turn_id,
        "user_id": started.user_id,
        "conversation_id": started.conversation_id,
        "user_message_id": started.user_message_id,
        "api_key_id": api_key_id,
        "door": job.door,
        "idempotency_key": job.idempotency_key,
        "body_digest": job.body_digest,
        "quote": started.quote,
        "context": started.context,
        "created_at": at,
    }


def generation_rows(job: Start, started: Started, at: datetime) -> list[Row]:
    """The turn's generations, running, in the order in which they were asked for."""
    return [
        {
            "id": generation.generation_id,
            "turn_id": started.turn_id,
            "user_id": started.user_id,
            "position": position,
            "message_id": generation.message_id if job.stored else None,
            "model_id": generation.model.slug,
            "hold_id": generation.hold_id,
            "price_id": generation.price.id,
            "state": Generation.State.RUNNING,
            "worker": job.worker,
            "upstream": generation.model.upstream,
            "upstream_id": "",
            "prompt_estimate": generation.prompt_estimate,
            "delivered_bytes": 0,
            "finish_reason": "",
            "created_at": at,
        }
        for position, generation in enumerate(started.generations)
    ]
