"""Our own export: one conversation, a list of them, or an object with such a list in ``conversations``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from chat.exporting.whole import FORMAT, VERSION
from chat.importing.records import LONGEST_TEXT, Said, Talk, Unreadable, mapping, moment, text
from chat.models import Message
from oneai.kit.fields import MOST_METADATA_BYTES

_ROLES: Final = frozenset(Message.Role.values)
_ENDS: Final = frozenset(Message.Status.values) - {Message.Status.STREAMING}


def is_own(value: object) -> bool:
    """Whether ``value`` is one conversation of ours."""
    return isinstance(value, dict) and value.get("format") == FORMAT


def read(value: dict[str, Any]) -> Talk:
    """A conversation of ours. Unreadable when it is of a later version."""
    if value.get("version") != VERSION:
        raise Unreadable("It is of a version that this site does not know.")
    head = mapping(value.get("conversation"))
    metadata = mapping(head.get("metadata"))
    tags = head.get("tags")
    return Talk(
        title=" ".join(text(head.get("title"), 200).split()),
        said=list(_messages(value.get("messages"))),
        active=text(head.get("active_message_id"), 100) or None,
        created_at=moment(head.get("created_at")),
        model=text(head.get("model"), 200),
        system=text(head.get("system"), 100_000),
        folder=text(head.get("folder"), 60).strip(),
        tags=[tag for one in tags[:20] if (tag := text(one, 50).strip())] if isinstance(tags, list) else [],
        pinned=head.get("pinned") is True,
        archived=head.get("archived") is True,
        metadata=dict(metadata) if _is_small(metadata) else {},
    )


def _is_small(metadata: object) -> bool:
    written = orjson.dumps(metadata)
    return len(written) <= MOST_METADATA_BYTES and b"\\u0000" not in written


def _messages(found: object) -> Iterator[Said]:
    for one in found if isinstance(found, list) else ():
        row = mapping(one)
        key, role = text(row.get("id"), 100), row.get("role")
        if not key or not isinstance(role, str) or role not in _ROLES:
            continue
        status = row.get("status", Message.Status.COMPLETE.value)
        yield Said(
            key=key,
            parent=text(row.get("parent_message_id"), 100) or None,
            role=role,
            content=text(row.get("content"), LONGEST_TEXT),
            created_at=moment(row.get("created_at")),
            model=text(row.get("model"), 200),
            reasoning=text(row.get("reasoning"), LONGEST_TEXT),
            # What was being written when it was exported is as far as it came.
            status=status if isinstance(status, str) and status in _ENDS else Message.Status.INTERRUPTED.value,
            finish_reason=text(row.get("finish_reason"), 20),
        )
