"""The tree of a conversation: its messages by their parents, and the branches in it.

Statements here walk upward from a leaf, or read a tree's shape without its text; what a shape means is
decided by pure functions over it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chat.models import Message
from oneai.kit import rows


@dataclass(frozen=True, slots=True)
class Node:
    """A message's place. ``open`` while it is being written."""

    id: UUID
    parent: UUID | None
    created_at: datetime
    open: bool = False


class Tree:
    """The shape of one conversation. Siblings are in the order of their making, then of their ids."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._below: dict[UUID | None, list[UUID]] = defaultdict(list)
        for node in sorted(self._nodes.values(), key=lambda node: (node.created_at, node.id)):
            parent = node.parent if node.parent in self._nodes else None
            self._below[parent].append(node.id)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._nodes

    def siblings(self, message_id: UUID) -> list[UUID]:
        """The messages that could stand in the place of this one, itself among them."""
        parent = self._nodes[message_id].parent
        return self._below[parent if parent in self._nodes else None]

    def branch(self, message_id: UUID) -> list[UUID]:
        """The message and all below it."""
        found, seen = [message_id], {message_id}
        for above in found:
            fresh = [below for below in self._below.get(above, ()) if below not in seen]
            seen.update(fresh)
            found += fresh
        return found

    def is_open(self, message_id: UUID) -> bool:
        """Whether something in the branch is still being written."""
        return any(self._nodes[found].open for found in self.branch(message_id))

    def newest_leaf(self, message_id: UUID) -> UUID:
        """The end of the branch that was made last; of answers of one moment the first, as it was asked first."""
        leaves = [found for found in self.branch(message_id) if not self._below.get(found)] or [message_id]
        latest = max(self._nodes[leaf].created_at for leaf in leaves)
        return min(leaf for leaf in leaves if self._nodes[leaf].created_at == latest)

    def leaf_without(self, message_id: UUID, active: UUID | None) -> UUID | None:
        """What is shown once the branch at ``message_id`` is gone: as before, unless that lay in it.

        Then it is the neighbour's newest leaf, the one before first; without a neighbour the parent, and
        None when nothing is left.
        """
        if active is not None and active in self and active not in set(self.branch(message_id)):
            return active
        row = self.siblings(message_id)
        at = row.index(message_id)
        neighbour = row[at - 1] if at else row[1] if len(row) > 1 else None
        if neighbour is not None:
            return self.newest_leaf(neighbour)
        parent = self._nodes[message_id].parent
        return parent if parent in self._nodes else None


def read(conversation_id: UUID) -> Tree:
    """The conversation's shape, without any text."""
    names = ("id", "parent_message_id", "created_at", "status")
    found = rows.select(Message, names, by="conversation_id", values=[conversation_id])
    return Tree(
        Node(row["id"], row["parent_message_id"], row["created_at"], row["status"] == Message.Status.STREAMING)
        for row in found
    )


def newest_leaf(conversation_id: UUID, message_id: UUID) -> UUID:
    """The newest leaf below a message of the conversation."""
    return read(conversation_id).newest_leaf(message_id)


# Paths ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a path. ``size`` is its bytes, files included; -1 when what is below it fills the path's measure.

    ``attached`` are the bytes of its files, ``images`` and their ``tiles`` what among them are pictures.
    """

    id: UUID
    role: str
    size: int
    attached: int = 0
    images: int = 0
    tiles: int = 0


def _seed(vendor: str, count: int) -> str:
    if vendor == "postgresql":
        first = "(CAST(%s AS uuid), CAST(%s AS bigint))"
        return f"(VALUES {','.join([first, *['(%s, %s)'] * (count - 1)])})"
    return f"(VALUES {','.join(['(%s, %s)'] * count)})"


def paths(leaves: Mapping[UUID, int], max_depth: int) -> dict[UUID, list[Step]]:
    """For each leaf the messages that lead to it, oldest first and itself last, in one statement; no text.

    At most the ``max_depth`` newest of each, and their sizes until ``leaves`` gives no more bytes for it: a
    long history costs no more than what can be used of it. A leaf that is not there is left out. A step
    never leaves the leaf's conversation, whatever the parent column says.
    """
    if not leaves or max_depth < 1:
        return {}
    this = rows.table(Message)
    postgresql = this.vendor == "postgresql"
    length = "octet_length(m.content)" if postgresql else "length(CAST(m.content AS BLOB))"
    size = f"({length} + m.attached_bytes)"
    files = "m.attached_bytes, m.attached_images, m.attached_tiles"
    sql = (
        f"WITH RECURSIVE seed(id, most) AS {_seed(this.vendor, len(leaves))}, "  # noqa: S608 (only marks are put in)
        "path(leaf, most, id, role, parent, conversation, depth, total, size, attached, images, tiles) AS ("
        "SELECT m.id, seed.most, m.id, m.role, m.parent_message_id, m.conversation_id, 1, "
        f"CAST({size} AS bigint), CAST({size} AS bigint), {files} "
        "FROM seed JOIN chat_messages m ON m.id = seed.id "
        "UNION ALL "
        "SELECT path.leaf, path.most, m.id, m.role, m.parent_message_id, m.conversation_id, path.depth + 1, "
        f"path.total + CASE WHEN path.total < path.most THEN {size} ELSE 0 END, "
        f"CAST(CASE WHEN path.total < path.most THEN {size} ELSE -1 END AS bigint), {files} "
        "FROM path JOIN chat_messages m ON m.id = path.parent AND m.conversation_id = path.conversation "
        "WHERE path.depth < %s) "
        "SELECT leaf, id, role, size, attached, images, tiles FROM path ORDER BY leaf, depth DESC"
    )
    seeds = [value for leaf, most in leaves.items() for value in (this.to_db("id", leaf), most)]
    found: dict[UUID, list[Step]] = {}
    for leaf, message_id, role, bytes_of, *held in rows.query(this, sql, [*seeds, max_depth]):
        step = Step(this.from_db("id", message_id), role, bytes_of, *held)
        found.setdefault(this.from_db("id", leaf), []).append(step)
    return found


def texts(message_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What the messages say, some thousands at a time."""
    ids = list(dict.fromkeys(message_ids))
    found: dict[UUID, str] = {}
    for at in range(0, len(ids), 5000):
        part = rows.select(Message, ("id", "content"), by="id", values=ids[at : at + 5000])
        found |= {row["id"]: row["content"] for row in part}
    return found
