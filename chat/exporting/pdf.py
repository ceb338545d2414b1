"""A conversation as a PDF: A4, its text selectable, headings, lists, tables and code as the model meant them.

Nothing is fetched: an image is the text that stands for it, and only links that may be followed are links.
"""

from __future__ import annotations

from typing import Final

from fpdf import FPDF
from markdown_it.token import Token

from chat import markdown
from chat.exporting.record import Record, Said
from oneai.kit import pdf_fonts
from oneai.kit.errors import Refusal

MOST_CHARACTERS: Final = 300_000  # some seconds of drawing, and 150 pages
_MARGIN: Final = 18.0  # mm
_STEP: Final = 6.0  # of a list in a list, mm
_DEEPEST: Final = 5
_LINE: Final = 5.4
_SIZE: Final = 10.5
_GREY: Final = 105
_GROUND: Final = 244
_HEADINGS: Final = {"h3": 14.0, "h4": 12.5, "h5": 11.5, "h6": 11.0}
_MOST_COLUMNS: Final = 10
_LETTER: Final = 2.6  # mm, of the wider ones in a table
_MOST_LINES: Final = 25  # of a cell


def draw(record: Record) -> bytes:
    """The PDF. Refusal ``conflict`` when the conversation is too long for one."""
    if sum(len(said.content) for said in record.messages) + len(record.system) > MOST_CHARACTERS:
        raise Refusal("conflict", "The conversation is too long for a PDF. Take another format.")
    pdf = _Sheets(record)
    pdf.add_page()
    pdf.top()
    for said in record.messages:
        pdf.said(said)
    return bytes(pdf.output())


