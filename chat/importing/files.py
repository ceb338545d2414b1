"""What is sent for import, as conversations: JSON, or a ZIP archive that has it; bounded before it is read."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

from chat.importing import chatgpt, own
from chat.importing.records import Talk, Unreadable
from oneai.kit.errors import Refusal
from oneai.kit.jsonbody import read_json

MIB: Final = 1024 * 1024
MOST_VALUES: Final = 1_500_000
MOST_CONVERSATIONS: Final = 5_000
MOST_ENTRIES: Final = 1_000
MOST_UNPACKED: Final = 200 * MIB
LARGEST_ENTRY: Final = 32 * MIB  # as objects it takes some ten times that
MOST_RATIO: Final = 100
_NAMES: Final = re.compile(r"(?:^|/)conversations(?:-\d+)?\.json$")


def entries(body: bytes) -> Iterator[dict[str, Any]]:
    """The conversations in ``body``, unread. Refusals ``invalid_json``, ``invalid_value``."""
    documents = _unpacked(body) if body[:4] == b"PK\x03\x04" else iter([body])
    count = 0
    for document in documents:
        for one in _conversations(read_json(document, most_values=MOST_VALUES)):
            count += 1
            if count > MOST_CONVERSATIONS:
                raise _bad(f"More than {MOST_CONVERSATIONS:,} conversations at once.")
            yield one


def talk_of(value: dict[str, Any]) -> Talk:
    """One conversation. Unreadable when it can't be brought in."""
    if own.is_own(value):
        return own.read(value)
    if chatgpt.is_theirs(value):
        return chatgpt.read(value)
    raise Unreadable("It is neither a conversation of this site nor one of ChatGPT.")


def _conversations(value: Any) -> list[dict[str, Any]]:
    if own.is_own(value) or chatgpt.is_theirs(value):
        return [value]
    if isinstance(value, dict):
        value = value.get("conversations")
    if not isinstance(value, list) or not value:
        raise _bad("There are no conversations in it.")
    return [one if isinstance(one, dict) else {} for one in value]


def _unpacked(body: bytes) -> Iterator[bytes]:
    """The files of conversations in an archive, one after the other. Its figures are looked at before it is unpacked,
    and not believed while it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            found = _checked(archive.infolist())
            for entry in found:
                with archive.open(entry) as packed:
                    document = packed.read(LARGEST_ENTRY + 1)
                if len(document) > LARGEST_ENTRY:
                    raise _bad("A file in the archive is too large.")
                yield document
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _bad("The archive can't be read.") from error


def _checked(every: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    if len(every) > MOST_ENTRIES:
        raise _bad(f"The archive has more than {MOST_ENTRIES:,} files.")
    if sum(entry.file_size for entry in every) > MOST_UNPACKED:
        raise _bad("The archive unpacks to more than 200 MiB.")
    for entry in every:
        parts = entry.filename.replace("\\", "/").split("/")
        if entry.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise _bad("The archive has a file outside of it.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _bad("The archive has a link in it.")
        if entry.file_size > MOST_RATIO * max(entry.compress_size, 1024):
            raise _bad("A file in the archive is packed too tightly.")
    found = [entry for entry in every if _NAMES.search(entry.filename)]
    if not found:
        raise _bad("There is no conversations.json in the archive.")
    if any(entry.file_size > LARGEST_ENTRY for entry in found):
        raise _bad("A file in the archive is too large.")
    return sorted(found, key=lambda entry: entry.filename)


def _bad(message: str) -> Refusal:
    return Refusal("invalid_value", message)
