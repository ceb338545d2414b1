"""One deed on many conversations of a person, in one transaction. What is not theirs is left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db import transaction

from chat import conversations
from chat.models import Conversation
from oneai.kit import clock

MOST: Final = 100
DEEDS: Final = ("archive", "unarchive", "pin", "unpin", "move", "tag", "untag", "delete", "restore")
_FLAGS: Final = {
    "archive": {"archived": True},
    "unarchive": {"archived": False},
    "pin": {"pinned": True},
    "unpin": {"pinned": False},
}
MOST_TAGS: Final = 20


def do(user_id: UUID, ids: Sequence[UUID], deed: str, *, folder_id: UUID | None = None, tag: str = "") -> list[UUID]:
    """Do ``deed`` to those of ``ids`` that are the person's own, and return them in the order given.

    ``folder_id`` is where ``move`` puts them, None: into none. A conversation that has as many tags as it may
    keeps them. ``restore`` finds deleted ones, every other deed those that are not.
    """
    with transaction.atomic():
        own = Conversation.objects.select_for_update().filter(user_id=user_id, pk__in=ids)
        own = own.exclude(deleted_at=None) if deed == "restore" else own.filter(deleted_at=None)
        found = {one.pk: one for one in own.order_by("pk").only("id", "tags", "deleted_at")}
        there = Conversation.objects.filter(pk__in=list(found))
        if deed in _FLAGS:
            there.update(**_FLAGS[deed], updated_at=clock.now())
        elif deed == "move":
            there.update(folder_id=folder_id, updated_at=clock.now())
        elif deed == "delete":
            conversations.put_in_bin(list(found))
        elif deed == "restore":
            conversations.take_out_of_bin(list(found))
        else:
            for one in found.values():
                others = [name for name in one.tags if name != tag]
                one.tags = ([*others, tag] if len(others) < MOST_TAGS else one.tags) if deed == "tag" else others
            Conversation.objects.bulk_update(found.values(), ["tags"], batch_size=MOST)
    return [pk for pk in ids if pk in found]
