"""The list of conversations beside the chat, as the page is sent: by age, pinned ones first, or what was found.

How many queries it takes does not depend on how many conversations there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from chat import conversations, folders
from chat.models import Conversation
from chat.search import Search, in_time
from chat.search_words import Part
from oneai.kit import rows
from oneai.kit.clock import now

LISTED: Final = 50
ARCHIVED: Final = "archived"
_COLUMNS: Final = ("id", "title", "last_message_at", "pinned", "archived", "folder_id")
_MINE: Final = "user_id = %s AND deleted_at IS NULL AND NOT temporary AND archived = %s"


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation of the list; ``found`` is the piece of a message in which a search hit."""

    id: UUID
    title: str
    last_message_at: datetime
    pinned: bool
    archived: bool
    folder_id: UUID | None
    found: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations of one stretch of time; without a name what a search found."""

    name: str
    items: list[Listed]


def read(user_id: UUID, query: str, view: str) -> dict[str, Any]:
    """What the template shows: ``groups``, whether there is ``more``, ``query``, ``view`` and ``folders``.

    ``view`` is the id of a folder or "archived"; anything else shows all that is not archived.
    """
    query = query.replace("\x00", "").strip()[:200]
    archived = view == ARCHIVED
    folder = None if archived else _as_uuid(view)
    shown: dict[str, Any] = {"query": query, "view": ARCHIVED if archived else folder}
    if query:
        items = _found(Search.of(user_id, query), folder, archived)
        groups = [Group("", items[:LISTED])] if items else []
        return shown | {"folders": folders.listed(user_id), "groups": groups, "more": len(items) > LISTED}
    named, pinned, recent = _newest(user_id, folder, archived)
    groups = [Group("Pinned", pinned)] if pinned else []
    return shown | {
        "folders": [{"id": one.id, "name": one.title} for one in named],
        "groups": groups + _grouped(recent[:LISTED], now()),
        "more": len(recent) > LISTED,
    }


def _newest(user_id: UUID, folder: UUID | None, archived: bool) -> tuple[list[Listed], list[Listed], list[Listed]]:
    """The person's folders, and the newest conversations with a pin and without, in one statement."""
    this = rows.table(Conversation)
    mine, params = _MINE, [this.to_db("user_id", user_id), this.to_db("archived", archived)]
    if folder is not None:
        mine += " AND folder_id = %s"
        params.append(this.to_db("folder_id", folder))
    columns = ", ".join(_COLUMNS)
    sql = (
        "SELECT 'folder', id, name, created_at, FALSE, FALSE, CAST(NULL AS uuid) FROM folders "  # noqa: S608
        "WHERE user_id = %s UNION ALL "
        f"SELECT * FROM (SELECT 'pinned', {columns} FROM conversations "
        f"WHERE {mine} AND pinned ORDER BY last_message_at DESC, id DESC LIMIT {LISTED}) AS with_pin UNION ALL "
        f"SELECT * FROM (SELECT 'recent', {columns} FROM conversations "
        f"WHERE {mine} AND NOT pinned ORDER BY last_message_at DESC, id DESC LIMIT {LISTED + 1}) AS without_pin"
    )
    found: dict[str, list[Listed]] = {"folder": [], "pinned": [], "recent": []}
    for part, *values in rows.query(this, sql, [params[0], *params, *params]):
        (row,) = this.decoded(_COLUMNS, [values])
        found[part].append(Listed(**row))
    for part in ("pinned", "recent"):  # a union promises no order
        found[part].sort(key=lambda one: (one.last_message_at, one.id), reverse=True)
    return sorted(found["folder"], key=lambda one: one.title.casefold()), found["pinned"], found["recent"]


def _found(search: Search, folder: UUID | None, archived: bool) -> list[Listed]:
    """What the search finds, the newest first; archived conversations too, unless a folder is looked through."""
    found = conversations.listed(search.user_id)
    if folder is not None:
        found = found.filter(folder=folder, archived=False)
    elif archived:
        found = found.filter(archived=True)
    with in_time():
        hits = conversations.containing(found, search).order_by("-last_message_at", "-id")
        items = list(hits.values(*_COLUMNS)[: LISTED + 1])
        said = search.newest_in([item["id"] for item in items])
    return [
        Listed(**item, found=search.excerpt(said[item["id"]].content) if item["id"] in said else ()) for item in items
    ]


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _grouped(listed: Sequence[Listed], at: datetime) -> list[Group]:
    """By age, as a person thinks of it; the list comes newest first."""
    today = at.date()
    groups: list[Group] = []
    for conversation in listed:
        day = conversation.last_message_at.date()
        if day >= today:
            name = "Today"
        elif day == today - timedelta(days=1):
            name = "Yesterday"
        elif day > today - timedelta(days=7):
            name = "This week"
        elif day > today - timedelta(days=30):
            name = "This month"
        else:
            name = f"{day:%B %Y}"
        if not groups or groups[-1].name != name:
            groups.append(Group(name, []))
        groups[-1].items.append(conversation)
    return groups