class _Sheets(FPDF):
    """The pages, from the top to the bottom."""

    def __init__(self, record: Record) -> None:
        super().__init__(format="A4")
        self.record = record
        self.title_line = pdf_fonts.without_missing(record.title)
        texts = [record.title, record.system, *(part for one in record.messages for part in (one.speaker, one.content))]
        pdf_fonts.use(self, map(pdf_fonts.without_missing, texts))
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, 22)
        self.set_title(record.title)
        self.set_creation_date(record.created_at)
        self.alias_nb_pages()

    def footer(self) -> None:
        self.set_left_margin(_MARGIN)
        self.set_xy(_MARGIN, -15)
        self.set_type(8, grey=True)
        title = self.title_line if len(self.title_line) <= 70 else f"{self.title_line[:69]}…"
        self.cell(self.epw * 0.8, 5, title)
        self.cell(self.epw * 0.2, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def set_type(self, size: float = _SIZE, *, bold: bool = False, grey: bool = False) -> None:
        """What is written next is of this size, weight and colour."""
        self.set_font(pdf_fonts.FAMILY, "B" if bold else "", size)
        self.set_text_color(_GREY if grey else 0)

    def put(self, text: str, height: float = _LINE, *, ground: bool = False) -> None:
        """Lines of text over the whole width."""
        text = pdf_fonts.without_missing(text.rstrip("\n"))
        if ground:
            self.set_fill_color(_GROUND)
        self.set_x(self.l_margin)
        self.multi_cell(
            0, height, text, align="L", fill=ground, new_x="LMARGIN", new_y="NEXT", padding=2 if ground else 0
        )

    def top(self) -> None:
        """What it is, and the system prompt if there is one."""
        self.set_type(18, bold=True)
        self.put(self.record.title, 8.5)
        self.set_type(9, grey=True)
        self.put(f"{self.record.created_at.day} {self.record.created_at:%B %Y}", 6)
        if self.record.system:
            self._speaker("System prompt")
            self.set_type()
            self.put(self.record.system)

    def _speaker(self, name: str) -> None:
        self.ln(4)
        if self.get_y() > self.h - 40:
            self.add_page()
        self.set_type(9, bold=True, grey=True)
        self.put(name, 6)

    def said(self, said: Said) -> None:
        """One message: a person's words as they are, an answer as the Markdown that it is."""
        self._speaker(said.speaker)
        tokens = markdown.parse(said.content) if said.role != "user" else None
        if tokens is None:
            self.set_type()
            self.put(said.content, ground=said.role == "user")
        else:
            _Blocks(self, tokens).draw()


class _Blocks:
    """An answer's blocks, one after the other."""

    def __init__(self, sheets: _Sheets, tokens: list[Token]) -> None:
        self.sheets = sheets
        self.tokens = tokens
        self.lists: list[int | None] = []  # the number of the next item; None where they have none
        self.size = _SIZE
        self.heading = False
        self.quoted = 0
        self.marked = False  # a bullet stands before what comes next
        self.rows: list[list[str]] | None = None

    def draw(self) -> None:
        """All of them."""
        for token in self.tokens:
            if self.rows is not None and not token.type.startswith("table"):
                self._in_table(token)
            else:
                handle = getattr(self, f"_{token.type}", None)
                if handle is not None:
                    handle(token)
        self.sheets.set_left_margin(_MARGIN)
        self.sheets.set_x(_MARGIN)

    def _indent(self) -> None:
        depth = min(_DEEPEST, len(self.lists) + self.quoted)
        self.sheets.set_left_margin(_MARGIN + depth * _STEP)
        self.sheets.set_x(self.sheets.l_margin)

    def _heading_open(self, token: Token) -> None:
        self.size, self.heading = _HEADINGS.get(token.tag, 11.0), True
        self.sheets.ln(1.5)

    def _heading_close(self, token: Token) -> None:
        self.size, self.heading = _SIZE, False
        self._paragraph_close(token)

    def _paragraph_close(self, token: Token) -> None:
        self.sheets.ln(_LINE + (0.6 if token.hidden or self.lists else 2))
        self._indent()

    def _bullet_list_open(self, token: Token) -> None:
        self.lists.append(None)
        self._indent()

    def _ordered_list_open(self, token: Token) -> None:
        start = str(token.attrs.get("start", 1))
        self.lists.append(int(start) if start.isdigit() and len(start) < 10 else 1)
        self._indent()

    def _bullet_list_close(self, token: Token) -> None:
        self.lists.pop()
        self._indent()
        if not self.lists:
            self.sheets.ln(1.4)

    _ordered_list_close = _bullet_list_close

    def _list_item_open(self, token: Token) -> None:
        number = self.lists[-1]
        self.sheets.set_type()
        sign = "•" if number is None else f"{number}."
        if number is not None:
            self.lists[-1] = number + 1
        self.sheets.set_x(max(_MARGIN, self.sheets.l_margin - _STEP))
        self.sheets.cell(_STEP, _LINE, sign)
        self.sheets.set_x(self.sheets.l_margin)

    def _list_item_close(self, token: Token) -> None:
        if self.sheets.get_x() > self.sheets.l_margin + 0.1:
            self.sheets.ln(_LINE)
        self._indent()

    def _blockquote_open(self, token: Token) -> None:
        self.quoted += 1
        self._indent()

    def _blockquote_close(self, token: Token) -> None:
        self.quoted -= 1
        self._indent()

    def _hr(self, token: Token) -> None:
        at = self.sheets.get_y() + 2
        self.sheets.set_draw_color(200)
        self.sheets.line(self.sheets.l_margin, at, self.sheets.w - _MARGIN, at)
        self.sheets.ln(5)

    def _fence(self, token: Token) -> None:
        self.sheets.set_type(9.2)
        self.sheets.put(token.content, 4.7, ground=True)
        self.sheets.ln(2)
        self._indent()

    _code_block = _fence
    _math_block = _fence

    def _inline(self, token: Token) -> None:
        bold, link = self.heading, ""
        for child in token.children or []:
            kind = child.type
            if kind in ("strong_open", "strong_close"):
                bold = self.heading or kind == "strong_open"
            elif kind == "link_open":
                link = str(child.attrs.get("href") or "")
            elif kind == "link_close":
                link = ""
            elif text := _words(child):
                self._write(text, bold=bold, link=link)

    def _write(self, text: str, *, bold: bool, link: str) -> None:
        self.sheets.set_type(self.size, bold=bold, grey=self.quoted > 0)
        if link:
            self.sheets.set_text_color(20, 80, 160)
        self.sheets.write(_LINE * self.size / _SIZE, pdf_fonts.without_missing(text), link)

    # Tables ------------------------------------------------------------------------------------------

    def _table_open(self, token: Token) -> None:
        self.rows = []

    def _in_table(self, token: Token) -> None:
        assert self.rows is not None
        if token.type == "tr_open":
            self.rows.append([])
        elif token.type == "inline" and self.rows:
            text = "".join(_words(child) for child in token.children or [])
            self.rows[-1].append(pdf_fonts.without_missing(text))

    def _table_close(self, token: Token) -> None:
        rows, self.rows = self.rows or [], None
        width = max((len(row) for row in rows), default=0)
        self.sheets.set_type(9.2)
        self.sheets.set_draw_color(200)
        fits = int(self.sheets.epw / max(1, width) / _LETTER) * _MOST_LINES
        if not 0 < width <= _MOST_COLUMNS or any(len(cell) > fits for row in rows for cell in row):
            # Narrower than a word, or higher than a page: as lines.
            self.sheets.put("\n".join(" | ".join(row) for row in rows))
            return
        with self.sheets.table(text_align="LEFT", line_height=4.9, padding=1.2) as table:
            for row in rows:
                table.row([*row, *[""] * (width - len(row))])
        self.sheets.ln(3)
        self._indent()


def _words(child: Token) -> str:
    """What a part of a line says."""
    if child.type in ("softbreak", "hardbreak"):
        return " " if child.type == "softbreak" else "\n"
    if child.type == "image":
        alt = "".join(_words(inner) for inner in child.children or [])
        return f"[image: {alt}]" if alt else "[image]"
    return child.content
