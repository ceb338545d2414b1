"""Fonts of our PDFs. Letters that the usual one lacks come from others, which are read only when they are needed.

Nothing is fetched: fonts are files of installed packages.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

from fontTools.ttLib import TTFont
from fpdf import FPDF

FAMILY: Final = "Mukta"  # Latin and Devanagari
_REGULAR: Final = ("fontpkg_mukta", "Mukta-Regular.ttf")
_BOLD: Final = ("fontpkg_mukta", "Mukta-SemiBold.ttf")
_OTHERS: Final = {
    "Bengali": ("fontpkg_hind_siliguri", "HindSiliguri-Regular.ttf"),
    "Tamil": ("fontpkg_noto_sans_tamil", "NotoSansTamil[wdth,wght].ttf"),
    "Telugu": ("fontpkg_noto_sans_telugu", "NotoSansTelugu[wdth,wght].ttf"),
    "Others": ("fontpkg_noto_sans", "NotoSans[wdth,wght].ttf"),  # Greek, Cyrillic, Vietnamese
}


def use(pdf: FPDF, texts: Iterable[str]) -> None:
    """Give ``pdf`` the fonts that ``texts`` need; the usual one is ``FAMILY``, plain and bold."""
    pdf.set_text_shaping(True)
    pdf.add_font(FAMILY, "", _file(_REGULAR))
    pdf.add_font(FAMILY, "B", _file(_BOLD))
    others = _needed(texts)
    for name in others:
        pdf.add_font(name, "", _file(_OTHERS[name]))
    if others:
        pdf.set_fallback_fonts(others, exact_match=False)


def without_missing(text: str) -> str:
    """``text`` with a box for each letter that no font has; what only joins or varies letters is left out."""
    known = _all_letters()
    box = "\u25a1" if 0x25A1 in known else "?"
    return "".join(
        one if ord(one) in known or one == "\n" else _INSTEAD.get(one, box) for one in text.replace("\t", "    ")
    )


_INSTEAD: Final = dict.fromkeys("\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff\r", "") | {"\u202f": " ", "\u2009": " "}


def _file(font: tuple[str, str]) -> str:
    return str(resources.files(font[0]) / "files" / font[1])


@cache
def _letters(font: tuple[str, str]) -> frozenset[int]:
    """The characters that the font has."""
    with TTFont(_file(font), lazy=True) as found:
        return frozenset(found.getBestCmap())


@cache
def _all_letters() -> frozenset[int]:
    return frozenset().union(_letters(_REGULAR), *(_letters(font) for font in _OTHERS.values()))


def _needed(texts: Iterable[str]) -> list[str]:
    """The names among ``_OTHERS`` that have characters of ``texts`` which the usual font lacks."""
    missing = {ord(character) for part in texts for character in part} - _letters(_REGULAR)
    missing.discard(ord("\n"))
    needed = []
    for name, font in _OTHERS.items():
        if missing & _letters(font):
            needed.append(name)
            missing -= _letters(font)
    return needed
