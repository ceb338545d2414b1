"""Numbers of invoices and credit notes: one after the other within a financial year, of at most 16 characters."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Final

INDIA: Final = timezone(timedelta(hours=5, minutes=30), "IST")
LONGEST: Final = 16  # rule 46 of the CGST Rules
_PREFIX: Final = re.compile("[A-Z0-9][A-Z0-9-]{0,3}")


def day_in_india(at: datetime) -> date:
    """The day that ``at`` lies on in India: the date of an invoice."""
    return at.astimezone(INDIA).date()


def financial_year(at: datetime) -> str:
    """The year from April to March, in Indian time, that ``at`` lies in: ``2627`` for 2026-27."""
    day = day_in_india(at)
    first = day.year if day.month >= 4 else day.year - 1
    return f"{first % 100:02d}{(first + 1) % 100:02d}"


def is_prefix(text: str) -> bool:
    """Whether a series can be called so: up to four capitals, digits and dashes."""
    return _PREFIX.fullmatch(text) is not None


def number(prefix: str, year: str, count: int) -> str:
    """``OA/2627/000001``. ValueError when it would be longer than the law allows."""
    text = f"{prefix}/{year}/{count:06d}"
    if count < 1 or len(text) > LONGEST:
        raise ValueError(f"{text} is no number of an invoice")
    return text
