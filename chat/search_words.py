"""Words as the search knows them: how text falls into words, what is sought, and where it was found.

The same rule for both databases, which have rules of their own: words are without case and accents, so that
"GRÖSSE" finds "Größe"; Hindi words are whole, with or without the dot below; scripts that leave no space
between words are known by their letters in pairs. All of it is pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

LONGEST_TEXT: Final = 200_000  # characters of a message that are looked at
LONGEST_WORD: Final = 40
MOST_WORDS: Final = 30_000
MOST_SOUGHT: Final = 16
AROUND: Final = 70  # characters of an excerpt before the first match
LONGEST_EXCERPT: Final = 220
_MOST_SPANS: Final = 200


def _ranges(points: Iterable[int]) -> str:
    """The inside of a character class with these code points, which rise."""
    runs: list[list[int]] = []
    for point in points:
        if runs and point == runs[-1][1] + 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs)


_JOINERS: Final = "\u00ad\u200c\u200d"
#: Vowel signs and the like, which Python does not count as letters; the blocks in which there are any.
_MARKS: Final = _JOINERS + _ranges(
    point
    for first, last in ((0x300, 0x3100), (0xA600, 0xAC00), (0x10A00, 0x12000))
    for point in range(first, last)
    if unicodedata.category(chr(point))[0] == "M"
)
#: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:[{_MARKS}]+[^\W_{_UNSPACED}]*)*")
_RUN: Final = re.compile(rf"[{_UNSPACED}]+")
_SPACE: Final = re.compile(r"\s+")
#: Accents of Latin, Greek and Cyrillic, the dot below of Devanagari, what joins.
_DROPPED: Final = dict.fromkeys([*range(0x300, 0x370), 0x93C, *map(ord, _JOINERS)])


def normal(text: str) -> str:
    """``text`` as words are compared."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", folded).translate(_DROPPED))


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def words(text: str) -> list[str]:
    """The different words of ``text``, in alphabetical order."""
    found: set[str] = set()
    for word in _WORD.findall(normal(text[:LONGEST_TEXT])):
        if _RUN.match(word):
            found.update(word, _pairs(word))
        else:
            found.add(word[:LONGEST_WORD])
    return sorted(found)[:MOST_WORDS]


def sought(text: str) -> list[str]:
    """What a search for ``text`` looks for: beginnings of words, all of which must be there."""
    found: list[str] = []
    for word in _WORD.findall(normal(text)):
        found += _pairs(word) if _RUN.match(word) else [word[:LONGEST_WORD]]
    return list(dict.fromkeys(found))[:MOST_SOUGHT]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an excerpt, and whether it is what was sought."""

    text: str
    match: bool


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    what: str


def _spans(text: str, beginnings: tuple[str, ...]) -> Iterator[_Span]:
    pairs = [sign for sign in beginnings if _RUN.match(sign)]
    for found in _WORD.finditer(text):
        if _RUN.match(found[0]):
            for sign in pairs:
                at = found[0].find(sign)
                while at >= 0:
                    yield _Span(found.start() + at, found.start() + at + len(sign), sign)
                    at = found[0].find(sign, at + 1)
        elif (word := normal(found[0])).startswith(beginnings):
            yield _Span(found.start(), found.end(), next(one for one in beginnings if word.startswith(one)))


def _best(spans: list[_Span]) -> int:
    """Where the stretch of an excerpt's length begins that has the most of what was sought."""
    best, most = spans[0].start, 0
    for first in spans:
        near = {one.what for one in spans if first.start <= one.start and one.end <= first.start + LONGEST_EXCERPT}
        if len(near) > most:
            best, most = first.start, len(near)
    return best


def excerpt(text: str, beginnings: list[str]) -> list[Part]:
    """The piece of ``text`` around what was found, with the matches apart; empty when there is none in it."""
    text = text[:LONGEST_TEXT]
    spans: list[_Span] = []
    for span in _spans(text, tuple(beginnings)) if beginnings else ():
        spans.append(span)
        if len(spans) == _MOST_SPANS:
            break
    if not spans:
        return []
    spans.sort(key=lambda span: (span.start, -span.end))
    first = _best(spans)
    start = 0 if first <= AROUND else text.find(" ", first - AROUND, first) + 1 or first - AROUND
    end = min(len(text), max(start + LONGEST_EXCERPT, first + 1))
    parts, at = [_part("…" if start else "", False)], start
    for span in spans:
        if span.end <= at or span.start >= end:
            continue
        parts += [_part(text[at : span.start], False), _part(text[max(at, span.start) : span.end], True)]
        at = span.end
    parts += [_part(text[at : max(at, end)], False), _part("…" if end < len(text) else "", False)]
    return _joined(parts)


def _part(text: str, match: bool) -> Part:
    return Part(_SPACE.sub(" ", text), match)


def _joined(parts: list[Part]) -> list[Part]:
    """Without empty parts, and neighbours of one kind as one."""
    joined: list[Part] = []
    for part in parts:
        if joined and joined[-1].match == part.match:
            joined[-1] = Part(joined[-1].text + part.text, part.match)
        elif part.text:
            joined.append(part)
    return joined
