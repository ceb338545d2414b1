"""Amounts in words, as Indian papers write them: thousand, lakh, crore; rupees and paise."""

from __future__ import annotations

from typing import Final

_SMALL: Final = (
    "Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen Seventeen "
    "Eighteen Nineteen"
).split()
_TENS: Final = "Zero Ten Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety".split()
_GROUPS: Final = ((10**7, "Crore"), (10**5, "Lakh"), (10**3, "Thousand"), (10**2, "Hundred"))


def number(value: int) -> str:
    """``One Lakh Twenty-Three Thousand Four Hundred Fifty-Six``. ValueError when negative."""
    if value < 0:
        raise ValueError("a negative number has no words here")
    if value < 20:
        return _SMALL[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    for size, name in _GROUPS:
        if value >= size:
            many, rest = divmod(value, size)
            return f"{number(many)} {name}" + (f" {number(rest)}" if rest else "")
    raise AssertionError(value)


def rupees(paise: int) -> str:
    """``Rupees Four Hundred Ninety-Nine and Fifty Paise Only``. ValueError when negative."""
    whole, part = divmod(paise, 100)
    if not whole and part:
        return f"{number(part)} {'Paisa' if part == 1 else 'Paise'} Only"
    text = f"{'Rupee' if whole == 1 else 'Rupees'} {number(whole)}"
    if part:
        text += f" and {number(part)} {'Paisa' if part == 1 else 'Paise'}"
    return f"{text} Only"
