"""People's files: taken in, held by messages, let go, removed. The one writer of ``attachments``.

A row comes before its bytes and goes after them, so nothing is stored that no row knows of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet, Sum

from accounts.models import User
from chat import attachment_store, file_reading
from chat.access import id_from
from chat.attachment_models import Attachment, MessageAttachment
from chat.models import Message
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from oneai.kit.rows import Row

log = structlog.get_logger("files")

MOST_STORED: Final = 1024 * 1024 * 1024  # bytes of one person
LONGEST_NAME: Final = 200
KEPT_UNSENT: Final = timedelta(hours=24)
AT_ONCE: Final = 200


def clean_name(name: str) -> str:
    """A file's name as it is shown: no folders, nothing unprintable, not too long."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    shown = "".join(character for character in last if character.isprintable()).strip(" .")
    if len(shown) > LONGEST_NAME:
        start, dot, kind = shown.rpartition(".")
        kind = dot + kind if start and len(kind) < 12 else ""
        shown = shown[: LONGEST_NAME - len(kind)] + kind
    return shown or "file"


def stored_of(user_id: UUID) -> int:
    """How many bytes a person's files have."""
    found = Attachment.objects.filter(user_id=user_id, gone_at=None).aggregate(total=Sum("size"))
    return int(found["total"] or 0)


def receive(user_id: UUID, name: str, data: bytes) -> Attachment:
    """Take a file in: read it, store it. It goes again unless a message holds it within a day.

    Refusals ``unsupported_file``, ``storage_full``, ``unavailable``.
    """
    _check_room(user_id, 1)
    read = file_reading.read(data)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=user_id).values_list("pk").first()  # one after the other
        _check_room(user_id, len(read.body))
        made = Attachment.objects.create(
            user_id=user_id,
            name=clean_name(name),
            kind=read.kind,
            content_type=read.content_type,
            size=len(read.body),
            width=read.width,
            height=read.height,
            pages=read.pages,
            text=read.text,
            text_bytes=len(read.text.encode()),
            is_cut=read.is_cut,
            keep_until=now() + KEPT_UNSENT,
        )
    try:
        attachment_store.save(made.pk, read.body)
    except Refusal:
        Attachment.objects.filter(pk=made.pk).update(keep_until=now())
        raise
    made.stored_at = now()
    made.save(update_fields=["stored_at"])
    return made


def _check_room(user_id: UUID, size: int) -> None:
    used = stored_of(user_id)
    if used + size > MOST_STORED:
        raise Refusal("storage_full", details={"limit_bytes": MOST_STORED, "used_bytes": used})


def of(user_id: UUID) -> QuerySet[Attachment]:
    """A person's files that are there."""
    return Attachment.objects.filter(user_id=user_id, gone_at=None).exclude(stored_at=None)


def attachment_for(user_id: UUID, attachment_id: UUID | str) -> Attachment:
    """The person's own file. Refusal ``not_found`` for another's, a removed or an unknown one."""
    found = of(user_id).filter(pk=id_from(attachment_id)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def delete(user_id: UUID, attachment_id: UUID | str) -> None:
    """Remove a file that no message holds. Refusals ``not_found``, ``conflict``."""
    found = attachment_for(user_id, attachment_id)
    with transaction.atomic():
        Attachment.objects.select_for_update().get(pk=found.pk)
        if found.holders.exists():
            raise Refusal("conflict", "A message holds this file. Delete the message, and the file goes with it.")
        Attachment.objects.filter(pk=found.pk).update(keep_until=now(), gone_at=now())
    _remove([found.pk])


# Messages -------------------------------------------------------------------------------------------


def held_rows(message_id: UUID, found: Sequence[Row]) -> list[Row]:
    """The rows that say that a message holds these files."""
    return [
        {"id": uuid7(), "message_id": message_id, "attachment_id": row["id"], "position": position}
        for position, row in enumerate(found)
    ]


def hold_too(made: Message, old: Message) -> None:
    """Let a new version of a message hold the files of the old one; in the caller's transaction."""
    held = MessageAttachment.objects.filter(message=old).order_by("position")
    MessageAttachment.objects.bulk_create(
        MessageAttachment(message=made, attachment_id=one.attachment_id, position=one.position) for one in held
    )


def let_go(message_ids: Sequence[UUID]) -> None:
    """Take the files off messages that are about to be deleted; in the caller's transaction.

    What no other message holds is removed within the minute.
    """
    for first in range(0, len(message_ids), AT_ONCE):
        held = MessageAttachment.objects.filter(message_id__in=message_ids[first : first + AT_ONCE])
        ids = set(held.values_list("attachment_id", flat=True))
        if ids:
            held.delete()
            Attachment.objects.filter(pk__in=ids, holders=None).update(keep_until=now())


def load_held(messages: Iterable[Message]) -> dict[UUID, list[Attachment]]:
    """The files of those of ``messages`` that hold some, without their text; one query, or none."""
    ids = [message.pk for message in messages if message.attached_bytes]
    found: dict[UUID, list[Attachment]] = {}
    if ids:
        held = MessageAttachment.objects.filter(message_id__in=ids).select_related("attachment")
        for one in held.defer("attachment__text").order_by("position"):
            found.setdefault(one.message_id, []).append(one.attachment)
    return found


# Removal --------------------------------------------------------------------------------------------


def remove_unneeded() -> int:
    """Remove files that nobody needs any more: not sent within a day, let go, or of a deleted account."""
    at = now()
    over = Q(keep_until__lte=at) | Q(user=None)
    ids = list(Attachment.objects.filter(over, gone_at=None).values_list("pk", flat=True)[:AT_ONCE])
    if ids:
        # Once more in the statement that claims them: a message may have come to hold one meanwhile.
        Attachment.objects.filter(over, pk__in=ids, gone_at=None).update(gone_at=at)
    return _remove(list(Attachment.objects.exclude(gone_at=None).values_list("pk", flat=True)[:AT_ONCE]))


def forget(user_id: UUID) -> int:
    """Take every file from somebody whose account is erased, with its name and text; the bytes go within the minute."""
    mine = Attachment.objects.filter(user_id=user_id)
    return mine.update(user=None, name="file", text="", keep_until=now())


def find_abandoned() -> int:
    """Note the files whose messages went with their conversation, so that they are removed; how many."""
    alone = Attachment.objects.filter(keep_until=None, gone_at=None, holders=None)
    return alone.update(keep_until=now())


def _remove(ids: Iterable[UUID]) -> int:
    done = 0
    for pk in ids:
        try:
            attachment_store.remove(pk)
        except Exception as error:
            log.error("file_not_removed", attachment=str(pk), error=type(error).__name__)
            continue
        done += Attachment.objects.filter(pk=pk).delete()[0]
    return done
