"""Invoices as rows: one for a payment, one credit note for a refund, gapless numbers, and never a change."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import AuditEntry
from billing import details, invoice_paper, invoice_series, invoices, sellers
from billing.gst import Parts
from billing.models import BillingDetails, Invoice, InvoiceLine, InvoiceMail, InvoiceSeries, Payment
from oneai.kit.clock import now, travel
from tests.billing import paid

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered() -> None:
    paid.seller()


def sums(paper: Invoice) -> tuple[int, int, int, int, int]:
    return paper.taxable_paise, paper.cgst_paise, paper.sgst_paise, paper.igst_paise, paper.total_paise


def adds_up(paper: Invoice) -> bool:
    lines = sum((invoices.parts(line) for line in paper.lines.all()), Parts())
    return lines == invoices.parts(paper) and lines.total == paper.total_paise


# Issuing -----------------------------------------------------------------------------------------
def test_a_payment_has_one_invoice_however_often_it_is_asked_for() -> None:
    payment = paid.subscribed(paid.person(state_code="27"))
    first = invoices.issue_for(payment)
    assert invoices.issue_for(Payment.objects.get(pk=payment.pk)) == first
    assert sums(first) == (42_288, 3_806, 3_806, 0, 49_900)
    assert (first.place_of_supply, first.supply, first.kind) == ("27", "within_state", "invoice")
    assert [(line.description, line.quantity, line.rate_basis_points) for line in first.lines.all()] == [
        ("OneAI Plus, a month", 1, 1800)
    ]
    assert adds_up(first)
    assert (first.period_start, first.period_end) == (payment.period_start, payment.period_end)
    assert InvoiceMail.objects.filter(invoice=first, written_at=None).exists()


@pytest.mark.parametrize(
    ("details", "place", "igst"),
    [
        ({}, "27", 0),
        ({"state_code": "29"}, "29", 7_612),
        ({"gstin": paid.KARNATAKA, "state_code": "29", "name": "A", "address": "B"}, "29", 7_612),
        ({"country": "DE"}, "96", 7_612),
    ],
)
def test_the_tax_is_that_of_the_customers_place(details: dict[str, Any], place: str, igst: int) -> None:
    paper = invoices.issue_for(paid.payment(paid.person(**details)))
    assert (paper.place_of_supply, paper.igst_paise, paper.total_paise) == (place, igst, 49_900)


def test_a_letter_of_undertaking_takes_the_tax_off_exports_alone() -> None:
    paid.seller(lut="AD270326000000A")
    abroad, here = (invoices.issue_for(paid.payment(paid.person(country=country))) for country in ("DE", "IN"))
    assert (sums(abroad), abroad.lines.get().rate_basis_points) == ((49_900, 0, 0, 0, 49_900), 0)
    assert here.cgst_paise == 3_806


def test_a_seller_without_a_gstin_takes_no_tax() -> None:
    paid.seller(gstin="", state_code="27")
    paper = invoices.issue_for(paid.payment(paid.person(gstin=paid.KARNATAKA, state_code="29")))
    assert (sums(paper), paper.supply) == ((49_900, 0, 0, 0, 49_900), "untaxed")


def test_a_seller_nobody_knows_the_place_of_writes_bills_that_name_none() -> None:
    paid.seller(gstin="", state_code="")
    paper = invoice_paper.read(invoices.issue_for(paid.subscribed(paid.person())))
    assert (paper.title, [name for name, _ in paper.facts]) == (
        "Bill of supply",
        ["Number", "Date", "Period", "Payment"],
    )
    paid.seller()
    taxed = invoice_paper.read(invoices.issue_for(paid.payment(paid.person())))
    assert [name for name, _ in taxed.facts] == ["Number", "Date", "Place of supply", "Payment", "Reverse charge"]
    assert dict(taxed.facts)["Place of supply"] == "Maharashtra (27)"


@pytest.mark.parametrize(
    ("state", "told"),
    [("27", [("CGST", "9%", "₹90.00"), ("SGST", "9%", "₹90.00")]), ("29", [("IGST", "18%", "₹180.00")])],
)
def test_taxes_are_said_to_the_paisa(state: str, told: list[tuple[str, str, str]]) -> None:
    paper = invoice_paper.read(invoices.issue_for(paid.payment(paid.person(state_code=state), 118_000)))
    for taxed in (paper, *paper.lines):
        assert (taxed.taxable, taxed.total) == ("₹1,000.00", "₹1,180.00")
        assert [(tax.name, tax.rate.replace("\u00a0", "").replace(" ", ""), tax.amount) for tax in taxed.taxes] == told


def test_a_paisa_may_go_back() -> None:
    payment = paid.payment(paid.person(), 118_000)
    invoice = invoices.issue_for(payment)
    note = invoices.credit_note_for(paid.refund(payment, 1))
    assert note is not None and adds_up(note) and note.total_paise == 1 == invoices.credited(invoice)


def test_seats_and_packs_are_said_on_the_line() -> None:
    team = invoices.issue_for(paid.subscribed(paid.person(), "team", quantity=5)).lines.get()
    assert (team.description, team.quantity, team.total_paise) == ("OneAI Team, a month, 5 seats", 5, 649_500)
    pack = invoices.issue_for(paid.topped_up(paid.person())).lines.get()
    assert pack.description == "Half a million tokens (500,000 tokens), to be used within 365 days"


def test_several_lines_are_taxed_one_by_one_and_come_to_the_payment() -> None:
    payment = paid.payment(paid.person(), 100_001)
    lines = [invoices.Sold("First", 33_334), invoices.Sold("Second", 66_667, 3)]
    with pytest.raises(ValueError, match="do not come to"):
        invoices.issue_for(payment, lines[:1])
    paper = invoices.issue_for(payment, lines)
    assert adds_up(paper) and paper.total_paise == 100_001
    assert [line.total_paise for line in paper.lines.all()] == [33_334, 66_667]


@pytest.mark.parametrize(
    "fields", [{"status": "authorized"}, {"status": "failed"}, {"amount_paise": 0}, {"currency": "USD"}]
)
def test_what_was_not_paid_in_rupees_has_no_invoice(fields: dict[str, Any]) -> None:
    payment = paid.payment(paid.person())
    Payment.objects.filter(pk=payment.pk).update(**fields)
    payment.refresh_from_db()
    with pytest.raises(invoices.NoInvoice):
        invoices.issue_for(payment)
    assert not InvoiceSeries.objects.exists()


def test_numbers_follow_each_other_and_what_is_undone_leaves_no_gap() -> None:
    def write() -> Invoice:
        return invoices.issue_for(paid.payment(paid.person()))

    first = write()
    with transaction.atomic():
        assert write().number.endswith("/000002")
        transaction.set_rollback(True)
    second = write()
    assert [first.number[-7:], second.number[-7:]] == ["/000001", "/000002"]
    assert second.issued_at >= first.issued_at


def test_numbers_begin_anew_in_april() -> None:
    def at(text: str) -> Invoice:
        with travel(datetime.fromisoformat(text) - datetime.now(UTC)):
            return invoices.issue_for(paid.payment(paid.person()))

    march = at("2027-03-31T18:29:00+00:00")
    april = at("2027-03-31T18:30:30+00:00")
    assert (march.number, april.number) == ("OA/2627/000001", "OA/2728/000001")
    assert (march.year, april.year) == ("2627", "2728")


def test_who_waits_for_a_number_over_the_end_of_the_year_has_one_of_the_new_year(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment, row = paid.payment(paid.person()), invoice_series._row
    last_minute = datetime.fromisoformat("2027-03-31T18:29:00+00:00") - datetime.now(UTC)

    def wait(prefix: str, year: str) -> InvoiceSeries:
        if year == "2627":
            moves.enter_context(travel(timedelta(minutes=2)))
        return row(prefix, year)

    monkeypatch.setattr(invoice_series, "_row", wait)
    with travel(last_minute), ExitStack() as moves:
        paper = invoices.issue_for(payment)
        assert now() - timedelta(minutes=1) < paper.issued_at <= now()
    assert (paper.number, paper.year) == ("OA/2728/000001", "2728")
    assert InvoiceSeries.objects.get(year="2627").last == 0


def test_a_new_prefix_begins_a_series_of_its_own() -> None:
    one = invoices.issue_for(paid.payment(paid.person()))
    paid.seller(invoice_prefix="NEW")
    other = invoices.issue_for(paid.payment(paid.person()))
    assert (one.number.split("/")[::2], other.number.split("/")[::2]) == (["OA", "000001"], ["NEW", "000001"])


def test_an_invoice_keeps_what_seller_and_customer_were() -> None:
    user = paid.person(name="Bhat and Sons", address="7 Brigade Road", state_code="29")
    paper = invoices.issue_for(paid.payment(user))
    paid.seller(legal_name="Another", gstin="", state_code="")
    details.change(user, {"name": "Somebody else", "state_code": "07"})
    paper.refresh_from_db()
    assert (paper.seller["name"], paper.seller["gstin"]) == ("Peepal Software Private Limited", paid.MAHARASHTRA)
    assert (paper.buyer["name"], paper.buyer["state"]) == ("Bhat and Sons", "Karnataka")


def test_a_paper_is_never_changed_or_deleted() -> None:
    paper = invoices.issue_for(paid.payment(paid.person()))
    line = paper.lines.get()
    for row in (paper, line):
        row.total_paise = 1
        with pytest.raises(TypeError, match="never changed"):
            row.save()
        with pytest.raises(TypeError, match="never deleted"):
            row.delete()


# Giving back -------------------------------------------------------------------------------------
def test_refunds_in_part_have_credit_notes_that_come_to_the_invoice() -> None:
    payment = paid.subscribed(paid.person(state_code="27"))
    invoice = invoices.issue_for(payment)
    notes = []
    for paise in (10_000, 333, 39_567):
        refund = paid.refund(payment, paise)
        note = invoices.credit_note_for(refund)
        assert note is not None
        assert invoices.credit_note_for(refund) == note
        notes.append(note)
    assert [note.number[-7:] for note in notes] == ["/000001", "/000002", "/000003"]
    assert all(note.number.startswith("CN/") and note.corrects == invoice and adds_up(note) for note in notes)
    assert sum((invoices.parts(note) for note in notes), Parts()) == invoices.parts(invoice)
    with pytest.raises(invoices.NoInvoice, match="0 are left"):
        invoices.credit_note_for(paid.refund(payment, 100))


def test_a_credit_note_has_the_customer_and_the_tax_of_its_invoice() -> None:
    user = paid.person(state_code="27")
    payment = paid.payment(user)
    invoices.issue_for(payment)
    details.change(user, {"state_code": "29"})
    paid.seller(gst_rate_basis_points=2800)
    note = invoices.credit_note_for(paid.refund(payment, 11_800))
    assert note is not None
    assert (sums(note), note.place_of_supply) == ((10_000, 900, 900, 0, 11_800), "27")


def test_nothing_is_credited_for_what_was_not_invoiced_or_not_given_back() -> None:
    payment = paid.payment(paid.person(), effect_at=None)
    assert invoices.credit_note_for(paid.refund(payment, 49_900)) is None
    with pytest.raises(invoices.NoInvoice):
        invoices.credit_note_for(paid.refund(payment, 100, status="pending"))
    assert not InvoiceSeries.objects.exists()


class Together(TestCase):
    """Any refunds in part of any invoice of several lines."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.integers(1, 10**7), min_size=1, max_size=4).filter(lambda lines: sum(lines) >= 100),
        st.lists(st.integers(100, 10**7), max_size=5),
        st.sampled_from(["27", "29"]),
    )
    def test_line_by_line_and_tax_by_tax(self, lines: list[int], refunds: list[int], state: str) -> None:
        paid.seller()
        payment = paid.payment(paid.person(state_code=state), sum(lines))
        invoice = invoices.issue_for(payment, [invoices.Sold(str(at), paise) for at, paise in enumerate(lines)])
        notes = []
        for paise in [*refunds, sum(lines)]:
            rest = invoice.total_paise - invoices.credited(invoice)
            if rest:
                note = invoices.credit_note_for(paid.refund(payment, min(paise, rest)))
                assert note is not None and adds_up(note) and note.total_paise == min(paise, rest)
                notes.append(note)
        for line in invoice.lines.all():
            back = InvoiceLine.objects.filter(invoice__in=notes, position=line.position)
            assert sum((invoices.parts(one) for one in back), Parts()) == invoices.parts(line)
            assert all(min(one.cgst_paise, one.sgst_paise, one.igst_paise) >= 0 for one in back)
            assert all(one.cgst_paise == one.sgst_paise and one.taxable_paise >= -1 for one in back)
        assert all(note.taxable_paise >= 0 for note in notes)


