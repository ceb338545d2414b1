"""Markdown of our own pages to HTML: headings that can be linked to, links between pages, code in colours.

What is written here is the owner's, and is sanitised all the same: the desk takes text from several people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from itertools import pairwise
from typing import Any, Final

import nh3
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

_TAGS: Final = frozenset(
    (
        "a blockquote br code del div em h2 h3 h4 h5 h6 hr img li ol p pre s span strong table tbody td th thead tr ul"
    ).split()
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "h2": {"id"},
    "h3": {"id"},
    "img": {"src", "alt", "width", "height", "loading"},
    "ol": {"start"},
    "pre": {"data-language", "tabindex"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class", "scope"},
}
_WORDS: Final = re.compile(r"\s+")
_INLINE: Final = re.compile(r"</?(?:a|code|del|em|img|s|span|strong)\b[^>]*>")
_MARKUP: Final = re.compile(r"<[^>]*>")
_FORMATTER: Final = HtmlFormatter(nowrap=True)

Links = Callable[[str], str | None]


@dataclass(slots=True)
class Rendered:
    """A page as it is shown. ``headings``: level (2 or 3), id and text of each; ``text``: its words alone.

    ``opening``: the words of its first paragraph.
    """

    title: str
    html: str
    text: str
    opening: str
    headings: list[dict[str, Any]] = field(default_factory=list)


class _Renderer(RendererHTML):
    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        source, language = tokens[idx].content, tokens[idx].info.split(maxsplit=1)[0] if tokens[idx].info else ""
        inner = escape(source)
        if language:
            try:
                inner = highlight(source, get_lexer_by_name(language, ensurenl=False), _FORMATTER)
            except ClassNotFound:
                pass
        return (
            f'<div class="code-block"><div class="code-block__bar"><span>{escape(language)}</span></div>'
            f'<pre data-language="{escape(language)}" tabindex="0"><code>{inner}</code></pre></div>\n'
        )

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<div class="code-block"><pre tabindex="0"><code>{escape(tokens[idx].content)}</code></pre></div>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


_PARSER: Final = MarkdownIt("commonmark", {"html": False, "typographer": False}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)


def _plain(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        if token.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif token.type != "image":
            parts.append(token.content or _plain(token.children or ()))
    return "".join(parts)


def _follow(tokens: Sequence[Token], links: Links) -> None:
    """Send links on: an address that leads nowhere from here is left out, its words stay."""
    for token in tokens:
        if token.children:
            _follow(token.children, links)
        if token.type == "link_open":
            target = links(str(token.attrGet("href") or ""))
            if target is None:
                token.attrs.pop("href", None)
            else:
                token.attrSet("href", target)


def _anchors(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    for token, inline in pairwise(tokens):
        if token.type != "heading_open" or token.tag not in {"h2", "h3"}:
            continue
        text = _plain(inline.children or ())
        name = base = slugify(text) or "part"
        number = 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name)
        token.attrSet("id", name)
        found.append({"level": int(token.tag[1]), "id": name, "text": text})
    return found


def _opening(tokens: Sequence[Token]) -> str:
    for token, inline in pairwise(tokens):
        if token.type == "paragraph_open":
            return _WORDS.sub(" ", _plain(inline.children or ()))
    return ""


def render(source: str, links: Links = lambda address: address) -> Rendered:
    """The page in ``source``. Its first heading is the title and not part of the HTML; ``links`` sends links on."""
    tokens = _PARSER.parse(source)
    title = ""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        title = _plain(tokens[1].children or ())
        tokens = tokens[3:]
    _follow(tokens, links)
    headings = _anchors(tokens)
    html = nh3.clean(
        _PARSER.renderer.render(tokens, _PARSER.options, {}),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener",
        clean_content_tags={"script", "style"},
    )
    text = _WORDS.sub(" ", unescape(_MARKUP.sub(" ", _INLINE.sub("", html)))).strip()
    return Rendered(title, html, text, _opening(tokens), headings)
