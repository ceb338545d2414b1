"""Where a turn belongs in its conversation's tree, from the rows that were read: refused here, it costs no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from chat.models import Message
from chat.turn_jobs import Kind, Start
from oneai.kit.errors import Refusal
from oneai.kit.rows import Row

CUT: Final = frozenset({Message.Status.STOPPED.value, Message.Status.INTERRUPTED.value})
CUT_REASONS: Final = frozenset({"length", "quota"})
CONVERSATION: Final = (
    "id",
    "user_id",
    "system",
    "active_message_id",
    "message_count",
    "deleted_at",
    "title",
    "temporary",
)
MESSAGE: Final = ("id", "conversation_id", "role", "status", "finish_reason", "parent_message_id")


@dataclass(frozen=True, slots=True)
class Place:
    """A turn's place. ``leaf`` ends the messages that lead to it; None: it begins a conversation.

    ``question`` is the message that is answered once more; None: the turn brings its own.
    """

    conversation: Row | None = None
    leaf: UUID | None = None
    question: UUID | None = None
    system: str = ""


def place_of(job: Start, user_id: UUID, conversations: Mapping[UUID, Row], messages: Mapping[UUID, Row]) -> Place:
    """The place of ``job``. Refusals ``not_found``, ``conflict``, ``invalid_value``."""
    if job.conversation_id is None:
        if job.parent_message_id is not None:
            raise Refusal("invalid_value", "A parent needs its conversation.", param="parent_message_id")
        return Place(system=job.system or "")
    conversation = conversations.get(job.conversation_id)
    if conversation is None or conversation["user_id"] != user_id or conversation["deleted_at"] is not None:
        raise Refusal("not_found")
    if job.temporary and not conversation["temporary"]:
        raise Refusal("invalid_value", "Only a new conversation can be temporary.", param="temporary")
    system = conversation["system"] if job.system is None else job.system
    if job.kind is Kind.SEND:
        return Place(conversation, _parent(job, conversation, messages), None, system)
    target = messages.get(job.message_id) if job.message_id else None
    if target is None or target["conversation_id"] != conversation["id"]:
        raise Refusal("not_found")
    if target["status"] == Message.Status.STREAMING:
        raise Refusal("conflict", "This answer is still being written.")
    if job.kind is Kind.CONTINUE and not is_cut(target):
        raise Refusal("conflict", "Only an answer that was cut can be continued.")
    question = target["id"] if target["role"] == Message.Role.USER else target["parent_message_id"]
    if question is None:
        raise Refusal("conflict", "There is no question that this message answers.")
    return Place(conversation, target["id"] if job.kind is Kind.CONTINUE else question, question, system)


def is_cut(message: Row) -> bool:
    """Whether the message is an answer that ended before its end, and so can be continued."""
    return message["role"] == Message.Role.ASSISTANT and (
        message["status"] in CUT
        or (message["status"] == Message.Status.COMPLETE and message["finish_reason"] in CUT_REASONS)
    )


def _parent(job: Start, conversation: Row, messages: Mapping[UUID, Row]) -> UUID | None:
    """The message below which the new one goes: the one named, else the one that is shown."""
    leaf: UUID | None = job.parent_message_id or conversation["active_message_id"]
    if leaf is None:
        return None
    parent = messages.get(leaf)
    if parent is None and job.parent_message_id is None:
        # Another send of this very batch has just put its answer there.
        raise Refusal("conflict", "An answer is still being written here.")
    if parent is None or parent["conversation_id"] != conversation["id"]:
        raise Refusal("not_found", "The parent message is not in this conversation.", param="parent_message_id")
    if parent["role"] != Message.Role.ASSISTANT and job.parent_message_id is not None:
        raise Refusal("invalid_value", "The parent must be an answer.", param="parent_message_id")
    if parent["status"] == Message.Status.STREAMING:
        raise Refusal("conflict", "An answer is still being written here.")
    return leaf
