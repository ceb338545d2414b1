"""Markdown of models to HTML that may stand in our pages.

The one place where text of a model becomes markup. The order is fixed: render, then sanitise the
final HTML as the last step, by lists of what is allowed. ``render`` never raises: what can't be
rendered is shown as the text it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

import nh3
import structlog
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

log = structlog.get_logger(__name__)

#: Raised when the same text would be rendered differently: cached HTML of another version is not used.
RENDER_VERSION: Final = 2

#: Longer code is shown without colours: a lexer's time may grow faster than its input.
_HIGHLIGHT_LIMIT: Final = 4_000
#: Longer text is shown as it is: the time of links and brackets may grow faster than their number.
_RENDER_LIMIT: Final = 40_000
_NESTING_LIMIT: Final = 60
#: A message stands under an <h2> of its page, so its own headings begin here, whatever it began with.
_TOP_HEADING: Final = 3

_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_TAGS: Final = frozenset(
    (
        "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul"
    ).split()
)
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "a": {"href", "title", "target", "class"},
    "code": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "ol": {"start"},
    "pre": {"data-language", "tabindex", "role", "aria-label"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
_PYGMENTS_CLASSES: Final = frozenset(
    (
        "hll c c1 ch cm cp cpf cs err esc g gd ge gh gi go gp gr gs gt gu il k kc kd kn kp kr kt l ld "
        "m mb mf mh mi mo n na nb bp nc nd ne nf fm ni nl nn no nt nv nx o ow p pm "
        "s s1 s2 sa sb sc sd se sh si sr ss sx dl v vc vg vi vm w x"
    ).split()
)
_CLASSES: Final[dict[str, frozenset[str]]] = {
    "a": frozenset({"image-link"}),
    "code": frozenset(),
    "div": frozenset({"math", "code-block", "code-block__bar", "table-scroll"}),
    "span": frozenset({"math", "display"}) | _PYGMENTS_CLASSES,
    "td": frozenset({"align-center", "align-right"}),
    "th": frozenset({"align-center", "align-right"}),
}


#: What scrolls sideways can be reached by keys, and says what it is.
_FOCUSED: Final[dict[str, frozenset[str]]] = {
    "tabindex": frozenset({"0"}),
    "role": frozenset({"group"}),
    "aria-label": frozenset({"Code", "Table"}),
}


def _allowed_link(address: str) -> bool:
    """Whether a link may lead there: absolute, of an allowed scheme, without control characters."""
    address = address.strip()
    if any(ord(char) < 0x21 or 0x7F <= ord(char) <= 0x9F for char in address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    scheme = parts.scheme.lower()
    return scheme in _SCHEMES and bool(parts.netloc if scheme != "mailto" else parts.path)


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Last look at each attribute: classes of the lists alone, links that may be followed alone."""
    if name == "class":
        kept = [word for word in value.split() if word in _CLASSES.get(tag, ())]
        return " ".join(kept) or None
    if name == "href":
        return value if _allowed_link(value) else None
    if name == "target":
        return "_blank"
    if name == "start":
        return value if value.isascii() and value.isdigit() and len(value) <= 9 else None
    if name == "data-language":
        return value[:40]
    if name in _FOCUSED:
        return value if value in _FOCUSED[name] or (name == "aria-label" and value.startswith("Code (")) else None
    return value


def sanitise(html: str) -> str:
    """Only what is listed passes; everything else is dropped or shown as text. The last step, always."""
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow ugc",
        strip_comments=True,
        clean_content_tags={"script", "style"},
    )


_FORMATTER: Final = HtmlFormatter(nowrap=True)


def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _code(source: str, info: str) -> str:
    language = info.split(maxsplit=1)[0].lower() if info.strip() else ""
    inner = escape(source)
    if language and len(source) <= _HIGHLIGHT_LIMIT and (lexer := _lexer(language)) is not None:
        inner = highlight(source, lexer, _FORMATTER)
    name = escape(language[:40])
    label = f"Code ({name})" if name else "Code"
    return (
        f'<div class="code-block"><div class="code-block__bar"><span>{name}</span></div>'
        f'<pre data-language="{name}" tabindex="0" role="group" aria-label="{label}"><code>{inner}</code></pre></div>\n'
    )


