"""A conversation's title: one line of plain text, from its first words or from what a model says."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 60
UNTITLED: Final = "New conversation"

# What would turn a line's direction or hide in it; joiners stay, since emoji and some scripts need them.
_INVISIBLE: Final = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_QUOTES: Final = "\"'“”„‘’«»"


def one_line(content: str) -> str:
    """The first line of ``content`` without Markdown marks, cut at a word, at most 60 characters; may be empty."""
    lines = (_INVISIBLE.sub("", line) for line in content.splitlines())
    line = next((line for line in lines if line.strip(" #>*-`\t")), "")
    text = re.sub(r"\s+", " ", re.sub(r"[#*`_>\[\]]", "", line)).strip()
    if len(text) > LONGEST:
        cut = text[: LONGEST - 1]
        text = (cut.rsplit(" ", 1)[0] if " " in cut[20:] else cut).rstrip(" ,.;:") + "…"
    return text


def from_words(content: str) -> str:
    """The title of a conversation that begins with ``content``."""
    return one_line(content) or UNTITLED


def from_model(said: str) -> str:
    """The title in a model's answer; empty when there is none in it."""
    line = one_line(re.sub(r"^\s*(?:title|subject)\s*:\s*", "", said[:1000], flags=re.IGNORECASE))
    return line.strip(_QUOTES + " ").rstrip(".")
