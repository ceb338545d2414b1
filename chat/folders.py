"""Folders: the one writer of theirs. A conversation is in one or in none."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from chat.access import id_from
from chat.models import Folder
from oneai.kit.errors import Refusal

MOST: Final = 200


def listed(user_id: UUID) -> QuerySet[Folder]:
    """A person's folders by name, each with ``conversation_count``: what is in it and can be listed."""
    inside = Q(conversations__deleted_at=None, conversations__temporary=False)
    counted = Folder.objects.filter(user_id=user_id).annotate(
        conversation_count=Count("conversations", filter=inside & Q(conversations__isnull=False))
    )
    return counted.order_by("name", "id")


def folder_for(user_id: UUID, folder_id: UUID | str) -> Folder:
    """The person's own folder; Refusal ``not_found`` for another's and an unknown one."""
    found = listed(user_id).filter(pk=id_from(folder_id)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def create(user_id: UUID, name: str) -> Folder:
    """A new folder. Refusal ``conflict`` when there is one of that name, or 200 of them."""
    if Folder.objects.filter(user_id=user_id).count() >= MOST:
        raise Refusal("conflict", f"You have {MOST} folders. Delete one first.")
    try:
        with transaction.atomic():
            made = Folder.objects.create(user_id=user_id, name=name)
    except IntegrityError as error:
        raise _taken() from error
    return folder_for(user_id, made.pk)


def rename(folder: Folder, name: str) -> Folder:
    """Give the folder another name. Refusal ``conflict`` when another has it."""
    try:
        with transaction.atomic():
            Folder.objects.filter(pk=folder.pk).update(name=name)
    except IntegrityError as error:
        raise _taken() from error
    folder.name = name
    return folder


def delete(folder: Folder) -> None:
    """Delete the folder; what was in it stays, in none."""
    folder.delete()


def _taken() -> Refusal:
    return Refusal("conflict", "You have a folder of that name.", param="name")
