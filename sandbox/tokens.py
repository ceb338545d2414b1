"""The sandbox's own tokenizer: counts and cuts text, always in the same way.

Text is cut into *pieces*; a piece is what one streamed chunk carries, and is worth one or more tokens:

* an ASCII word, with the one space before it; more than six characters fall into parts of three to five, the
  length of the part chosen by the word's checksum,
* digits in groups of three, line breaks in one run, spaces in runs of four, any other ASCII sign alone,
* other letters in pairs when they take two bytes (accents, Greek, Cyrillic), one by one when they take three,
* characters outside the basic plane (most emoji) two or three tokens each, by checksum.

The count can't be told from the number of bytes, yet never exceeds it: each token covers at least one byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from .jsontext import compact

PER_MESSAGE = 4
"""Tokens every message costs beside its text."""
PER_REPLY = 3
"""Tokens that open the reply; once per request."""
WHOLE_WORD = 6
"""Characters up to which a word, its space included, stays one piece."""
PER_IMAGE = 85
"""Tokens of one image, or the bytes of its address when that is less."""

_SHAPE = re.compile(
    r" ?[A-Za-z]+"
    r"|[0-9]{1,3}"
    r"|[\r\n]+"
    r"|[ \t]{1,4}"
    r"|[\x00-\x7f]"
    r"|[\u0080-\u07ff]{1,2}"
    r"|[\u0800-\uffff]"
    r"|[\U00010000-\U0010ffff]",
    re.DOTALL,
)


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """Cuts text into (piece, tokens). Joined again, the pieces are the text."""
    for found in _SHAPE.finditer(text):
        shape = found.group()
        first = shape[0]
        if first >= "\U00010000":
            yield shape, 2 + crc32(shape.encode()) % 2
        elif first.isascii() and (first.isalpha() or (first == " " and len(shape) > 1 and shape[1].isalpha())):
            yield from _word(shape)
        else:
            yield shape, 1


def _word(word: str) -> Iterator[tuple[str, int]]:
    if len(word) <= WHOLE_WORD:
        yield word, 1
        return
    step = 3 + crc32(word.encode()) % 3
    for start in range(0, len(word), step):
        yield word[start : start + step], 1


def count(text: str) -> int:
    """Tokens of a text."""
    return sum(tokens for _, tokens in pieces(text))


def prompt_tokens(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> int:
    """Tokens of a request: at most the UTF-8 bytes of its texts, and eight for every message."""
    total = PER_REPLY
    for message in messages:
        total += PER_MESSAGE + sum(_content(message.get("content")))
        calls = message.get("tool_calls")
        if calls:
            total += count(compact(calls).decode())
    if tools:
        total += count(compact(list(tools)).decode())
    return total


def _content(content: object) -> Iterator[int]:
    if isinstance(content, str):
        yield count(content)
    elif isinstance(content, list):
        for part in content:
            if not isinstance(part, dict):
                continue
            text = part.get("text")
            if isinstance(text, str):
                yield count(text)
            else:
                yield min(PER_IMAGE, len(compact(part)))
