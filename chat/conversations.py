"""Conversations: made, changed, put in the bin and out of it, listed and searched; and paths in their trees.

The one writer of a conversation's own columns outside of a turn (a turn moves its leaf and its count).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from chat import search
from chat.models import Conversation, Message, SharedSnapshot
from chat.search import Search
from oneai.kit import clock, rows

KEPT_IN_BIN: Final = timedelta(days=30)
AT_ONCE: Final = 20
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


def containing(found: QuerySet[Conversation], wanted: Search) -> QuerySet[Conversation]:
    """Those of ``found``, all of one person, with what is sought in the title or in one message."""
    in_title = Q()
    for word in wanted.text.split():
        in_title &= Q(title__icontains=word)
    return found.filter(in_title | Q(pk__in=wanted.conversations()))


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
    """Write ``values`` (attribute to value, ``folder_id`` for the folder) and nothing else.

    A turn that runs meanwhile loses nothing.
    """
    if values:
        columns = dict(values) | {"updated_at": clock.now()}
        if "title" in columns:
            columns["title_source"] = "user"
        Conversation.objects.filter(pk=conversation.pk).update(**columns)
        for name, value in columns.items():
            setattr(conversation, name, value)
    return conversation


def put_in_bin(ids: Sequence[UUID]) -> None:
    """Hide conversations; ``take_out_of_bin`` undoes it, but for their links, which end."""
    at = clock.now()
    with transaction.atomic():
        Conversation.objects.filter(pk__in=ids, deleted_at=None).update(deleted_at=at, updated_at=at)
        SharedSnapshot.objects.filter(conversation_id__in=ids).delete()
        search.forget(ids)


def take_out_of_bin(ids: Sequence[UUID]) -> None:
    """Show deleted conversations again; one that was not deleted stays as it is."""
    with transaction.atomic():
        back = Conversation.objects.filter(pk__in=ids).exclude(deleted_at=None)
        found = list(back.values_list("pk", flat=True))
        back.filter(pk__in=found).update(deleted_at=None, updated_at=clock.now())
        search.learn_again(found)


def empty_bin() -> int:
    """Delete for good what was put in the bin thirty days ago; returns how many conversations went.

    What was used for them stays in the ledger. One whose answer is still being written waits.
    """
    late = Conversation.objects.filter(deleted_at__lt=clock.now() - KEPT_IN_BIN)
    late = late.exclude(Exists(Message.objects.filter(conversation=OuterRef("pk"), status="streaming")))
    ids = list(late.order_by("deleted_at").values_list("pk", flat=True)[:AT_ONCE])
    for pk in ids:  # each on its own: on SQLite nobody else writes meanwhile
        with transaction.atomic():
            Conversation.objects.filter(pk=pk, deleted_at__lt=clock.now() - KEPT_IN_BIN).delete()
    return len(ids)
