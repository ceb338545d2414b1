"""Conversations: made, changed, put in the bin and out of it, listed and searched; and paths in their trees.

The one writer of a conversation's own columns outside of a turn (a turn moves its leaf and its count).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from chat.models import Conversation, Message
from oneai.kit import clock, rows

DEEPEST: Final = 100_000
"""More messages in a row than any conversation has: ends a path whose data go round in a circle."""


_UP: Final = (
    "WITH RECURSIVE path(id, parent, conversation, depth) AS ("
    "SELECT id, parent_message_id, conversation_id, 1 FROM chat_messages WHERE id = %s "
    "UNION ALL "
    "SELECT m.id, m.parent_message_id, m.conversation_id, path.depth + 1 FROM path "
    "JOIN chat_messages m ON m.id = path.parent AND m.conversation_id = path.conversation "
    "WHERE path.depth < %s)"
)
"""SQL of ``path``: from a leaf, the first parameter, up to its first message or so many messages, the second.

A step never leaves the leaf's conversation, whatever the parent column says.
"""


def like(text: str) -> str:
    """A LIKE pattern for "contains ``text``", its three special characters escaped by a backslash."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def active_path(
    conversation_id: UUID,
    leaf_id: UUID | None,
    limit: int = DEEPEST,
    *,
    role: str = "",
    model: str = "",
    contains: str = "",
) -> list[UUID]:
    """Ids of the messages from the first to ``leaf_id``, oldest first; the ``limit`` newest of them.

    Without a leaf, or with one that is not in the conversation, nothing. The filters leave out messages
    of the path, they don't cut it.
    """
    if leaf_id is None:
        return []
    table = rows.table(Message)
    conditions, params = ["path.conversation = %s"], [table.to_db("conversation_id", conversation_id)]
    likes = "ILIKE" if table.vendor == "postgresql" else "LIKE"
    for condition, value in (
        ("m.role = %s", role),
        ("m.model_id = %s", model),
        (f"m.content {likes} %s ESCAPE '\\'", contains and like(contains)),
    ):
        if value:
            conditions.append(condition)
            params.append(value)
    # The text is joined only when it is searched: the tree's shape alone is a few bytes a message.
    joined = "JOIN chat_messages m ON m.id = path.id " if len(conditions) > 1 else ""
    sql = (
        f"{_UP} SELECT path.id FROM path {joined}"  # noqa: S608 (conditions of ours)
        f"WHERE {' AND '.join(conditions)} ORDER BY path.depth DESC"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [table.to_db("id", leaf_id), limit, *params])
        return [table.from_db("id", record[0]) for record in cursor.fetchall()]


def listed(user_id: UUID) -> QuerySet[Conversation]:
    """The conversations that a person's list may show: not deleted, not temporary."""
    return Conversation.objects.filter(user_id=user_id, deleted_at=None, temporary=False)


def containing(found: QuerySet[Conversation], user_id: UUID, text: str) -> QuerySet[Conversation]:
    """Those of ``found``, all of one person, with ``text`` in the title or in a message, whatever its case."""
    # The person is named once more for the planner: it may turn the condition round, and then
    # it must search their messages and not everybody's.
    said = Message.objects.filter(conversation=OuterRef("pk"), user_id=user_id, content__icontains=text)
    return found.filter(Q(title__icontains=text) | Exists(said))


def tagged(found: QuerySet[Conversation], tag: str) -> QuerySet[Conversation]:
    """Those of ``found`` that carry ``tag``."""
    if connection.vendor == "postgresql":
        return found.filter(tags__contains=[tag])
    holds = "EXISTS (SELECT 1 FROM json_each(conversations.tags) WHERE json_each.value = %s)"
    return found.extra(where=[holds], params=[tag])  # noqa: S610 (a constant; SQLite has no lookup for it)


def create(user_id: UUID, values: Mapping[str, Any]) -> Conversation:
    """A new conversation; ``values`` may hold title, model, system, metadata and tags."""
    conversation = Conversation(user_id=user_id, **values)
    if conversation.title:
        conversation.title_source = "user"
    conversation.last_message_at = conversation.updated_at = conversation.created_at
    conversation.save(force_insert=True)
    return conversation


def change(conversation: Conversation, values: Mapping[str, Any]) -> Conversation:
    """Write ``values`` (column to value) and nothing else: a turn that runs meanwhile loses nothing."""
    if values:
        columns = dict(values) | {"updated_at": clock.now()}
        if "title" in columns:
            columns["title_source"] = "user"
        Conversation.objects.filter(pk=conversation.pk).update(**columns)
        for name, value in columns.items():
            setattr(conversation, name, value)
    return conversation


def put_in_bin(conversation: Conversation) -> None:
    """Hide the conversation; ``take_out_of_bin`` undoes it."""
    at = clock.now()
    Conversation.objects.filter(pk=conversation.pk, deleted_at=None).update(deleted_at=at, updated_at=at)


def take_out_of_bin(conversation: Conversation) -> Conversation:
    """Show a deleted conversation again; one that was not deleted stays as it is."""
    if conversation.deleted_at is not None:
        Conversation.objects.filter(pk=conversation.pk).update(deleted_at=None, updated_at=clock.now())
        conversation.deleted_at = None
    return conversation
