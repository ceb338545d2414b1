"""What finance does with invoices: export them, write one anew; and who may."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import AuditEntry, Role, User
from billing import gst, gstr1, invoice_numbers, invoices
from billing.gst import Parts, Supply
from billing.models import Invoice, Seller
from oneai.kit.clock import now
from tests.billing import paid

pytestmark = pytest.mark.django_db
ANY = settings(deadline=None)  # a machine under load is no fault
EXPORT = "/admin/billing/invoice/export/"
TODAY = {"first": str(invoice_numbers.day_in_india(now())), "last": str(invoice_numbers.day_in_india(now()))}


def staff(role: Role) -> Client:
    user = paid.person()
    User.objects.filter(pk=user.pk).update(role=role)
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


@pytest.fixture
def papers() -> list[Invoice]:
    """A paper for each table of the return."""
    paid.seller()
    business = {"name": "Bhat and Sons", "address": "7 Brigade Road", "gstin": paid.KARNATAKA, "state_code": "29"}
    kinds: list[tuple[dict[str, Any], int, int]] = [
        (business, 49_900, 10_000),
        ({"state_code": "27", "name": '=HYPERLINK("http://x")'}, 49_900, 333),
        ({"state_code": "29"}, 14_900, 14_900),
        ({"state_code": "29"}, 10_000_001, 5_000_000),
        ({"state_code": "29"}, 10_000_000, 100),
        ({"country": "DE"}, 149_900, 49_900),
    ]
    found = []
    for details, paise, back in kinds:
        payment = paid.payment(paid.person(**details), paise)
        found.append(invoices.issue_for(payment))
        note = invoices.credit_note_for(paid.refund(payment, back))
        assert note is not None
        found.append(note)
    paid.seller(lut="AD270326000000A")
    return [*found, invoices.issue_for(paid.payment(paid.person(country="US"), 77_700))]


def net(papers: list[Invoice]) -> Parts:
    signed = (Parts() - invoices.parts(one) if one.kind == "credit_note" else invoices.parts(one) for one in papers)
    return sum(signed, Parts())


def test_the_table_adds_up_to_the_invoices_and_holds_no_formula(papers: list[Invoice]) -> None:
    finance = staff(Role.FINANCE)
    answer = finance.post(EXPORT, TODAY | {"form": "csv"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["number"] for row in rows] == [paper.number for paper in papers]
    sums = [sum(Decimal(row[name]) for row in rows) * 100 for name in ("taxable", "cgst", "sgst", "igst", "total")]
    whole = net(papers)
    assert sums == [whole.taxable, whole.cgst, whole.sgst, whole.igst, whole.total]
    assert {row["customer"] for row in rows if "HYPERLINK" in row["customer"]} == {'\'=HYPERLINK("http://x")'}
    entry = AuditEntry.objects.get(action="invoices.exported")
    assert entry.details == TODAY | {"form": "csv"}


def leaves(found: Any) -> list[dict[str, Any]]:
    """Every object with amounts in the tables of sales."""
    if isinstance(found, list):
        return [leaf for each in found for leaf in leaves(each)]
    if isinstance(found, dict):
        return [found] if "txval" in found else [leaf for each in found.values() for leaf in leaves(each)]
    return []


def paise(found: Any, sign: int = 1) -> Parts:
    fields = ("txval", "camt", "samt", "iamt")
    amounts = [[round(Decimal(str(leaf.get(name, 0))) * 100) for name in fields] for leaf in leaves(found)]
    assert all(Decimal(str(leaf.get(name, 0))) * 100 % 1 == 0 for leaf in leaves(found) for name in fields)
    return Parts(*(sign * sum(column) for column in zip(*amounts, strict=True))) if amounts else Parts()


def of_return(found: dict[str, Any]) -> Parts:
    sales = sum((paise(found.get(name, [])) for name in ("b2b", "b2cl", "b2cs", "exp")), Parts())
    return sales + paise(found.get("cdnr", []), -1) + paise(found.get("cdnur", []), -1)


def test_the_return_has_each_paper_in_its_table_and_adds_up_to_the_paisa(papers: list[Invoice]) -> None:
    answer = staff(Role.OWNER).post(EXPORT, TODAY | {"form": "gstr1"})
    found = json.loads(answer.content)
    month = invoice_numbers.day_in_india(now())
    assert (found["gstin"], found["fp"]) == (paid.MAHARASHTRA, f"{month:%m%Y}")
    business, business_note = papers[0], papers[1]
    (customer,) = found["b2b"]
    assert customer["ctin"] == paid.KARNATAKA
    assert customer["inv"] == [
        {
            "inum": business.number, "idt": f"{month:%d-%m-%Y}", "val": 499.0, "pos": "29", "rchrg": "N",
            "inv_typ": "R",
            "itms": [{"num": 1, "itm_det": {"rt": 18.0, "txval": 422.88, "iamt": 76.12, "csamt": 0.0}}],
        }
    ]  # fmt: skip
    (note,) = found["cdnr"][0]["nt"]
    assert (found["cdnr"][0]["ctin"], note["nt_num"], note["ntty"], note["val"]) == (
        paid.KARNATAKA, business_note.number, "C", 100.0,
    )  # fmt: skip
    # An invoice above a lakh is listed; one of exactly a lakh is not. So are their credit notes.
    assert [(place["pos"], [one["val"] for one in place["inv"]]) for place in found["b2cl"]] == [("29", [100_000.01])]
    assert sorted((one["typ"], one["val"]) for one in found["cdnur"]) == [("B2CL", 50_000.0), ("EXPWP", 499.0)]
    assert sorted((one["exp_typ"], one["inv"][0]["val"]) for one in found["exp"]) == [
        ("WOPAY", 777.0),
        ("WPAY", 1499.0),
    ]
    assert [(one["sply_ty"], one["pos"], one["rt"]) for one in found["b2cs"]] == [
        ("INTRA", "27", 18.0), ("INTER", "29", 18.0),
    ]  # fmt: skip
    whole = net(papers)
    assert of_return(found) == whole
    assert paise(found["hsn"]) == whole
    assert paise(found["hsn"]["hsn_b2b"]) == net(papers[:2])
    assert [
        (kind["doc_num"], [(one["from"], one["to"], one["totnum"], one["net_issue"]) for one in kind["docs"]])
        for kind in found["doc_issue"]["doc_det"]
    ] == [
        (1, [(papers[0].number, papers[-1].number, 7, 7)]),
        (5, [(papers[1].number, papers[-2].number, 6, 6)]),
    ]


@st.composite
def documents(draw: st.DrawFn) -> list[gstr1.Document]:
    supplies = st.sampled_from([supply for supply in Supply if supply is not Supply.UNTAXED])
    found = []
    for at in range(draw(st.integers(0, 12))):
        supply = draw(supplies)
        place = (
            "96" if supply.abroad else "27" if supply is Supply.WITHIN_STATE else draw(st.sampled_from(["29", "07"]))
        )
        gstin = "" if supply.abroad else draw(st.sampled_from(["", paid.KARNATAKA, paid.MAHARASHTRA]))
        rate = st.sampled_from([500, 1800]) if supply.taxed else st.just(0)
        entries = [
            gstr1.Entry(
                draw(st.sampled_from(["998434", "998315"])),
                one,
                gst.parts_of(draw(st.integers(1, 2 * 10**7)), one, supply),
            )
            for one in draw(st.lists(rate, min_size=1, max_size=3))
        ]
        credit = draw(st.booleans())
        about = draw(st.integers(1, 3 * 10**7)) if credit else None
        number = f"{'CN' if credit else 'OA'}/2627/{at + 1:06d}"
        found.append(
            gstr1.Document(
                number, date(2026, 11, 1) + timedelta(at), credit, gstin, place, supply, tuple(entries), about
            )
        )
    return found


@ANY
@given(documents())
def test_any_papers_come_to_the_same_in_the_tables_of_sales_and_of_services(found: list[gstr1.Document]) -> None:
    whole = sum((Parts() - one.parts if one.credit else one.parts for one in found), Parts())
    told = json.loads(json.dumps(gstr1.build(paid.MAHARASHTRA, date(2026, 11, 30), found)))
    assert of_return(told) == whole
    assert paise(told.get("hsn", {})) == whole
    counted = Counter(
        {
            kind["doc_num"]: sum(docs["net_issue"] for docs in kind["docs"])
            for kind in told.get("doc_issue", {"doc_det": []})["doc_det"]
        }
    )
    assert counted == Counter(5 if one.credit else 1 for one in found)


def test_numbers_are_listed_by_series_and_by_year() -> None:
    entry = gstr1.Entry("998434", 1800, gst.parts_of(118_000, 1800, Supply.WITHIN_STATE))
    numbers = ["OA/2627/000002", "OA/2526/000009", "OB/2627/000001", "OA/2627/000010", "OA/2627/000009"]
    found = [
        gstr1.Document(number, date(2026, 11, 1), False, "", "27", Supply.WITHIN_STATE, (entry,), None)
        for number in numbers
    ]
    (kind,) = gstr1.build(paid.MAHARASHTRA, date(2026, 11, 30), found)["doc_issue"]["doc_det"]
    assert [(docs["num"], docs["from"], docs["to"], docs["totnum"]) for docs in kind["docs"]] == [
        (1, "OA/2526/000009", "OA/2526/000009", 1),
        (2, "OA/2627/000002", "OA/2627/000010", 3),
        (3, "OB/2627/000001", "OB/2627/000001", 1),
    ]


# The command -------------------------------------------------------------------------------------
def command(first: str = TODAY["first"], last: str = TODAY["last"], form: str = "csv", gstin: str = "") -> str:
    out = io.StringIO()
    asked = ["--from", first, "--to", last, "--format", form, "--gstin", gstin]
    call_command("export_invoices", *asked, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_table_and_the_return(papers: list[Invoice]) -> None:
    assert len(list(csv.reader(io.StringIO(command())))) == 1 + len(papers)
    assert of_return(json.loads(command(form="gstr1"))) == net(papers)
    assert command(first="2001-01-01", last="2001-12-31").count("\n") == 1
    for wrong in (
        {"first": "yesterday"},
        {"first": "2027-01-02", "last": "2027-01-01"},
        {"gstin": "27", "form": "gstr1"},
    ):
        with pytest.raises(CommandError):
            command(**wrong)


def test_a_return_is_of_one_gstin_and_an_unregistered_seller_has_none() -> None:
    paid.seller(gstin="")
    invoices.issue_for(paid.payment(paid.person()))
    with pytest.raises(CommandError, match="unregistered"):
        command(form="gstr1")
    for own in (paid.MAHARASHTRA, paid.KARNATAKA):
        paid.seller(gstin=own, state_code=own[:2])
        invoices.issue_for(paid.payment(paid.person(state_code="27"), 11_800))
    with pytest.raises(CommandError, match="several"):
        command(form="gstr1")
    for own, name in ((paid.MAHARASHTRA, "INTRA"), (paid.KARNATAKA, "INTER")):
        found = json.loads(command(form="gstr1", gstin=own))
        assert [(one["sply_ty"], one["txval"]) for one in found["b2cs"]] == [(name, 100.0)]


# The desk ----------------------------------------------------------------------------------------
def test_finance_looks_and_exports_support_only_looks_and_others_do_neither(papers: list[Invoice]) -> None:
    paper = papers[0]
    paths = {
        "list": "/admin/billing/invoice/", "paper": f"/admin/billing/invoice/{paper.pk}/change/",
        "pdf": f"/admin/billing/invoice/{paper.pk}/pdf", "details": "/admin/billing/billingdetails/",
        "export": EXPORT, "correct": f"/admin/billing/invoice/{paper.pk}/correct/",
    }  # fmt: skip
    told = {role: {name: staff(role).get(path).status_code for name, path in paths.items()} for role in Role}
    looks = {"list": 200, "paper": 200, "pdf": 200, "details": 200}
    assert told[Role.OWNER] == told[Role.FINANCE] == looks | {"export": 200, "correct": 200}
    assert told[Role.SUPPORT] == looks | {"export": 403, "correct": 403}
    assert set(told[Role.USER].values()) <= {302, 403}


def test_nobody_changes_or_deletes_a_paper_on_the_desk(papers: list[Invoice]) -> None:
    owner, path = staff(Role.OWNER), f"/admin/billing/invoice/{papers[0].pk}"
    for action in ("change", "delete"):
        assert owner.post(f"{path}/{action}/", {"number": "X", "post": "yes"}).status_code == 403
    assert owner.get("/admin/billing/invoice/add/").status_code == 403
    assert Invoice.objects.filter(pk=papers[0].pk, number=papers[0].number).exists()


def test_finance_writes_an_invoice_anew_with_a_reason(papers: list[Invoice]) -> None:
    finance, path = staff(Role.FINANCE), f"/admin/billing/invoice/{papers[0].pk}/correct/"
    assert finance.post(path, {"reason": " "}).status_code == 400
    answer = finance.post(path, {"reason": "Wrong name"})
    written = Invoice.objects.get(replaces=papers[0])
    assert answer["Location"] == f"/admin/billing/invoice/{written.pk}/change/"
    assert AuditEntry.objects.get(action="invoice.corrected").reason == "Wrong name"
    again = finance.post(path, {"reason": "Once more"})
    assert again.status_code == 400 and "replaced already" in again.content.decode()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"first": "2027-01-02", "last": "2027-01-01", "form": "csv"}, "before the first"),
        ({"first": "2027-01-02", "last": "2027-01-01", "form": "gstr1"}, "before the first"),
        ({"first": "yesterday", "last": "2027-01-01", "form": "csv"}, "valid date"),
    ],
)
def test_an_export_that_can_not_be_made_says_why_and_is_not_noted(asked: dict[str, str], says: str) -> None:
    answer = staff(Role.FINANCE).post(EXPORT, asked)
    assert answer.status_code == 400 and says in answer.content.decode()
    assert not AuditEntry.objects.filter(action="invoices.exported").exists()


@pytest.mark.parametrize(("given", "kept"), [({"state_code": "27"}, "27"), ({"state_code": ""}, "")])
def test_a_seller_without_a_gstin_has_the_state_that_they_say(given: dict[str, str], kept: str) -> None:
    owner = staff(Role.OWNER)
    form = paid.SELLER | {
        "gstin": "", "lut": "", "phone": "", "sac": "998434", "gst_rate_basis_points": "1800",
        "invoice_prefix": "OA", "credit_prefix": "CN",
    }  # fmt: skip
    missing = owner.post("/admin/billing/seller/add/", form | given | {"sac": ""})
    assert missing.status_code == 200 and "This field is required" in missing.content.decode()
    assert not Seller.objects.exists()
    assert owner.post("/admin/billing/seller/add/", form | given).status_code == 302
    assert Seller.objects.get().state_code == kept


def test_the_owner_says_who_sells_with_checks_and_finance_may_not() -> None:
    owner = staff(Role.OWNER)
    form = paid.SELLER | {
        "state_code": "", "lut": "", "phone": "", "sac": "998434", "gst_rate_basis_points": "1800",
        "invoice_prefix": "OA", "credit_prefix": "CN",
    }  # fmt: skip
    refused = owner.post("/admin/billing/seller/add/", form | {"gstin": "27AAPFU0939F1ZX"})
    assert "mistyped" in refused.content.decode()
    assert owner.post("/admin/billing/seller/add/", form | {"gstin": " 27aapfu0939f1zv"}).status_code == 302
    row = Seller.objects.get()
    assert (row.pk, row.gstin, row.state_code) == (1, paid.MAHARASHTRA, "27")
    assert owner.get("/admin/billing/seller/add/").status_code == 403
    finance = staff(Role.FINANCE)
    assert finance.get("/admin/billing/seller/1/change/").status_code == 200
    assert finance.post("/admin/billing/seller/1/change/", form).status_code == 403
    assert AuditEntry.objects.filter(action="seller.changed").count() == 1
