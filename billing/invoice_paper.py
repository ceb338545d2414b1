"""An invoice as people read it: one reading of its rows, which the page, the PDF and the mail all show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from billing import words
from billing.gst import Supply, state_tax_name
from billing.invoice_numbers import day_in_india
from billing.invoices import CREDIT_NOTE, payment_of
from billing.models import Invoice, InvoiceLine
from billing.states import name_of
from oneai.kit.money import rupees

_NOTES: Final = {
    Supply.UNTAXED: "The seller is not registered under GST: no tax is charged.",
    Supply.EXPORT: "Supply meant for export under a letter of undertaking without payment of integrated tax.",
    Supply.EXPORT_TAXED: "Supply meant for export on payment of integrated tax.",
}
_ELECTRONIC: Final = "This is an electronic document and needs no signature."


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax of a line or of the whole, such as CGST at 9 %."""

    name: str
    rate: str
    amount: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table; amounts have their sign of currency."""

    position: int
    description: str
    sac: str
    quantity: int
    taxable: str
    taxes: tuple[Tax, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or customer: a name, the lines below it, and named facts such as the GSTIN."""

    name: str
    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """All that the paper says, in its order."""

    title: str
    number: str
    issued_at: datetime
    facts: tuple[tuple[str, str], ...]
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    taxed: bool
    taxable: str
    taxes: tuple[Tax, ...]
    total_name: str
    total: str
    words: str
    notes: tuple[str, ...]

    @property
    def file_name(self) -> str:
        return _file_name(self.number)


def file_name_of(invoice: Invoice) -> str:
    """What the PDF of an invoice is called."""
    return _file_name(invoice.number)


def _file_name(number: str) -> str:
    return f"{number.replace('/', '-')}.pdf"


def title_of(invoice: Invoice) -> str:
    """What the law calls the paper."""
    if invoice.kind == CREDIT_NOTE:
        return "Credit note"
    return "Bill of supply" if invoice.supply == Supply.UNTAXED else "Tax invoice"


def read(invoice: Invoice) -> Paper:
    """The paper of ``invoice``, from what was kept with it."""
    supply = Supply(invoice.supply)
    rows = list(invoice.lines.order_by("position"))
    rates = {line.rate_basis_points for line in rows}
    return Paper(
        title=title_of(invoice),
        number=invoice.number,
        issued_at=invoice.issued_at,
        facts=tuple(_facts(invoice)),
        seller=_seller(invoice.seller),
        buyer=_buyer(invoice.buyer),
        lines=tuple(_line(line, invoice) for line in rows),
        taxed=supply.taxed,
        taxable=rupees(invoice.taxable_paise, exact=True),
        taxes=_taxes(invoice, invoice, rates.pop() if len(rates) == 1 else None),
        total_name="Credited" if invoice.kind == CREDIT_NOTE else "Total paid",
        total=rupees(invoice.total_paise, exact=True),
        words=words.rupees(invoice.total_paise),
        notes=tuple(_notes(invoice, supply)),
    )


def _day(invoice: Invoice) -> str:
    day = day_in_india(invoice.issued_at)
    return f"{day.day} {day:%B %Y}"


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    facts = [("Number", invoice.number), ("Date", _day(invoice))]
    before = invoice.corrects or invoice.replaces
    if before is not None:
        facts.append(("For invoice" if invoice.corrects else "In place of", f"{before.number} of {_day(before)}"))
    if invoice.place_of_supply:
        place = name_of(invoice.place_of_supply)
        facts.append(("Place of supply", f"{place} ({invoice.place_of_supply})"))
    if invoice.period_start and invoice.period_end:
        first, last = day_in_india(invoice.period_start), day_in_india(invoice.period_end)
        facts.append(("Period", f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}"))
    facts.append(("Payment", payment_of(invoice).razorpay_payment_id))
    if invoice.refund and invoice.refund.razorpay_refund_id:
        facts.append(("Refund", invoice.refund.razorpay_refund_id))
    if invoice.supply != Supply.UNTAXED:
        facts.append(("Reverse charge", "No"))
    return facts


def _seller(kept: dict[str, str]) -> Party:
    lines = [*kept["address"].splitlines(), kept["state"]]
    facts = [("GSTIN", kept["gstin"]), ("LUT", kept["lut"]), ("E-mail", kept["email"]), ("Phone", kept["phone"])]
    return Party(kept["name"], tuple(filter(None, lines)), tuple(fact for fact in facts if fact[1]))


def _buyer(kept: dict[str, str]) -> Party:
    place = " ".join(filter(None, (kept["city"], kept["postal_code"])))
    lines = [*kept["address"].splitlines(), place, kept["state"]]
    if kept["country"] != "IN":
        lines.append(kept["country_name"])
    facts = [("GSTIN", kept["gstin"]), ("E-mail", kept["email"])]
    return Party(kept["name"], tuple(filter(None, lines)), tuple(fact for fact in facts if fact[1]))


def _line(line: InvoiceLine, invoice: Invoice) -> Line:
    return Line(
        position=line.position,
        description=line.description,
        sac=line.sac,
        quantity=line.quantity,
        taxable=rupees(line.taxable_paise, exact=True),
        taxes=_taxes(line, invoice, line.rate_basis_points),
        total=rupees(line.total_paise, exact=True),
    )


def _percent(basis_points: int) -> str:
    return f"{basis_points // 100}.{basis_points % 100:02d}".rstrip("0").rstrip(".") + " %"


def _taxes(of: Invoice | InvoiceLine, invoice: Invoice, rate: int | None) -> tuple[Tax, ...]:
    """The taxes; without their rates where ``rate`` is None because the lines differ in it."""
    supply = Supply(invoice.supply)
    if not supply.taxed:
        return ()
    half, whole = ("", "") if rate is None else (_percent(rate // 2), _percent(rate))
    if supply is not Supply.WITHIN_STATE:
        return (Tax("IGST", whole, rupees(of.igst_paise, exact=True)),)
    return (
        Tax("CGST", half, rupees(of.cgst_paise, exact=True)),
        Tax(state_tax_name(invoice.place_of_supply), half, rupees(of.sgst_paise, exact=True)),
    )


def _notes(invoice: Invoice, supply: Supply) -> list[str]:
    notes = [_NOTES[supply]] if supply in _NOTES else []
    if supply.taxed:
        notes.append("Prices include GST. Amounts are in Indian rupees.")
    else:
        notes.append("Amounts are in Indian rupees.")
    return [*notes, _ELECTRONIC]