# Correcting --------------------------------------------------------------------------------------
def test_a_correction_takes_back_what_is_left_and_writes_it_anew() -> None:
    user = paid.person(state_code="27")
    payment = paid.payment(user, 118_000)
    invoice = invoices.issue_for(payment)
    invoices.credit_note_for(paid.refund(payment, 18_000))
    details.change(user, {"name": "Bhat and Sons", "address": "7 Brigade Road", "gstin": paid.KARNATAKA})
    note, written = invoices.correct(invoice, "finance@example.com", "GSTIN came late")
    assert (note.refund_id, note.corrects, note.total_paise) == (None, invoice, 100_000)
    assert (written.replaces, written.payment_id, written.total_paise) == (invoice, None, 100_000)
    assert (written.igst_paise, written.buyer["gstin"]) == (15_254, paid.KARNATAKA)
    assert invoices.credited(invoice) == invoice.total_paise
    assert invoices.payment_of(written) == invoices.payment_of(note) == payment
    entry = AuditEntry.objects.get(action="invoice.corrected")
    assert (entry.reason, entry.details) == ("GSTIN came late", {"credit_note": note.number, "invoice": written.number})
    # Later refunds are about the paper that stands.
    after = invoices.credit_note_for(paid.refund(payment, 100_000))
    assert after is not None and after.corrects == written
    assert invoices.issue_for(payment) == invoice
    for paper in (invoice, note, written):
        with pytest.raises(invoices.NoInvoice):
            invoices.correct(paper, "finance@example.com", "once more")


