"""What this app holds of a person: what they wrote and what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.belongings import File, Holder, NotYet
from accounts.models import User
from chat import attachment_store, attachments, presets
from chat.models import Conversation, Folder, Generation, Message, Turn
from chat.preset_models import Preset

AT_ONCE: Final = 50
_CONVERSATION: Final = (
    "id", "title", "model", "system", "tags", "pinned", "archived", "active_message_id", "metadata", "created_at",
    "last_message_at", "folder__name", "shared__created_at", "shared__expires_at", "shared__views",
)  # fmt: skip
_MESSAGE: Final = (
    "id", "role", "content", "reasoning", "status", "model_id", "parent_message_id", "finish_reason", "usage",
    "created_at",
)  # fmt: skip
_PRESET: Final = (
    "name", "prompt", "system", "model", "temperature", "max_tokens", "reasoning_effort", "created_at",
)  # fmt: skip


def export(user: User) -> Iterator[File]:
    """Each conversation with its whole tree of messages, one at a time; those that are being deleted, too."""
    for talk in Conversation.objects.filter(user=user).order_by("created_at", "id").values(*_CONVERSATION):
        messages = Message.objects.filter(conversation_id=talk["id"]).order_by("created_at", "id").values(*_MESSAGE)
        yield f"conversations/{talk['id']}.json", talk | {"messages": list(messages)}
    yield "presets.json", list(presets.of(user.pk).values(*_PRESET))
    files = attachments.of(user.pk).order_by("created_at", "id")
    yield "files.json", list(files.values("id", "name", "content_type", "size", "created_at", "holders__message_id"))
    for row in files.only("id", "name"):
        yield f"files/{row.pk}/{row.name}", attachment_store.load(row.pk)


def erase(user: User) -> int:
    """Delete conversations with their links and words, folders, presets, turns and kept answers, and let files go.

    NotYet while an answer is being written. What was used is in the records of quotas, which know a
    generation by its id alone.
    """
    if Generation.objects.filter(user=user, state=Generation.State.RUNNING).exists():
        raise NotYet
    gone = 0
    for kind in (Conversation, Turn, Folder, Preset):
        while ids := list(kind.objects.filter(user=user).values_list("pk", flat=True)[:AT_ONCE]):
            gone += kind.objects.filter(pk__in=ids).delete()[0]
    return gone + attachments.forget(user.pk)


HOLDER: Final = Holder("chat", export, erase)
