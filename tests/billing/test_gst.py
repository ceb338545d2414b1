"""GST to the paisa: parts of a price, where a sale counts, numbers and amounts in words."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from billing import gst, gstin, invoice_numbers, words
from billing.gst import Parts, Place, Supply
from billing.states import STATES

ANY = settings(deadline=None)  # a machine under load is no fault
paise = st.integers(0, 10**12)
rates = st.integers(0, gst.HIGHEST_RATE // 2).map(lambda half: 2 * half)
MAHARASHTRA, KARNATAKA = "27AAPFU0939F1ZV", "29AAGCB7383J1Z4"  # from the documents of the tax office


# Parts -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("amount", "supply", "parts"),
    [
        (49_900, Supply.WITHIN_STATE, (42_288, 3_806, 3_806, 0)),
        (49_900, Supply.BETWEEN_STATES, (42_288, 0, 0, 7_612)),
        (149_900, Supply.WITHIN_STATE, (127_034, 11_433, 11_433, 0)),
        (118, Supply.BETWEEN_STATES, (100, 0, 0, 18)),
        (118, Supply.EXPORT, (118, 0, 0, 0)),
        (118, Supply.EXPORT_TAXED, (100, 0, 0, 18)),
        (118, Supply.UNTAXED, (118, 0, 0, 0)),
        (0, Supply.WITHIN_STATE, (0, 0, 0, 0)),
        # 59 * 9 / 118 is half a paisa more than 4: it goes up, in both halves.
        (59, Supply.WITHIN_STATE, (49, 5, 5, 0)),
    ],
)
def test_a_price_at_eighteen_per_cent_has_these_parts(
    amount: int, supply: Supply, parts: tuple[int, int, int, int]
) -> None:
    assert gst.parts_of(amount, 1800, supply) == Parts(*parts)


@ANY
@given(paise, rates, st.sampled_from(Supply))
def test_parts_add_up_to_the_paisa_and_are_within_half_a_paisa_of_the_law(
    amount: int, rate: int, supply: Supply
) -> None:
    parts = gst.parts_of(amount, rate, supply)
    assert parts.total == amount
    assert min(parts.taxable, parts.cgst, parts.sgst, parts.igst) >= 0
    assert parts.cgst == parts.sgst
    exact = Fraction(amount * rate, gst.WHOLE + rate) if supply.taxed else Fraction(0)
    assert bool(parts.cgst) <= (supply is Supply.WITHIN_STATE)
    assert abs(parts.igst - exact) <= Fraction(1, 2) or abs(parts.cgst - exact / 2) <= Fraction(1, 2)


@pytest.mark.parametrize(("amount", "rate"), [(-1, 1800), (1, -2), (1, 1801), (1, gst.HIGHEST_RATE + 2)])
def test_an_amount_or_rate_that_can_not_be_has_no_parts(amount: int, rate: int) -> None:
    with pytest.raises(ValueError, match="no parts"):
        gst.parts_of(amount, rate, Supply.BETWEEN_STATES)


@ANY
@given(st.integers(100, 10**9), rates, st.sampled_from(Supply), st.lists(st.integers(100, 10**8), max_size=8))
def test_refunds_in_part_add_up_to_the_invoice_tax_by_tax(
    amount: int, rate: int, supply: Supply, refunds: list[int]
) -> None:
    whole = gst.parts_of(amount, rate, supply)
    given_back = Parts()
    for refund in [*refunds, amount]:
        rest = amount - given_back.total
        if not rest:
            break
        refund = min(refund, rest)
        part = gst.part_given_back(whole, given_back.total, refund)
        assert part.total == refund
        assert min(part.taxable, part.cgst, part.sgst, part.igst) >= 0
        assert part.cgst == part.sgst
        given_back += part
    assert given_back == whole


@ANY
@given(st.integers(1, 5000), st.integers(1, 5000), rates, st.sampled_from(Supply))
def test_a_few_paise_have_parts_too_and_only_one_alone_may_be_all_tax(
    amount: int, paise: int, rate: int, supply: Supply
) -> None:
    whole = gst.parts_of(amount, rate, supply)
    for before in range(0, amount - paise + 1, max(1, amount // 50)):
        part = gst.part_given_back(whole, before, paise)
        assert part.total == paise
        assert part.cgst == part.sgst >= 0
        assert part.igst >= 0
        assert part.taxable >= (-1 if paise == 1 else 0)


@pytest.mark.parametrize(("before", "back"), [(0, 0), (0, 50_001), (40_000, 10_001), (-1, 500), (100, -5)])
def test_what_is_not_there_can_not_be_given_back(before: int, back: int) -> None:
    with pytest.raises(ValueError, match="given back"):
        gst.part_given_back(gst.parts_of(50_000, 1800, Supply.BETWEEN_STATES), before, back)


# Where -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seller", "lut", "buyer", "place"),
    [
        ((MAHARASHTRA, "27"), "", ("", "", "IN"), ("27", Supply.WITHIN_STATE)),
        ((MAHARASHTRA, "27"), "", ("", "27", "IN"), ("27", Supply.WITHIN_STATE)),
        ((MAHARASHTRA, "27"), "", ("", "29", "IN"), ("29", Supply.BETWEEN_STATES)),
        ((MAHARASHTRA, "27"), "", (KARNATAKA, "", "IN"), ("29", Supply.BETWEEN_STATES)),
        # A GSTIN outweighs what else was said.
        ((MAHARASHTRA, "27"), "", (KARNATAKA, "27", "US"), ("29", Supply.BETWEEN_STATES)),
        ((MAHARASHTRA, "27"), "", ("", "", "US"), ("96", Supply.EXPORT_TAXED)),
        ((MAHARASHTRA, "27"), "AD270326000000A", ("", "27", "US"), ("96", Supply.EXPORT)),
        ((MAHARASHTRA, "27"), "AD270326000000A", ("", "29", "IN"), ("29", Supply.BETWEEN_STATES)),
        (("", "27"), "", (KARNATAKA, "", "IN"), ("29", Supply.UNTAXED)),
        (("", ""), "", ("", "", "US"), ("96", Supply.UNTAXED)),
        (("", ""), "", ("", "", ""), ("", Supply.UNTAXED)),
        ((KARNATAKA, ""), "", ("", "98", "IN"), ("29", Supply.WITHIN_STATE)),  # no such state: the seller's
    ],
)
def test_a_sale_counts_where_the_customer_is(
    seller: tuple[str, str], lut: str, buyer: tuple[str, str, str], place: tuple[str, Supply]
) -> None:
    assert gst.place_of_supply(*seller, lut, *buyer) == Place(*place)


def test_the_states_half_has_its_own_name_in_a_union_territory() -> None:
    assert [gst.state_tax_name(code) for code in ("04", "07", "34", "38", "27")] == [
        "UTGST", "SGST", "SGST", "UTGST", "SGST",
    ]  # fmt: skip


# GSTINs ------------------------------------------------------------------------------------------
pan = st.from_regex(re.compile("[A-Z]{5}[0-9]{4}[A-Z]", re.ASCII), fullmatch=True)
good = st.builds(
    lambda state, pan, entity: (first := f"{state}{pan}{entity}Z") + gstin.check_digit(first),
    st.sampled_from(sorted(STATES)),
    pan,
    st.sampled_from("123456789ABCXYZ"),
)


@pytest.mark.parametrize("number", [MAHARASHTRA, KARNATAKA, " 27aapfu 0939f1zv\n"])
def test_numbers_in_the_tax_offices_own_documents_are_read(number: str) -> None:
    assert gstin.read(number) == "".join(number.split()).upper()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("", "15 characters"),
        ("27AAPFU0939F1Z", "15 characters, not 14"),
        ("27AAPFU0939F1ZVV", "15 characters, not 16"),
        ("27AAPFU0939F1ZW", "mistyped"),
        ("72AAPFU0939F1ZV", "code of a state"),
        ("00AAPFU0939F1ZV", "code of a state"),
        ("27AAPFU09З9F1ZV", "shape"),  # a letter of another script
        ("27AAPF10939F1ZV", "shape"),
        ("27AAPFU0939F0ZV", "shape"),
        ("27AAPFU0939F1KV", "shape"),
        ("２７AAPFU0939F1ZV", "shape"),  # digits in full width
    ],
)
def test_what_is_no_gstin_is_refused_with_its_fault(number: str, says: str) -> None:
    with pytest.raises(gstin.NotAGSTIN, match=says):
        gstin.read(number)


@ANY
@given(good, st.integers(0, 14), st.sampled_from(string.digits + string.ascii_uppercase))
def test_every_slip_of_one_character_is_noticed(number: str, at: int, typed: str) -> None:
    assert gstin.read(number) == number
    assume(number[at] != typed)
    with pytest.raises(gstin.NotAGSTIN):
        gstin.read(number[:at] + typed + number[at + 1 :])


@ANY
@given(good, st.integers(0, 13))
def test_two_neighbours_exchanged_are_noticed(number: str, at: int) -> None:
    first, second = number[at], number[at + 1]
    assume(first != second and {first, second} != {"0", "Z"})  # this pair alone a check of this kind can't see
    with pytest.raises(gstin.NotAGSTIN):
        gstin.read(number[:at] + second + first + number[at + 2 :])


@ANY
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = gstin.read(text)
    except gstin.NotAGSTIN:
        return
    assert len(found) == 15


# Words -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "Rupees Zero Only"),
        (1, "One Paisa Only"),
        (50, "Fifty Paise Only"),
        (100, "Rupee One Only"),
        (101, "Rupee One and One Paisa Only"),
        (49_900, "Rupees Four Hundred Ninety-Nine Only"),
        (10_000_000, "Rupees One Lakh Only"),
        (
            12_345_678_950,
            "Rupees Twelve Crore Thirty-Four Lakh Fifty-Six Thousand Seven Hundred Eighty-Nine and Fifty Paise Only",
        ),
        (10**14, "Rupees One Lakh Crore Only"),
    ],
)  # fmt: skip
def test_amounts_are_said_in_lakh_and_crore(amount: int, text: str) -> None:
    assert words.rupees(amount) == text


def _value(text: str) -> int:
    """A second way to read the words: what they come to."""
    ones = {name: value for value, name in enumerate(words._SMALL)} | {
        name: 10 * value for value, name in enumerate(words._TENS)
    }
    sizes = {"Hundred": 100, "Thousand": 1000, "Lakh": 10**5, "Crore": 10**7}
    total = group = 0
    for word in text.replace("-", " ").split():
        if word in ones:
            group += ones[word]
        elif word == "Hundred":
            group *= 100
        elif word == "Crore":
            total, group = (total + group) * sizes[word], 0
        else:
            total, group = total + group * sizes[word], 0
    return total + group


@ANY
@given(st.integers(0, 10**16))
def test_words_say_the_amount_and_nothing_else(amount: int) -> None:
    text = words.rupees(amount).removesuffix(" Only")
    whole, _, part = (
        text.rpartition(" and ") if " and " in text else ((text, "", "") if "Rupee" in text else ("", "", text))
    )
    rupees = _value(re.sub("^Rupees? ", "", whole)) if whole else 0
    assert rupees * 100 + (_value(re.sub(" Pais[ae]$", "", part)) if part else 0) == amount


def test_a_negative_amount_has_no_words() -> None:
    with pytest.raises(ValueError, match="negative"):
        words.rupees(-100)


# Numbers -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("at", "year", "day"),
    [
        ("2026-03-31T18:29:59+00:00", "2526", "2026-03-31"),
        ("2026-03-31T18:30:00+00:00", "2627", "2026-04-01"),  # midnight in India
        ("2026-12-31T20:00:00+00:00", "2627", "2027-01-01"),
        ("2099-05-01T00:00:00+00:00", "9900", "2099-05-01"),
        ("2027-03-31T23:59:59+05:30", "2627", "2027-03-31"),
    ],
)
def test_a_financial_year_turns_at_midnight_of_the_first_of_april_in_india(at: str, year: str, day: str) -> None:
    moment = datetime.fromisoformat(at)
    assert (invoice_numbers.financial_year(moment), invoice_numbers.day_in_india(moment).isoformat()) == (year, day)


@ANY
@given(st.integers(2001, 2098), st.integers(0, 364))
def test_a_financial_year_is_the_same_for_all_its_days(year: int, days: int) -> None:
    at = datetime(year, 4, 1, tzinfo=invoice_numbers.INDIA) + timedelta(days=days)
    assert invoice_numbers.financial_year(at.astimezone(UTC)) == f"{year % 100:02d}{(year + 1) % 100:02d}"


def test_numbers_count_on_and_stay_within_sixteen_characters() -> None:
    assert invoice_numbers.number("OA", "2627", 1) == "OA/2627/000001"
    assert invoice_numbers.number("OA", "2627", 1_000_000) == "OA/2627/1000000"
    assert len(invoice_numbers.number("ABCD", "2627", 999_999)) == 16
    for prefix, count in (("ABCD", 1_000_000), ("OA", 0)):
        with pytest.raises(ValueError, match="no number"):
            invoice_numbers.number(prefix, "2627", count)


def test_a_prefix_is_of_characters_that_the_law_allows() -> None:
    allowed = [
        text
        for text in ("OA", "A-1", "ABCD", "", "-A", "ABCDE", "oa", "A/B", "A B", "Ä")
        if invoice_numbers.is_prefix(text)
    ]
    assert allowed == ["OA", "A-1", "ABCD"]