class _Renderer(RendererHTML):
    """Our way of code, images, links and tables; everything else as the library does."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _code(tokens[idx].content, tokens[idx].info)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _code(tokens[idx].content, "")

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A link that says where the image is: a picture that loads by itself tells its host who reads what."""
        token = tokens[idx]
        source = str(token.attrGet("src") or "")
        alt = self.renderInlineAsText(token.children or [], options, env) or ""
        host = (urlsplit(source).hostname or "") if _allowed_link(source) else ""
        if not host:
            return escape(alt)
        label = f"Load image from {host}" + (f": {alt}" if alt else "")
        return f'<a class="image-link" href="{escape(source)}" target="_blank">{escape(label)}</a>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        tokens[idx].attrSet("target", "_blank")
        return self.renderToken(tokens, idx, options, env)


def _aligned_cells(state: StateCore) -> None:
    """Column alignment as a class: a style attribute is refused by the content policy."""
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and "style" in token.attrs:
            style = str(token.attrs.pop("style"))
            side = style.rpartition(":")[2].strip()
            if side in ("center", "right"):
                token.attrs["class"] = f"align-{side}"


def _stepped_headings(state: StateCore) -> None:
    """Headings as an outline without gaps: levels 2, 4, 4, 1 of a message become 3, 4, 4, 3.

    One without words (an answer may end right after the ``##``) is a paragraph.
    """
    outline: list[int] = []
    for opening, words, closing in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if opening.type != "heading_open":
            continue
        if words.content.strip():
            level = int(opening.tag[1:])
            while outline and outline[-1] >= level:
                outline.pop()
            outline.append(level)
            opening.tag = closing.tag = f"h{min(6, _TOP_HEADING - 1 + len(outline))}"
        else:
            opening.tag = closing.tag = "p"


def _math_text(content: str, options: dict[str, Any]) -> str:
    return escape(content.strip())


def _display_in_line(self: RendererHTML, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
    """``$$x$$`` inside a paragraph: a span, because a block may not stand there."""
    return f'<span class="math display">{escape(tokens[idx].content.strip())}</span>'


class _Markdown(MarkdownIt):
    """The library with our own idea of which links there are."""

    def validateLink(self, url: str) -> bool:
        return _allowed_link(url)


def _build() -> MarkdownIt:
    markdown = _Markdown(
        "commonmark",
        {"html": False, "linkify": True, "maxNesting": _NESTING_LIMIT},
        renderer_cls=_Renderer,
    )
    markdown.enable(["table", "strikethrough", "linkify"])
    markdown.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        double_inline=True,
        renderer=_math_text,
    )
    markdown.add_render_rule("math_inline_double", _display_in_line)
    assert markdown.linkify is not None
    # Only addresses that say what they are: "file.py" and "e.g" in prose are not links.
    markdown.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    markdown.core.ruler.push("aligned_cells", _aligned_cells)
    markdown.core.ruler.push("stepped_headings", _stepped_headings)
    return markdown


_MARKDOWN: Final = _build()


def parse(text: str) -> list[Token] | None:
    """The parts of ``text`` for those who draw it themselves; None when it is to be shown as it is."""
    if len(text) > _RENDER_LIMIT:
        return None
    try:
        return _MARKDOWN.parse(_bracket_math(text))
    except Exception as error:  # as in render
        log.warning("markdown_failed", error=type(error).__name__, length=len(text))
        return None


def _plain(text: str) -> str:
    return sanitise(f"<p>{escape(text)}</p>")


def _bracket_math(text: str) -> str:
    r"""``\(x\)`` and ``\[x\]``, which many models write, as dollar math, outside of code."""
    if "\\(" not in text and "\\[" not in text:
        return text
    lines, fence = [], ""
    for line in text.split("\n"):
        start = line.lstrip()[:3]
        if start in ("```", "~~~"):
            fence = "" if fence == start else (fence or start)
        elif not fence and "`" not in line and not line.startswith("    "):
            line = line.replace("\\[", "$$").replace("\\]", "$$")
            line = line.replace("\\( ", "\\(").replace(" \\)", "\\)").replace("\\(", "$").replace("\\)", "$")
        lines.append(line)
    return "\n".join(lines)


def render(text: str) -> str:
    """Safe HTML for Markdown ``text``. Never raises; the same text gives the same HTML."""
    if len(text) > _RENDER_LIMIT:
        return _plain(text)
    try:
        return sanitise(_MARKDOWN.render(_bracket_math(text)))
    except Exception as error:  # hostile text must not take a page down
        log.warning("markdown_failed", error=type(error).__name__, length=len(text))
        return _plain(text)
