"""An invoice as a PDF. Nothing is fetched for it, and the text of a name or an address is only text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout

from billing.invoice_paper import Paper, Party
from oneai.kit import pdf_fonts

_MARGIN: Final = 18.0  # mm
_GREY: Final = 110
_RULE: Final = 205


def render(paper: Paper) -> bytes:
    """The PDF of ``paper``: A4, its text selectable, as many pages as it takes."""
    pdf = _Sheet(paper)
    pdf.add_page()
    pdf.head()
    pdf.parties()
    pdf.table_of_lines()
    pdf.sums()
    pdf.notes()
    return bytes(pdf.output())


def _texts(paper: Paper) -> Iterator[str]:
    for party in (paper.seller, paper.buyer):
        yield from (party.name, *party.lines, *(value for _, value in party.facts))
    yield from (line.description for line in paper.lines)
    yield from (value for _, value in paper.facts)


class _Sheet(FPDF):
    """The parts of the page, from the top to the bottom."""

    def __init__(self, paper: Paper) -> None:
        super().__init__(format="A4")
        self.paper = paper
        pdf_fonts.use(self, _texts(paper))
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, 22)
        self.set_title(f"{paper.title} {paper.number}")
        self.set_author(paper.seller.name)
        self.set_lang("en-IN")
        self.set_creation_date(paper.issued_at)  # whenever it is drawn
        self.alias_nb_pages()

    def footer(self) -> None:
        self.set_y(-15)
        self._write(8, grey=True)
        self.cell(self.epw / 2, 5, f"{self.paper.title} {self.paper.number}")
        self.cell(self.epw / 2, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def _write(self, size: float, *, bold: bool = False, grey: bool = False) -> None:
        self.set_font(pdf_fonts.FAMILY, "B" if bold else "", size)
        self.set_text_color(_GREY if grey else 0)

    def head(self) -> None:
        """What it is, and its facts in two columns."""
        self._write(20, bold=True)
        self.cell(0, 10, self.paper.title, new_x="LMARGIN", new_y="NEXT")
        self.ln(2)
        half = self.epw / 2
        for index, (name, value) in enumerate(self.paper.facts):
            self.set_x(self.l_margin + half * (index % 2))
            self._write(9, grey=True)
            self.cell(30, 5.5, name)
            self._write(9)
            self.cell(half - 30, 5.5, value)
            if index % 2 or index == len(self.paper.facts) - 1:
                self.ln(5.5)
        self.ln(4)

    def parties(self) -> None:
        """Who sells and who buys, side by side."""
        top, width = self.get_y(), self.epw / 2 - 4
        bottoms = []
        for title, party, left in (
            ("Seller", self.paper.seller, self.l_margin),
            ("Customer", self.paper.buyer, self.l_margin + self.epw / 2),
        ):
            self.set_xy(left, top)
            bottoms.append(self._party(title, party, left, width))
        self.set_xy(self.l_margin, max(bottoms) + 5)

    def _party(self, title: str, party: Party, left: float, width: float) -> float:
        self._write(9, grey=True)
        self._paragraph(title, left, width, 5)
        self._write(11, bold=True)
        self._paragraph(party.name, left, width, 6)
        self._write(9.5)
        for line in party.lines:
            self._paragraph(line, left, width, 5)
        for name, value in party.facts:
            self._paragraph(f"{name}: {value}", left, width, 5)
        return self.get_y()

    def _paragraph(self, text: str, left: float, width: float, height: float) -> None:
        self.set_x(left)
        self.multi_cell(width, height, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def table_of_lines(self) -> None:
        """What was sold."""
        taxes = [tax.name for tax in self.paper.taxes]
        heads = ["", "Description", "SAC", "Qty", "Taxable value" if taxes else "Value", *taxes]
        widths = [6.0, 64.0, 17.0, 10.0, 26.0, *(25.0 for _ in taxes)]
        if taxes:
            heads.append("Amount")
            widths.append(26.0)
        aligns = ["LEFT", "LEFT", "LEFT", *("RIGHT" for _ in heads[3:])]
        self._write(9)
        self.set_draw_color(_RULE)
        with self.table(
            col_widths=widths,
            text_align=aligns,
            line_height=5.2,
            padding=(1.2, 0.8),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD", size_pt=8.5),
        ) as table:
            table.row(heads)
            for line in self.paper.lines:
                cells = [str(line.position), line.description, line.sac, str(line.quantity), line.taxable]
                cells += [f"{tax.amount}\n{tax.rate}" for tax in line.taxes]
                table.row([*cells, line.total] if taxes else cells)
        self.ln(4)

    def sums(self) -> None:
        """What it comes to, in figures and in words."""
        rows = [("Taxable value", self.paper.taxable, False)] if self.paper.taxes else []
        rows += [(f"{tax.name} {tax.rate}".strip(), tax.amount, False) for tax in self.paper.taxes]
        rows.append((self.paper.total_name, self.paper.total, True))
        for name, amount, whole in rows:
            self._write(11 if whole else 9.5, bold=whole)
            self.set_x(self.l_margin + self.epw - 80)
            self.cell(45, 6.5 if whole else 5.5, name)
            self.cell(35, 6.5 if whole else 5.5, amount, align="R", new_x="LMARGIN", new_y="NEXT")
        self.ln(2)
        self._write(9.5)
        self.multi_cell(0, 5.2, self.paper.words, align="R", new_x="LMARGIN", new_y="NEXT")
        self.ln(5)

    def notes(self) -> None:
        self._write(8.5, grey=True)
        for note in self.paper.notes:
            self.multi_cell(0, 4.6, note, align="L", new_x="LMARGIN", new_y="NEXT")
