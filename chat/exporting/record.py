"""What an export says: the branch that a conversation shows, read once for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chat import conversations
from chat.models import Conversation, Message

UNTITLED = "Untitled conversation"


@dataclass(frozen=True, slots=True)
class Said:
    """One message. ``speaker`` is "You", or the model's id."""

    id: UUID
    role: str
    speaker: str
    content: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation as its documents show it, the oldest message first."""

    title: str
    system: str
    created_at: datetime
    messages: list[Said]


def read(conversation: Conversation) -> Record:
    """The branch that is shown, without messages that have no text."""
    ids = conversations.active_path(conversation.pk, conversation.active_message_id)
    found = Message.objects.only("id", "role", "content", "model_id", "created_at").in_bulk(ids)
    said = [found[pk] for pk in ids if pk in found and found[pk].content]
    return Record(
        title=" ".join(conversation.title.split()) or UNTITLED,
        system=conversation.system,
        created_at=conversation.created_at,
        messages=[Said(one.pk, one.role, _speaker(one), one.content, one.created_at) for one in said],
    )


def _speaker(message: Message) -> str:
    return "You" if message.role == Message.Role.USER else message.model_id or "Answer"
