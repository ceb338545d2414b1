"""``"store": true``: the messages of an OpenAI request as a conversation of the user, like any other.

What has text becomes a message. What has none (calls of tools and what they gave) is kept as it came in the
metadata of the message before it. Images are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chat import openai_messages, titles
from chat.models import Message
from chat.turn_jobs import Start, Started
from chat.turn_rows import answers, message_row, new_conversation
from oneai.kit.clock import uuid7
from oneai.kit.rows import Row

RAW = "openai_messages"


def begin(job: Start, started: Started, at: datetime) -> tuple[Row, list[Row]]:
    """The rows of the conversation and of its messages, the empty answer last; ``started`` learns its ids."""
    assert job.messages is not None
    started.conversation_id = uuid7()
    path = _path(started, job.messages, at)
    asked = [row for row in path if row["role"] == Message.Role.USER]
    started.user_message_id = asked[-1]["id"] if asked else None
    started.title = titles.from_words(asked[0]["content"] if asked else "")
    conversation = new_conversation(job, started, at) | {
        "system": _text(_system(job.messages)),
        "message_count": len(path) + len(started.generations),
    }
    return conversation, [*path, *answers(job, started, path[-1]["id"] if path else None, at)]


def _system(messages: Sequence[dict[str, Any]]) -> str:
    texts = (openai_messages.text_of(message) for message in messages if message["role"] == "system")
    return "\n\n".join(filter(None, texts))


def _path(started: Started, messages: Sequence[dict[str, Any]], at: datetime) -> list[Row]:
    path: list[Row] = []
    parent: UUID | None = None
    for message in messages:
        if message["role"] == "system":
            continue
        text = _text(openai_messages.text_of(message))
        if text.strip() and message["role"] in Message.Role.values:
            path.append(
                message_row(started)
                | {
                    "id": uuid7(),
                    "role": message["role"],
                    "content": text,
                    "status": Message.Status.COMPLETE,
                    "model_id": "",
                    "generation_id": None,
                    "parent_message_id": parent,
                    "metadata": {},
                }
            )
            parent = path[-1]["id"]
        if path and (set(message) > {"role", "content"} or not text.strip()):
            path[-1]["metadata"].setdefault(RAW, []).append(_storable(message))
    for place, row in enumerate(path):  # in order, and all before the answer
        row["created_at"] = at - timedelta(microseconds=len(path) - place)
    return path


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd")  # which PostgreSQL does not store


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_storable(one) for one in value if not (isinstance(one, dict) and one.get("type") == "image_url")]
    if isinstance(value, dict):
        return {_text(name): _storable(one) for name, one in value.items()}
    return value
