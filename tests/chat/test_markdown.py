"""Markdown of models becomes HTML that may stand in our pages, whatever the text is (R-01, R-04, R-07, R-09)."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat import markdown

TAGS = frozenset(
    "a blockquote br code del div em h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul".split()
)
ATTRIBUTES = {
    "a": {"href", "title", "target", "rel", "class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "ol": {"start"},
    "pre": {"data-language", "tabindex", "role", "aria-label"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
SAID = {"tabindex": {"0"}, "role": {"group"}, "aria-label": {"Code", "Table"}}
PAYLOADS = [
    line
    for line in (Path(__file__).parent / "xss_payloads.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


class Inspector(HTMLParser):
    """Reads HTML as a browser would and keeps what a page must not have."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, ()):
                self.faults.append(f"{tag} {name}={value!r}")
            if name in SAID and value not in SAID[name] and not str(value).startswith("Code ("):
                self.faults.append(f"{name} {value!r}")
            if name == "href" and urlsplit((value or "").strip()).scheme.lower() not in {"http", "https", "mailto"}:
                self.faults.append(f"href {value!r}")
        if tag == "a" and ("href" in dict(attrs)) and dict(attrs).get("rel") != "noopener noreferrer nofollow ugc":
            self.faults.append("a link without rel")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"declaration {decl!r}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"instruction {data!r}")


def inspected(html: str) -> Inspector:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector


SHAPES = (
    "{}",
    "[click]({})",
    "[click](<{}>)",
    "![picture]({})",
    "<{}>",
    "[ref]\n\n[ref]: {}",
    "```{}\ncode\n```",
    "`{}`",
    "$${}$$",
    "| a |\n|---|\n| {} |",
    "> - # {}",
    '[title](https://example.com "{}")',
)


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(set(PAYLOADS)) >= 100


@pytest.mark.parametrize("shape", SHAPES)
def test_no_payload_of_the_corpus_survives_in_any_place(shape: str) -> None:
    """R-01, R-04: every payload in every place where Markdown takes text."""
    found = {
        payload: faults
        for payload in PAYLOADS
        if (faults := inspected(markdown.render(shape.replace("{}", payload))).faults)
    }
    assert found == {}


WORDS = "<script> </p> <img><svg> ]( javascript: [ ![ ` ``` $ $$ | > - 1. # * _ ~~ \\( \\[ \\] &lt; &#x6a; <!--"
MARKUP = st.sampled_from([*WORDS.split(), "\n", "\n\n", "\x00", "\u2028", "\r", "> ", "- ", "1. "])


@settings(max_examples=600, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), MARKUP), max_size=30).map("".join))
def test_any_text_at_all_gives_allowed_html_and_never_an_error(text: str) -> None:
    """R-04, R-07."""
    assert inspected(markdown.render(text)).faults == []


@given(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "So", "Zs")), min_size=1, max_size=200))
def test_plain_words_are_shown_as_they_are(text: str) -> None:
    shown = inspected(markdown.render(f"x{text}x")).text
    assert "".join(shown.split()) == "".join(f"x{text}x".split())


@pytest.mark.parametrize(
    "text", [">" * 5000, "- " * 3000, "[" * 5000, "*" * 9000, "`" * 5001, "$" * 3000, "\\[" * 3000]
)
def test_deep_and_repeated_markup_is_shown_somehow(text: str) -> None:
    """R-07: what would be too deep to render still ends, as text if need be."""
    assert inspected(markdown.render(text)).faults == []


def test_an_error_inside_the_renderer_shows_the_text_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise AssertionError("malformed")

    monkeypatch.setattr(markdown._MARKDOWN, "render", fail)
    assert markdown.render("1 < 2 <script>x</script>") == "<p>1 &lt; 2 &lt;script&gt;x&lt;/script&gt;</p>"


def test_an_image_becomes_a_link_that_names_its_host() -> None:
    """R-09: nothing is fetched by itself."""
    html = markdown.render("![a chart](https://evil.example/x.png?q=secret)")
    assert "<img" not in html
    assert 'href="https://evil.example/x.png?q=secret"' in html
    assert "Load image from evil.example: a chart" in html


def test_links_open_apart_and_vouch_for_nothing() -> None:
    html = markdown.render("[docs](https://example.com/a) and https://example.org/b")
    assert html.count('rel="noopener noreferrer nofollow ugc"') == 2
    assert html.count('target="_blank"') == 2


@pytest.mark.parametrize(
    "address", ["/c/1", "//evil.example", "#top", "data:text/html,x", "ftp://a.example/b", "java\tscript:1"]
)
def test_a_link_that_is_not_web_or_mail_is_no_link(address: str) -> None:
    assert "href" not in markdown.render(f"[x]({address})")


def test_code_is_coloured_by_classes_and_says_its_language() -> None:
    html = markdown.render('```python\ndef f(): return "<b>"\n```')
    assert '<pre data-language="python" tabindex="0" role="group" aria-label="Code (python)">' in html
    assert '<span class="k">def</span>' in html
    assert "&lt;b&gt;" in html
    assert "style=" not in html


def test_code_of_an_unknown_language_stays_as_it_is() -> None:
    assert "a &lt; b\n" in markdown.render("```nosuchlanguage\na < b\n```")


def test_what_scrolls_sideways_can_be_reached_by_keys_and_only_as_we_say_it() -> None:
    html = markdown.render("| a |\n|---|\n| b |\n\n    plain code")
    assert '<div class="table-scroll" tabindex="0" role="group" aria-label="Table"><table>' in html
    assert '<pre data-language="" tabindex="0" role="group" aria-label="Code">' in html
    forged = '<div tabindex="5" role="alert" aria-label="Sign in again">x</div><pre tabindex="0" role="group">y</pre>'
    assert markdown.sanitise(forged) == '<div>x</div><pre tabindex="0" role="group">y</pre>'


def test_tables_keep_their_alignment_as_classes() -> None:
    html = markdown.render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<th class="align-center">a</th>' in html
    assert '<td class="align-right">2</td>' in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so $a<b$ holds", '<span class="math">a&lt;b</span>'),
        (r"so \(a+b\) holds", '<span class="math">a+b</span>'),
        ("in $$a$$ line", '<span class="math display">a</span>'),
        ("$$\na^2\n$$", '<div class="math">\na^2\n</div>'),
        ("it costs $5 and $6", "it costs $5 and $6"),
        ("`\\(code\\)` stays", "<code>\\(code\\)</code> stays"),
    ],
)
def test_math_is_marked_for_the_typesetter_and_money_is_not(text: str, expected: str) -> None:
    assert expected in markdown.render(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# One\n\n#### Deep\n\n## Two", "<h3>One</h3>\n<h4>Deep</h4>\n<h4>Two</h4>\n"),
        ("### Low\n\n# High", "<h3>Low</h3>\n<h3>High</h3>\n"),
        ("##\n\n### Words", "<p></p>\n<h3>Words</h3>\n"),
    ],
)
def test_headings_are_an_outline_below_the_pages_own(text: str, expected: str) -> None:
    assert markdown.render(text) == expected


def test_the_same_text_gives_the_same_html() -> None:
    text = "# A\n\n$x$ `y` [z](https://example.com)\n\n```python\nx = 1\n```"
    assert markdown.render(text) == markdown.render(text)
