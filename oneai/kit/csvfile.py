"""Tables for spreadsheets: CSV in which no cell is read as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from django.http import HttpResponse

_DANGEROUS: Final = (
    "=", "+", "-", "@", "\t", "\r", "\n",
    "\uff1d", "\uff0b", "\uff0d", "\uff20",  # the same four in full width, which some spreadsheets take for them
)  # fmt: skip


def cell(value: object) -> str:
    """``value`` as a cell holds it: a text that a spreadsheet would compute is marked as text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    return str(value)


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table with the line ends of RFC 4180."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(heads)
    writer.writerows([cell(value) for value in row] for row in rows)
    return table.getvalue()


def csv_response(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A download of the table, in UTF-8. ``name`` is plain ASCII."""
    response = HttpResponse(csv_text(heads, rows).encode(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
