"""A whole conversation as JSON: every branch, and all that is needed to bring it in again."""

from __future__ import annotations

from typing import Any, Final

import orjson

from chat.models import Conversation, Message
from oneai.kit import clock

FORMAT: Final = "oneai.conversation"
VERSION: Final = 1
_COLUMNS: Final = (
    "id", "role", "content", "reasoning", "status", "model_id", "finish_reason", "parent_message_id", "created_at",
)  # fmt: skip


def as_json(conversation: Conversation) -> bytes:
    """The document that ``chat.importing.own`` reads."""
    return orjson.dumps(as_dict(conversation), option=orjson.OPT_INDENT_2)


def as_dict(conversation: Conversation) -> dict[str, Any]:
    """The same, as a dictionary."""
    rows = Message.objects.filter(conversation=conversation).order_by("created_at", "id").values(*_COLUMNS)
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": clock.utc_text(clock.now()),
        "conversation": {
            "id": str(conversation.pk),
            "title": conversation.title,
            "model": conversation.model or None,
            "system": conversation.system or None,
            "folder": conversation.folder.name if conversation.folder else None,
            "tags": conversation.tags,
            "pinned": conversation.pinned,
            "archived": conversation.archived,
            "metadata": conversation.metadata,
            "active_message_id": str(conversation.active_message_id) if conversation.active_message_id else None,
            "created_at": clock.utc_text(conversation.created_at),
            "last_message_at": clock.utc_text(conversation.last_message_at),
        },
        "messages": [
            {
                "id": str(row["id"]),
                "parent_message_id": str(row["parent_message_id"]) if row["parent_message_id"] else None,
                "role": row["role"],
                "content": row["content"],
                "reasoning": row["reasoning"] or None,
                "status": row["status"],
                "model": row["model_id"] or None,
                "finish_reason": row["finish_reason"] or None,
                "created_at": clock.utc_text(row["created_at"]),
            }
            for row in rows
        ],
    }
