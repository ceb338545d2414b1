"""The figures of GSTR-1 in the shape that the return's offline tool reads: which invoice belongs in which table.

Pure: it takes what was read from the invoices and gives one object. Amounts inside are rupees with two decimals,
each the exact paise of an invoice or a sum of such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from billing.gst import Parts, Supply
from billing.states import FOREIGN

LARGE: Final = 10_000_000  # paise: an invoice above ₹1,00,000 to an unregistered customer in another state is listed
_INVOICES, _CREDIT_NOTES = 1, 5  # what the table of documents calls them
_NOT_APPLICABLE: Final = "NA"  # the unit of services


@dataclass(frozen=True, slots=True)
class Entry:
    """A line's share in the return."""

    sac: str
    rate: int
    parts: Parts


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice or credit note. ``about`` is the total in paise of the invoice that a credit note corrects."""

    number: str
    day: date
    credit: bool
    gstin: str
    place: str
    supply: Supply
    entries: tuple[Entry, ...]
    about: int | None = None

    @property
    def parts(self) -> Parts:
        return sum((entry.parts for entry in self.entries), Parts())

    @property
    def table(self) -> str:
        """Which table of the return it is in."""
        if self.supply.abroad:
            return "cdnur" if self.credit else "exp"
        if self.gstin:
            return "cdnr" if self.credit else "b2b"
        whole = self.parts.total if self.about is None else self.about
        if self.supply is Supply.BETWEEN_STATES and whole > LARGE:
            return "cdnur" if self.credit else "b2cl"
        return "b2cs"


def build(gstin: str, period: date, documents: Sequence[Document]) -> dict[str, Any]:
    """The return of the month that ``period`` lies in, of a seller with ``gstin``; empty tables are left out."""
    found: dict[str, Any] = {"gstin": gstin, "fp": f"{period:%m%Y}"}
    of: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        of[document.table].append(document)
    tables = {
        "b2b": _by_customer(of["b2b"], "inv", _registered),
        "b2cl": _by_place(of["b2cl"]),
        "b2cs": _summed(of["b2cs"]),
        "cdnr": _by_customer(of["cdnr"], "nt", _note),
        "cdnur": [_note(document) | {"typ": _kind(document)} for document in of["cdnur"]],
        "exp": _exports(of["exp"]),
    }
    found |= {name: table for name, table in tables.items() if table}
    if documents:
        found["hsn"] = {
            "hsn_b2b": _by_service(document for document in documents if document.gstin),
            "hsn_b2c": _by_service(document for document in documents if not document.gstin),
        }
        found["doc_issue"] = {"doc_det": _documents(documents)}
    return found


def _rupees(paise: int) -> float:
    return paise / 100  # the nearest double prints as the two decimals it came from, far beyond any invoice


def _day(day: date) -> str:
    return f"{day:%d-%m-%Y}"


def _rate(basis_points: int) -> float:
    return basis_points / 100


def _amounts(parts: Parts, supply: Supply) -> dict[str, float]:
    amounts = {"txval": _rupees(parts.taxable)}
    if supply is Supply.WITHIN_STATE:
        amounts |= {"camt": _rupees(parts.cgst), "samt": _rupees(parts.sgst)}
    else:
        amounts["iamt"] = _rupees(parts.igst)
    return amounts | {"csamt": 0.0}


def _by_rate(entries: Iterable[Entry]) -> list[tuple[int, Parts]]:
    sums: dict[int, Parts] = defaultdict(Parts)
    for entry in entries:
        sums[entry.rate] += entry.parts
    return sorted(sums.items())


def _items(document: Document) -> list[dict[str, Any]]:
    return [
        {"num": at, "itm_det": {"rt": _rate(rate), **_amounts(parts, document.supply)}}
        for at, (rate, parts) in enumerate(_by_rate(document.entries), 1)
    ]


def _registered(document: Document) -> dict[str, Any]:
    return {
        "inum": document.number,
        "idt": _day(document.day),
        "val": _rupees(document.parts.total),
        "pos": document.place,
        "rchrg": "N",
        "inv_typ": "R",
        "itms": _items(document),
    }


def _note(document: Document) -> dict[str, Any]:
    note = {
        "ntty": "C",
        "nt_num": document.number,
        "nt_dt": _day(document.day),
        "val": _rupees(document.parts.total),
        "itms": _items(document),
    }
    if document.place != FOREIGN:
        note["pos"] = document.place
    return note | ({"rchrg": "N", "inv_typ": "R"} if document.table == "cdnr" else {})


def _kind(document: Document) -> str:
    return {Supply.EXPORT: "EXPWOP", Supply.EXPORT_TAXED: "EXPWP"}.get(document.supply, "B2CL")


def _by_customer(documents: Iterable[Document], name: str, shape: Any) -> list[dict[str, Any]]:
    customers: dict[str, list[Any]] = defaultdict(list)
    for document in documents:
        customers[document.gstin].append(shape(document))
    return [{"ctin": gstin, name: shapes} for gstin, shapes in sorted(customers.items())]


def _by_place(documents: Iterable[Document]) -> list[dict[str, Any]]:
    places: dict[str, list[Any]] = defaultdict(list)
    for document in documents:
        shape = _registered(document)
        places[document.place].append({name: shape[name] for name in ("inum", "idt", "val", "itms")})
    return [{"pos": place, "inv": shapes} for place, shapes in sorted(places.items())]


def _signed(document: Document, parts: Parts) -> Parts:
    return Parts() - parts if document.credit else parts


def _summed(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Sales to the unregistered by place and rate, less what was credited."""
    sums: dict[tuple[str, int, Supply], Parts] = defaultdict(Parts)
    for document in documents:
        for entry in document.entries:
            sums[document.place, entry.rate, document.supply] += _signed(document, entry.parts)
    return [
        {
            "sply_ty": "INTRA" if supply is Supply.WITHIN_STATE else "INTER",
            "typ": "OE",
            "pos": place,
            "rt": _rate(rate),
            **_amounts(parts, supply),
        }
        for (place, rate, supply), parts in sorted(sums.items())
    ]


