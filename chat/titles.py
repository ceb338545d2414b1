"""A conversation's title from its first words."""

from __future__ import annotations

import re

LONGEST = 60


def from_words(content: str) -> str:
    """The first line of ``content`` without Markdown marks, cut at a word, at most 60 characters."""
    line = next((line for line in content.splitlines() if line.strip(" #>*-`\t")), "")
    text = re.sub(r"\s+", " ", re.sub(r"[#*`_>\[\]]", "", line)).strip()
    if len(text) > LONGEST:
        cut = text[: LONGEST - 1]
        text = (cut.rsplit(" ", 1)[0] if " " in cut[20:] else cut).rstrip(" ,.;:") + "…"
    return text or "New conversation"
