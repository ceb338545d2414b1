"""What this app holds of a person: what they wrote and what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.belongings import File, Holder, NotYet
from accounts.models import User
from chat.models import Conversation, Folder, Generation, Message, Turn

AT_ONCE: Final = 50
_CONVERSATION: Final = (
    "id", "title", "model", "system", "tags", "pinned", "archived", "active_message_id", "metadata", "created_at",
    "last_message_at", "folder__name", "shared__created_at", "shared__expires_at", "shared__views",
)  # fmt: skip
_MESSAGE: Final = (
    "id", "role", "content", "reasoning", "status", "model_id", "parent_message_id", "finish_reason", "usage",
    "created_at",
)  # fmt: skip


def export(user: User) -> Iterator[File]:
    """Each conversation with its whole tree of messages, one at a time; those that are being deleted, too."""
    for talk in Conversation.objects.filter(user=user).order_by("created_at", "id").values(*_CONVERSATION):
        messages = Message.objects.filter(conversation_id=talk["id"]).order_by("created_at", "id").values(*_MESSAGE)
        yield f"conversations/{talk['id']}.json", talk | {"messages": list(messages)}


def erase(user: User) -> int:
    """Delete conversations with their links and words, folders, turns and kept answers.

    NotYet while an answer is being written. What was used is in the records of quotas, which know a generation by its id alone.
    """
    if Generation.objects.filter(user=user, state=Generation.State.RUNNING).exists():
        raise NotYet
    gone = 0
    for kind in (Conversation, Turn, Folder):
        while ids := list(kind.objects.filter(user=user).values_list("pk", flat=True)[:AT_ONCE]):
            gone += kind.objects.filter(pk__in=ids).delete()[0]
    return gone


HOLDER: Final = Holder("chat", export, erase)
