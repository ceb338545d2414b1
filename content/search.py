"""Search in the documentation: few pages, read whole, so that both databases find the same."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from content.models import DocsPage, DocsSearch
from oneai.kit.clock import now

LONGEST: Final = 100
_MOST_WORDS: Final = 8
_AROUND: Final = 90
_KEPT: Final = 5000  # different searches remembered


@dataclass(frozen=True, slots=True)
class Found:
    """A page with the words. ``excerpt``: HTML with the words in ``mark``; ``plain``: the same as text."""

    slug: str
    title: str
    section: str
    excerpt: SafeString
    plain: str
    score: int


def folded(text: str) -> str:
    """Without case and accents, letter for letter as long as the text itself."""
    parts = []
    for letter in text:
        first = unicodedata.normalize("NFKD", letter.lower())
        parts.append(first[0] if first and unicodedata.combining(first[0]) == 0 else letter)
    return "".join(parts)


def words(query: str) -> list[str]:
    """What is looked for: at most eight words, without case and accents."""
    return re.findall(r"[^\s\"'(),;]+", folded(query[:LONGEST]))[:_MOST_WORDS]


def search(query: str, most: int = 20) -> list[Found]:
    """Published pages that have every word, the best first: title before headings before text."""
    wanted = words(query)
    if not wanted:
        return []
    found = []
    for page in DocsPage.objects.filter(is_published=True).order_by("position"):
        title, text = folded(page.title), folded(page.text)
        heads = folded(" ".join(str(each["text"]) for each in page.headings))
        score = 0
        for word in wanted:
            part = 20 * (word in title) + 6 * heads.count(word) + min(5, text.count(word))
            if not part:
                break
            score += part
        else:
            plain, excerpt = _excerpt(page.text, text, wanted)
            found.append(Found(page.slug, page.title, page.section, excerpt, plain, score))
    return sorted(found, key=lambda each: -each.score)[:most]


def _excerpt(text: str, low: str, wanted: list[str]) -> tuple[str, SafeString]:
    first = min((at for at in (low.find(word) for word in wanted) if at >= 0), default=0)
    begin = max(0, first - _AROUND)
    if begin:
        begin = text.find(" ", begin, first) + 1 or begin
    end = min(len(text), first + _AROUND * 2)
    cut, cut_low = text[begin:end], low[begin:end]
    pattern = re.compile("|".join(re.escape(word) for word in sorted(wanted, key=len, reverse=True)))
    pieces: list[SafeString] = []
    at = 0
    for hit in pattern.finditer(cut_low):
        pieces.append(format_html("{}<mark>{}</mark>", cut[at : hit.start()], cut[hit.start() : hit.end()]))
        at = hit.end()
    pieces.append(format_html("{}", cut[at:]))
    front, back = "…" if begin else "", "…" if end < len(text) else ""
    inner = format_html_join("", "{}", ((piece,) for piece in pieces))
    return front + cut + back, format_html("{}{}{}", front, inner, back)


def remember(query: str, found: int) -> None:
    """Count that this was looked for; staff see what is sought in vain.

    Bounded: beyond that the oldest of those that were sought once go, so that nonsense crowds out nothing.
    """
    text = " ".join(query.lower().split())[:LONGEST]
    if len(text) < 2 or "\0" in text:
        return
    with transaction.atomic():
        changed = DocsSearch.objects.filter(query=text).update(times=F("times") + 1, found=found, last_at=now())
        if changed:
            return
        if DocsSearch.objects.count() >= _KEPT:
            once = DocsSearch.objects.filter(times=1).order_by("last_at").values_list("query", flat=True)
            DocsSearch.objects.filter(query__in=list(once[: _KEPT // 10])).delete()
        DocsSearch.objects.get_or_create(query=text, defaults={"found": found})