def test_the_tables_refuse_papers_without_a_cause() -> None:
    invoice = invoices.issue_for(paid.payment(paid.person()))
    common: dict[str, Any] = {"user": invoice.user, "year": "2627", "taxable_paise": 1, "total_paise": 1}
    wrong: list[dict[str, Any]] = [
        {"number": "A"},
        {"number": "B", "payment": invoice.payment},
        {"number": "C", "kind": "credit_note"},
        {"number": invoice.number, "payment": paid.payment(paid.person())},
        {"number": "D", "payment": paid.payment(paid.person()), "total_paise": 2},
    ]
    for fields in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            Invoice.objects.create(**common | fields)


# What is missing ---------------------------------------------------------------------------------
def test_the_worker_writes_what_payments_and_refunds_lack_once() -> None:
    had = paid.payment(paid.person())
    paid.payment(paid.person(), effect_at=None)  # paid twice, and going back
    paid.payment(paid.person(), status="authorized")
    Payment.objects.filter(pk=paid.payment(paid.person()).pk).update(created_at=now() - timedelta(days=60))
    back = paid.payment(paid.person(), status="refunded", refunded_paise=49_900)
    paid.refund(back, 49_900)
    assert invoices.issue_missing() == 3
    assert invoices.issue_missing() == 0
    assert set(Invoice.objects.values_list("payment_id", flat=True)) == {had.pk, back.pk, None}
    assert Invoice.objects.get(kind="credit_note").corrects == back.invoice


