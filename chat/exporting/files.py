"""Exports as files: which formats there are, and what a file is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from chat.exporting import documents, record, whole
from chat.models import Conversation

#: What file systems refuse or shells read, and what turns a line's direction.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f<>:\"'/\\\\|?*#%{}~^`$&;!\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True)
class File:
    """A finished export. ``disposition`` is the header that names it."""

    body: bytes
    content_type: str
    disposition: str


def _pdf(conversation: Conversation) -> bytes:
    from chat.exporting import pdf  # what draws takes 22 MB: a process that draws nothing is spared them

    return pdf.draw(record.read(conversation))


_FORMATS: Final[dict[str, tuple[str, Callable[[Conversation], bytes]]]] = {
    "md": ("text/markdown; charset=utf-8", lambda talk: documents.as_markdown(record.read(talk)).encode()),
    "json": ("application/json", whole.as_json),
    "html": ("text/html; charset=utf-8", lambda talk: documents.as_html(record.read(talk)).encode()),
    "txt": ("text/plain; charset=utf-8", lambda talk: documents.as_text(record.read(talk)).encode()),
    "pdf": ("application/pdf", _pdf),
}
FORMATS: Final = tuple(_FORMATS)


def export(conversation: Conversation, file_format: str) -> File:
    """``conversation`` in one of ``FORMATS``. Refusal ``conflict`` when it is too long for a PDF."""
    content_type, write = _FORMATS[file_format]
    name = _UNSAFE.sub(" ", conversation.title)
    name = " ".join(name.split())[:80].strip() or "conversation"
    plain = " ".join(name.encode("ascii", "ignore").decode().split()) or "conversation"
    disposition = f"attachment; filename=\"{plain}.{file_format}\"; filename*=UTF-8''{quote(name)}.{file_format}"
    return File(write(conversation), content_type, disposition)
