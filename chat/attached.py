"""Files in prompts: what they weigh, and how models are given them. Reads ``attachments``, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from chat import context
from chat.attachment_models import Attachment, MessageAttachment
from chat.context import Prompt, Weight
from oneai.kit import rows
from oneai.kit.errors import Refusal
from oneai.kit.rows import Row

MOST_PICTURES: Final = 20
"""In one prompt: of more, the oldest are only named."""
OVERHEAD: Final = 200
"""Bytes that the words around a file have at most, beside its name."""
PICTURE: Final = "attachment:"
"""What a picture's address begins with until its bytes are read, which is once the turn is admitted."""
_NAMES: Final = (
    "id", "user_id", "name", "kind", "content_type", "width", "height", "text_bytes", "stored_at", "gone_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file as a prompt has it."""

    id: UUID
    name: str
    kind: str
    content_type: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Files:
    """The files of some prompts: by their ids, and by the messages that hold them."""

    by_id: Mapping[UUID, File] = field(default_factory=dict)
    of: Mapping[UUID, Sequence[File]] = field(default_factory=dict)

    def new(self, found: Iterable[Row]) -> list[File]:
        """Those of a message that is not stored yet, from their rows."""
        return [self.by_id[row["id"]] for row in found]


def find(ids: Iterable[UUID], *, lock: bool) -> dict[UUID, Row]:
    """The rows of these attachments without their text; under lock, none of them is removed meanwhile."""
    return {row["id"]: row for row in rows.select(Attachment, _NAMES, by="id", values=ids, order="id", lock=lock)}


def chosen(ids: Sequence[UUID], user_id: UUID, found: Mapping[UUID, Row]) -> list[Row]:
    """The rows of a person's own attachments, in the order of ``ids``. Refusal ``not_found``."""
    mine = [row for row in (found.get(one) for one in ids) if row is not None and row["user_id"] == user_id]
    if len(mine) < len(ids) or any(row["stored_at"] is None or row["gone_at"] for row in mine):
        raise Refusal("not_found", "There is no such attachment of yours.", param="attachments")
    return mine


def columns(found: Sequence[Row]) -> Row:
    """What a message's row says of the files that it holds."""
    pictures = [row for row in found if row["kind"] == Attachment.Kind.IMAGE]
    return {
        "attached_bytes": sum(row["text_bytes"] + 2 * len(row["name"].encode()) + OVERHEAD for row in found),
        "attached_images": len(pictures),
        "attached_tiles": sum(context.tiles(row["width"], row["height"]) for row in pictures),
    }


def weight(found: Sequence[Row]) -> Weight:
    """What the files weigh in a prompt."""
    if not found:
        return Weight()
    sums = columns(found)
    pictures = context.of_pictures(sums["attached_images"], sums["attached_tiles"])
    return context.of_bytes(sums["attached_bytes"]) + pictures


def read(message_ids: Sequence[UUID], attachment_ids: Sequence[UUID]) -> Files:
    """The files that these messages hold, and these ones, with their text; two statements, or none."""
    if not message_ids and not attachment_ids:
        return Files()
    names = ("message_id", "attachment_id")
    held = rows.select(MessageAttachment, names, by="message_id", values=message_ids, order="position")
    wanted = [*attachment_ids, *(row["attachment_id"] for row in held)]
    known = ("id", "name", "kind", "content_type", "text", "is_cut")
    by_id = {row["id"]: File(**row) for row in rows.select(Attachment, known, by="id", values=wanted)}
    of: dict[UUID, list[File]] = {}
    for row in held:
        of.setdefault(row["message_id"], []).append(by_id[row["attachment_id"]])
    return Files(by_id, of)


def said(steps: Sequence[tuple[str, str, Sequence[File]]], sees: bool) -> Prompt:
    """Messages as a model gets them, from (role, text, files) of each; ``sees``: it reads pictures."""
    messages: Prompt = []
    left = MOST_PICTURES if sees else 0
    for role, text, files in reversed(steps):
        if not files:
            messages.append({"role": role, "content": text})
            continue
        parts = []
        for file in files:
            shown = file.kind == Attachment.Kind.IMAGE and left > 0
            left -= shown
            parts.append(_picture(file) if shown else {"type": "text", "text": _text(file)})
        messages.append({"role": role, "content": [*parts, {"type": "text", "text": text}]})
    return messages[::-1]


def _picture(file: File) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"{PICTURE}{file.id}:{file.content_type}"}}


def _text(file: File) -> str:
    if file.kind == Attachment.Kind.IMAGE:
        return f"[A picture, “{file.name}”, was attached here. You can't see it.]"
    part = " It is too long: this is its beginning." if file.is_cut else ""
    return f"The attached file “{file.name}”.{part}\n\n{file.text}"