def test_one_that_can_not_be_written_keeps_no_other_from_it() -> None:
    broken = paid.payment(paid.person())
    BillingDetails.objects.create(user=broken.user, country="??")
    good = paid.payment(paid.person())
    assert invoices.issue_missing() == 1
    assert Invoice.objects.get().payment == good


# The seller --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({}, set()),
        ({"gstin": "", "state_code": ""}, set()),
        ({"gstin": "27AAPFU0939F1ZX"}, {"gstin"}),
        ({"state_code": "29"}, {"state_code"}),
        ({"gstin": "", "state_code": "99"}, {"state_code"}),
        ({"legal_name": " ", "address": ""}, {"legal_name", "address"}),
        ({"gstin": "", "lut": "AD27"}, {"lut"}),
        ({"sac": "123456"}, {"sac"}),
        ({"sac": "99843"}, {"sac"}),
        ({"gst_rate_basis_points": 0}, set()),
        ({"gst_rate_basis_points": 1801}, {"gst_rate_basis_points"}),
        ({"gst_rate_basis_points": 1804}, set()),
        ({"gst_rate_basis_points": 4002}, {"gst_rate_basis_points"}),
        ({"invoice_prefix": "A/B"}, {"invoice_prefix"}),
        ({"credit_prefix": "OA"}, {"credit_prefix"}),
    ],
)
def test_faults_of_a_seller_are_named(fields: dict[str, Any], at_fault: set[str]) -> None:
    seller = paid.seller()
    values = {field.name: getattr(seller, field.name) for field in seller._meta.fields} | fields
    assert set(sellers.faults(values)) == at_fault
