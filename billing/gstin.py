"""GST identification numbers: 15 characters, of which the last guards the others against slips."""

from __future__ import annotations

import re
from typing import Final

from billing.states import state_of

# State, PAN (five letters, four digits, a letter), which registration of that PAN, a letter held ready, check digit.
_SHAPE: Final = re.compile("[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z][1-9A-JZ][0-9A-Z]")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NotAGSTIN(ValueError):
    """The text is no GSTIN; the message says for people what is wrong."""


def check_digit(first: str) -> str:
    """The 15th character for the 14 characters ``first``: a sum modulo 36, every second digit doubled."""
    total = 0
    for index, character in enumerate(first):
        high, low = divmod(_DIGITS.index(character) * (1 + index % 2), 36)
        total += high + low
    return _DIGITS[-total % 36]


def read(text: str) -> str:
    """The GSTIN in ``text``, in capitals and without blanks. NotAGSTIN when it is none."""
    found = "".join(text.split()).upper()
    if len(found) != 15:
        raise NotAGSTIN(f"A GSTIN has 15 characters, not {len(found)}.")
    if not _SHAPE.fullmatch(found):
        raise NotAGSTIN("This is not the shape of a GSTIN, such as 27AAPFU0939F1ZV.")
    if state_of(found[:2]) is None:
        raise NotAGSTIN(f"A GSTIN begins with the code of a state, and {found[:2]} is none.")
    if check_digit(found[:14]) != found[14]:
        raise NotAGSTIN("The GSTIN's last character does not fit the others: one of them is mistyped.")
    return found


def state(gstin: str) -> str:
    """The code of the state where ``gstin``, which ``read`` has accepted, is registered."""
    code = state_of(gstin[:2])
    assert code is not None
    return code