def _exports(documents: Iterable[Document]) -> list[dict[str, Any]]:
    kinds: dict[str, list[Any]] = defaultdict(list)
    for document in documents:
        items = [
            {"txval": _rupees(parts.taxable), "rt": _rate(rate), "iamt": _rupees(parts.igst), "csamt": 0.0}
            for rate, parts in _by_rate(document.entries)
        ]
        shape = {"inum": document.number, "idt": _day(document.day), "val": _rupees(document.parts.total)}
        kinds["WOPAY" if document.supply is Supply.EXPORT else "WPAY"].append(shape | {"itms": items})
    return [{"exp_typ": kind, "inv": shapes} for kind, shapes in sorted(kinds.items())]


def _by_service(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """By service code and rate, less what was credited."""
    sums: dict[tuple[str, int], Parts] = defaultdict(Parts)
    for document in documents:
        for entry in document.entries:
            sums[entry.sac, entry.rate] += _signed(document, entry.parts)
    return [
        {
            "num": at,
            "hsn_sc": sac,
            "uqc": _NOT_APPLICABLE,
            "qty": 0.0,
            "rt": _rate(rate),
            "txval": _rupees(parts.taxable),
            "iamt": _rupees(parts.igst),
            "camt": _rupees(parts.cgst),
            "samt": _rupees(parts.sgst),
            "csamt": 0.0,
        }
        for at, ((sac, rate), parts) in enumerate(sorted(sums.items()), 1)
    ]


def _documents(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Which numbers were given: a range for each series and financial year."""
    ranges: dict[tuple[int, str], list[str]] = defaultdict(list)
    for document in documents:
        series = document.number.rpartition("/")[0]
        ranges[_CREDIT_NOTES if document.credit else _INVOICES, series].append(document.number)
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for (kind, _), numbers in sorted(ranges.items()):
        numbers.sort(key=lambda number: int(number.rpartition("/")[2]))
        count = len(numbers)
        found[kind].append(
            {
                "num": len(found[kind]) + 1,
                "from": numbers[0],
                "to": numbers[-1],
                "totnum": count,
                "cancel": 0,
                "net_issue": count,
            }
        )
    return [{"doc_num": kind, "docs": docs} for kind, docs in sorted(found.items())]
