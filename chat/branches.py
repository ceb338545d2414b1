"""Changing a conversation's tree by hand: show a branch, put another version beside a message, delete a branch.

Each works under the lock of the conversation's row, which the writer of turns takes too: what was looked
at is still so when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from accounts.principal import Principal
from chat import attachments, conversations, tree
from chat.access import message_for, message_in
from chat.models import Conversation, Message
from oneai.kit import clock, rows
from oneai.kit.errors import Refusal


@contextmanager
def _locked(who: Principal | UUID, message_id: UUID | str) -> Iterator[Message]:
    """The person's own message, read under its conversation's lock. Refusal ``not_found``."""
    found = message_for(who, message_id)
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=found.conversation_id)
        yield message_for(who, found.pk)


def _moved(conversation_id: UUID, leaf: UUID | None, more: int, **columns: object) -> None:
    Conversation.objects.filter(pk=conversation_id).update(
        active_message_id=leaf, message_count=F("message_count") + more, updated_at=clock.now(), **columns
    )


def show(conversation: Conversation, message_id: UUID | str, values: Mapping[str, Any] | None = None) -> Conversation:
    """Show the branch through one of the conversation's messages, to its newest end, and write ``values`` with it.

    Refusal ``not_found`` when the message is not in there.
    """
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        leaf = tree.newest_leaf(conversation.pk, message_in(conversation, message_id).pk)
        return conversations.change(conversation, {**(values or {}), "active_message_id": leaf})


def edit(who: Principal | UUID, message_id: UUID | str, content: str) -> Message:
    """A new message with ``content`` beside the one named, and now shown; the old one stays as it was.

    Refusals ``not_found``, and ``conflict`` while the message is being written.
    """
    with _locked(who, message_id) as old:
        if old.status == Message.Status.STREAMING:
            raise Refusal("conflict", "This answer is still being written.")
        made = Message.objects.create(
            conversation_id=old.conversation_id,
            user_id=old.user_id,
            role=old.role,
            content=content,
            model_id=old.model_id,
            parent_message_id=old.parent_message_id,
            metadata={"edited_from": str(old.pk)},
            attached_bytes=old.attached_bytes,
            attached_images=old.attached_images,
            attached_tiles=old.attached_tiles,
        )
        if old.attached_bytes:
            attachments.hold_too(made, old)
        _moved(old.conversation_id, made.pk, 1, last_message_at=made.created_at)
    return made


def delete(who: Principal | UUID, message_id: UUID | str) -> None:
    """Delete the message and all below it. What was used for it stays in the ledger.

    Refusals ``not_found``, and ``conflict`` while something of it is being written.
    """
    with _locked(who, message_id) as message:
        shape = tree.read(message.conversation_id)
        if shape.is_open(message.pk):
            raise Refusal("conflict", "An answer in this branch is still being written.")
        leaf = shape.leaf_without(message.pk, message.conversation.active_message_id)
        attachments.let_go(shape.branch(message.pk))
        gone = _delete_branch(message)
        _moved(message.conversation_id, leaf, -gone)


def _delete_branch(message: Message) -> int:
    this = rows.table(Message)
    sql = (
        "DELETE FROM chat_messages WHERE id IN (WITH RECURSIVE branch(id) AS ("
        "SELECT id FROM chat_messages WHERE id = %s UNION "
        "SELECT m.id FROM branch JOIN chat_messages m ON m.parent_message_id = branch.id AND m.conversation_id = %s"
        ") SELECT id FROM branch)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [this.to_db("id", message.pk), this.to_db("conversation_id", message.conversation_id)])
        return int(cursor.rowcount)
