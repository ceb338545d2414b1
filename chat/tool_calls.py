"""Tool calls as fragments: joined to whole calls, told apart from what is known, and written for OpenAI's clients.

Upstreams repeat id, type and name in every fragment, or number them oddly; clients concatenate what is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MOST_CALLS: Final = 128  # OpenAI's own clients refuse a higher index

Fragment = dict[str, Any]


def _read(fragment: Fragment) -> tuple[int, str, str, str] | None:
    """Index, id, name and arguments of a fragment; None when its index is none that clients take."""
    index = fragment.get("index", 0)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MOST_CALLS:
        return None
    function = fragment.get("function")
    function = function if isinstance(function, dict) else {}
    return index, str(fragment.get("id") or ""), str(function.get("name") or ""), str(function.get("arguments") or "")


def clean(fragments: list[Fragment]) -> list[Fragment]:
    """``fragments`` with what we know of them, in text that can be stored and sent on."""
    cleaned = []
    for fragment in fragments:
        if (read := _read(fragment)) is not None:
            index, identity, name, text = read
            function = {"name": _mended(name), "arguments": _mended(text)}
            cleaned.append({"index": index, "id": _mended(identity), "function": function})
    return cleaned


def _mended(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def joined(fragments: list[Fragment]) -> list[Fragment]:
    """The whole calls in order of their index, each with that index."""
    calls: dict[int, Fragment] = {}
    arguments: dict[int, list[str]] = {}
    for fragment in fragments:
        if (read := _read(fragment)) is None:
            continue
        index, identity, name, text = read
        call = calls.setdefault(index, {"index": index, "id": "", "type": "function", "function": {"name": ""}})
        call["id"] = call["id"] or identity
        call["function"]["name"] = call["function"]["name"] or name
        arguments.setdefault(index, []).append(text)
    for index, call in calls.items():
        call["function"]["arguments"] = "".join(arguments[index])
    return [calls[index] for index in sorted(calls)]


def added(known: list[Fragment], calls: list[Fragment]) -> list[Fragment]:
    """The fragments that make the ``known`` ones into ``calls`` (joined ones, which have only grown)."""
    have = {call["index"]: len(call["function"]["arguments"]) for call in joined(known)}
    found = []
    for call in calls:
        text = call["function"]["arguments"]
        length = have.get(call["index"])
        if length is None:
            found.append(call)
        elif len(text) > length:
            found.append({"index": call["index"], "function": {"arguments": text[length:]}})
    return found


class Writer:
    """Rewrites fragments for one reader: id, type and name once, then only arguments."""

    def __init__(self) -> None:
        self._read = 0
        self._known: set[int] = set()

    def new(self, fragments: list[Fragment]) -> Iterator[Fragment]:
        """What came since the last call, fit for a delta."""
        fresh = fragments[self._read :]
        self._read = len(fragments)
        for fragment in fresh:
            if (read := _read(fragment)) is None:
                continue
            index, identity, name, text = read
            if index not in self._known:
                self._known.add(index)
                named = {"name": name, "arguments": text}
                yield {"index": index, "id": identity, "type": "function", "function": named}
            elif text:
                yield {"index": index, "function": {"arguments": text}}
