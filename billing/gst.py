"""GST on a price that includes it: who owes which tax where, and its parts to the paisa.

Services go where the customer is: the state of their GSTIN, else the one they told us, else the seller's
(IGST Act, section 12). In the seller's own state half of the tax is the centre's and half the state's
(CGST and SGST, or UTGST in a union territory), elsewhere all of it is IGST. A customer abroad is an export: without
tax under a letter of undertaking, with IGST from a seller who has none. A seller without a GSTIN takes no tax.

Rounding: each tax is amount * rate / (1 + rate of all taxes), to the nearest paisa, half a paisa up. Both halves are
the same, as returns want them. The taxable value is what remains, so that the parts always add up to what was paid.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from billing import gstin as numbers
from billing.states import FOREIGN, UNION, state_of

WHOLE: Final = 10_000  # basis points of a rate: 1800 is 18 %
HIGHEST_RATE: Final = 4_000


class Supply(StrEnum):
    """How a sale is taxed."""

    UNTAXED = "untaxed"
    WITHIN_STATE = "within_state"
    BETWEEN_STATES = "between_states"
    EXPORT_TAXED = "export_taxed"
    EXPORT = "export"

    @property
    def taxed(self) -> bool:
        return self not in {Supply.UNTAXED, Supply.EXPORT}

    @property
    def abroad(self) -> bool:
        return self in {Supply.EXPORT, Supply.EXPORT_TAXED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sale is made, as the code of a state or ``states.FOREIGN``, and how it is taxed."""

    state: str
    supply: Supply


@dataclass(frozen=True, slots=True)
class Parts:
    """What an amount consists of, in paise."""

    taxable: int = 0
    cgst: int = 0
    sgst: int = 0
    igst: int = 0

    @property
    def tax(self) -> int:
        return self.cgst + self.sgst + self.igst

    @property
    def total(self) -> int:
        return self.taxable + self.tax

    def __add__(self, other: Parts) -> Parts:
        return Parts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Parts) -> Parts:
        return Parts(*(mine - its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def place_of_supply(
    seller_gstin: str, seller_state: str, lut: str, buyer_gstin: str, buyer_state: str, buyer_country: str
) -> Place:
    """Where the sale counts and how it is taxed.

    GSTINs and states are empty where there is none; a country is its ISO code. ``lut`` is the reference of
    the seller's letter of undertaking. With a GSTIN a buyer is in India, whatever country they named.
    """
    at_home = numbers.state(seller_gstin) if seller_gstin else seller_state
    if buyer_gstin:
        there = numbers.state(buyer_gstin)
    elif buyer_country not in {"", "IN"}:
        there = FOREIGN
    else:
        there = state_of(buyer_state) or at_home
    if not seller_gstin:
        return Place(there, Supply.UNTAXED)
    if there == FOREIGN:
        return Place(there, Supply.EXPORT if lut else Supply.EXPORT_TAXED)
    return Place(there, Supply.WITHIN_STATE if there == at_home else Supply.BETWEEN_STATES)


def nearest(amount: int, numerator: int, denominator: int) -> int:
    """``amount * numerator / denominator`` for numbers that are not negative, half up."""
    return (2 * amount * numerator + denominator) // (2 * denominator)


def parts_of(paise: int, rate: int, supply: Supply) -> Parts:
    """What ``paise``, tax included, consist of at ``rate`` basis points; they add up to it exactly.

    ValueError when the amount is negative, or the rate out of range or not of two halves.
    """
    if paise < 0 or not 0 <= rate <= HIGHEST_RATE or rate % 2:
        raise ValueError(f"no parts of {paise} paise at {rate} basis points")
    if not supply.taxed:
        return Parts(taxable=paise)
    if supply is Supply.WITHIN_STATE:
        half = nearest(paise, rate // 2, WHOLE + rate)
        return Parts(paise - 2 * half, half, half, 0)
    tax = nearest(paise, rate, WHOLE + rate)
    return Parts(paise - tax, igst=tax)


def part_given_back(whole: Parts, before: int, paise: int) -> Parts:
    """The parts of ``paise`` given back of ``whole``, of which ``before`` had been given back earlier.

    Each tax is counted from the beginning, to the nearest paisa, and what was counted before taken off: any
    number of partial refunds add up to the invoice, tax by tax. A single paisa in which both halves of a tax reach
    their next one has a taxable value of -1: what is given back with it on other lines outweighs that, since
    nobody pays back less than a rupee. ValueError beyond the whole.
    """
    if paise <= 0 or before < 0 or before + paise > whole.total:
        raise ValueError(f"{paise} paise can't be given back of {whole.total}, {before} are already")

    def up_to(given: int) -> Parts:
        taxes = [nearest(tax, given, whole.total) for tax in (whole.cgst, whole.sgst, whole.igst)]
        return Parts(given - sum(taxes), *taxes)

    return up_to(before + paise) - up_to(before)


def state_tax_name(place: str) -> str:
    """What the state's half of the tax is called at ``place``."""
    return "UTGST" if place in UNION else "SGST"
