"""What an import brings, whatever it came from: read from strangers' data, so nothing in it is believed.

Readers make these; ``clean`` makes of them what may be written: one tree, of bounded size, of known roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

MOST_MESSAGES: Final = 20_000  # of one conversation
LONGEST_TEXT: Final = 1_000_000
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_NO_MESSAGE: Final = "It has no message that could be brought in."


class Unreadable(Exception):
    """A conversation that can't be brought in; the text says why."""


@dataclass(slots=True)
class Said:
    """A message. ``key`` and ``parent`` name it within its conversation alone."""

    key: str
    parent: str | None
    role: str
    content: str
    created_at: datetime | None = None
    model: str = ""
    reasoning: str = ""
    status: str = "complete"
    finish_reason: str = ""


@dataclass(slots=True)
class Talk:
    """A conversation; ``active`` is the key of the message whose branch is shown."""

    title: str
    said: list[Said]
    active: str | None = None
    created_at: datetime | None = None
    model: str = ""
    system: str = ""
    folder: str = ""
    tags: list[str] = field(default_factory=list)
    pinned: bool = False
    archived: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def text(value: object, longest: int) -> str:
    """``value`` if it is a text, without null characters and cut to ``longest``; else nothing."""
    return value.replace("\x00", "")[:longest] if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def moment(value: object) -> datetime | None:
    """A time in ISO 8601 or in seconds since 1970, of this age; None when it is none."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if _EARLIEST <= found <= _LATEST else None


def clean(talk: Talk) -> Talk:
    """``talk`` with its messages in an order in which each comes after its parent. Unreadable without messages.

    A message whose parent is not there begins a branch of its own; so does one of those that go round in a
    circle, which is cut there.
    """
    by_key: dict[str, Said] = {}
    for said in talk.said:
        by_key.setdefault(said.key, said)
    if not by_key:
        raise Unreadable(_NO_MESSAGE)
    if len(by_key) > MOST_MESSAGES:
        raise Unreadable(f"It has more than {MOST_MESSAGES:,} messages.")
    below: dict[str | None, list[Said]] = {}
    for said in by_key.values():
        if said.parent not in by_key or said.parent == said.key:
            said.parent = None
        below.setdefault(said.parent, []).append(said)
    ordered = _from(below, below.get(None, []))
    reached = {said.key for said in ordered}
    for said in by_key.values():
        if said.key not in reached:  # a circle: it begins here
            said.parent = None
            part = [one for one in _from(below, [said]) if one.key not in reached]
            part = list({one.key: one for one in part}.values())
            reached.update(one.key for one in part)
            ordered += part
    talk.said = ordered
    talk.active = talk.active if talk.active in by_key else ordered[-1].key
    return talk


def _from(below: Mapping[str | None, list[Said]], first: list[Said]) -> list[Said]:
    found, seen = list(first), {one.key for one in first}
    for said in found:
        fresh = [one for one in below.get(said.key, ()) if one.key not in seen]
        seen.update(one.key for one in fresh)
        found += fresh
    return found
