"""ChatGPT's ``conversations.json``: a list of conversations, each with its tree in ``mapping``.

What a person and the assistant said comes in. System and tool messages, and those without text, are left out;
what follows them goes on below the last one that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chat.importing.records import LONGEST_TEXT, Said, Talk, mapping, moment, text

_ROLES: Final = frozenset({"user", "assistant"})


def is_theirs(value: object) -> bool:
    """Whether ``value`` has the shape of one of their conversations."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def read(value: dict[str, Any]) -> Talk:
    """One of their conversations."""
    nodes = mapping(value.get("mapping"))
    kept = {key: said for key, node in nodes.items() if (said := _said(key, mapping(node))) is not None}
    above = _Above(nodes, kept)
    for said in kept.values():
        said.parent = above.of(said.key)
    current = text(value.get("current_node"), 100)
    active = current if current in kept else above.of(current) if current in nodes else None
    slug = text(value.get("default_model_slug"), 200)
    return Talk(
        title=" ".join(text(value.get("title"), 200).split()),
        said=list(kept.values()),
        active=active,
        created_at=moment(value.get("create_time")),
        archived=value.get("is_archived") is True,
        metadata={"imported_from": "chatgpt"} | ({"model": slug} if slug else {}),
    )


class _Above:
    """For each node the nearest one above it that is kept; each link is walked once, circles end."""

    def __init__(self, nodes: Mapping[str, Any], kept: Mapping[str, Said]) -> None:
        self._nodes = nodes
        self._kept = kept
        self._known: dict[str, str | None] = {}

    def of(self, key: str) -> str | None:
        walked: list[str] = []
        seen: set[str] = set()
        at: str | None = key
        found: str | None = None
        while at is not None and at not in seen:
            if at in self._known:
                found = self._known[at]
                break
            seen.add(at)
            walked.append(at)
            parent = mapping(self._nodes.get(at)).get("parent")
            at = parent if isinstance(parent, str) else None
            if at in self._kept:
                found = at
                break
        # All that was walked is left out but the first, so it hangs below the same one.
        self._known.update(dict.fromkeys(walked, found))
        return found


def _said(key: str, node: Mapping[str, Any]) -> Said | None:
    message = mapping(node.get("message"))
    role = mapping(message.get("author")).get("role")
    if not isinstance(role, str) or role not in _ROLES:
        return None
    recipient = message.get("recipient")
    if isinstance(recipient, str) and recipient != "all":  # said to a tool
        return None
    metadata = mapping(message.get("metadata"))
    content = "\n".join(_texts(mapping(message.get("content"))))[:LONGEST_TEXT]
    if not content.strip() or metadata.get("is_visually_hidden_from_conversation") is True:
        return None
    model = text(metadata.get("model_slug"), 190) if role == "assistant" else ""
    return Said(
        key=key,
        parent=None,
        role=role,
        content=content,
        created_at=moment(message.get("create_time")),
        model=model,
    )


def _texts(content: Mapping[str, Any]) -> Iterator[str]:
    """The words of a message; pictures and files are named for what they are."""
    kind = content.get("content_type")
    if kind not in ("text", "multimodal_text", "code"):
        return
    if written := text(content.get("text"), LONGEST_TEXT):
        yield f"```\n{written}\n```" if kind == "code" else written
    parts = content.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, str):
            if part:
                yield text(part, LONGEST_TEXT)
        elif transcript := text(mapping(part).get("text"), LONGEST_TEXT):
            yield transcript
        elif mapping(part).get("content_type") == "image_asset_pointer":
            yield "[image]"
