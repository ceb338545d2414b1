"""Invoices and billing details over HTTP: the list, the paper, its PDF, and who may see which."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pypdfium2
import pytest
from django.test import Client

from accounts import apikeys
from accounts.models import AuditEntry, User
from billing import invoice_mails, invoices
from billing.models import BillingDetails, Invoice, InvoicePdf
from oneai.kit.clock import travel
from tests.accounts import people
from tests.billing import paid

pytestmark = pytest.mark.django_db
LIST, DETAILS = "/api/subscription/invoice", "/api/subscription/billing-details"
HINDI = "श्रीमती क्षमा द्विवेदी"


@pytest.fixture(autouse=True)
def _registered() -> None:
    paid.seller()


@pytest.fixture
def asha(client: Client) -> User:
    user = paid.person(name=HINDI, address="12 MG Road", city="Pune", postal_code="411001", state_code="27")
    client.force_login(user)
    return user


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document).replace("\r\n", "\n")


def is_in(said: str, text: str) -> bool:
    """Whether the text says it, wherever its lines were broken."""
    return "".join(said.split()) in "".join(text.split())


def error(answer: Any) -> tuple[int, str, str | None]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["param"]


# Papers ------------------------------------------------------------------------------------------
def test_the_list_is_paged_and_the_newest_comes_first(client: Client, asha: User) -> None:
    payment = paid.payment(asha)
    first = invoices.issue_for(payment)
    second = invoices.issue_for(paid.payment(asha))
    note = invoices.credit_note_for(paid.refund(payment, 11_800))
    assert note is not None
    invoices.issue_for(paid.payment(paid.person()))
    page = client.get(LIST, {"limit": 2}).json()
    assert [one["number"] for one in page["results"]] == [note.number, second.number]
    assert page["previous"] is None
    rest = client.get(page["next"]).json()
    assert [one["number"] for one in rest["results"]] == [first.number]
    assert page["results"][0] == {
        "id": str(note.pk), "kind": "credit_note", "number": note.number, "currency": "INR",
        "issued_at": note.issued_at.isoformat().replace("+00:00", "Z"), "corrects": str(first.pk), "replaces": None,
        "taxable": 10_000, "cgst": 900, "sgst": 900, "igst": 0, "total": 11_800, "pdf": f"{LIST}/{note.pk}/pdf",
    }  # fmt: skip
    assert error(client.get(LIST, {"cursor": "nonsense"})) == (400, "invalid_value", "cursor")


def test_an_invoice_says_everything_that_the_law_wants(client: Client, asha: User) -> None:
    payment = paid.subscribed(asha)
    paper = invoices.issue_for(payment)
    body = client.get(f"{LIST}/{paper.pk}").json()
    assert body["lines"] == [
        {
            "description": "OneAI Plus, a month", "sac": "998434", "quantity": 1, "rate_basis_points": 1800,
            "taxable": 42_288, "cgst": 3_806, "sgst": 3_806, "igst": 0, "total": 49_900,
        }
    ]  # fmt: skip
    assert body["seller"] == {
        "name": "Peepal Software Private Limited", "address": "4 Ganesh Peth\nPune 411002", "state_code": "27",
        "state": "Maharashtra", "gstin": paid.MAHARASHTRA,
    }  # fmt: skip
    assert (body["buyer"]["name"], body["buyer"]["email"]) == (HINDI, asha.email)
    assert (body["place_of_supply"], body["place_of_supply_name"], body["supply"]) == (
        "27", "Maharashtra", "within_state",
    )  # fmt: skip
    assert body["total_in_words"] == "Rupees Four Hundred Ninety-Nine Only"
    assert body["payment_id"] == payment.razorpay_payment_id


def test_page_and_pdf_say_the_same(client: Client, asha: User) -> None:
    payment = paid.subscribed(asha)
    paper = invoices.issue_for(payment)
    answer = client.get(f"{LIST}/{paper.pk}/pdf", headers={"accept": "application/pdf"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["Content-Disposition"] == f'inline; filename="{paper.number.replace("/", "-")}.pdf"'
    pdf = text_of(answer.content)
    page = re.sub(r"<[^>]+>", " ", client.get(f"/billing/invoices/{paper.pk}").content.decode())
    for said in (
        "Tax invoice", paper.number, HINDI, "12 MG Road", "Pune 411001", "Peepal Software Private Limited",
        paid.MAHARASHTRA, "Maharashtra (27)", "998434", "OneAI Plus, a month", "₹422.88", "₹38.06", "₹499.00",
        "CGST", "SGST", "9 %", "Rupees Four Hundred Ninety-Nine Only", payment.razorpay_payment_id, "Reverse charge",
    ):  # fmt: skip
        assert is_in(said, pdf), said
        assert said in page, said


def test_a_paper_drawn_again_is_the_same_and_of_its_own_day(client: Client, asha: User) -> None:
    paper = invoices.issue_for(paid.payment(asha))
    first = client.get(f"{LIST}/{paper.pk}/pdf").content
    with travel(timedelta(hours=30)):
        again = client.get(f"{LIST}/{paper.pk}/pdf").content
    assert text_of(first) == text_of(again)
    made = pypdfium2.PdfDocument(again).get_metadata_dict()
    assert made["CreationDate"].startswith(f"D:{paper.issued_at:%Y%m%d%H%M%S}")
    assert (made["Title"], made["Author"]) == (f"Tax invoice {paper.number}", "Peepal Software Private Limited")


def test_a_paper_is_shown_byte_for_byte_as_it_was_mailed(client: Client, asha: User, mailoutbox: list[Any]) -> None:
    paper = invoices.issue_for(paid.payment(asha))
    where = f"{LIST}/{paper.pk}/pdf"
    before = client.get(where)
    assert "ETag" not in before and not InvoicePdf.objects.exists()
    assert invoice_mails.write() == 1
    (mail,) = mailoutbox
    answer = client.get(where)
    assert answer.content == mail.attachments[0].content
    assert answer["ETag"] == f'"{sha256(answer.content).hexdigest()}"'
    assert answer["Cache-Control"] == "private, no-store"
    again = client.get(where, headers={"if-none-match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(where, headers={"if-none-match": '"other"'}).content == answer.content
    stranger = people.make()
    client.force_login(stranger)
    assert client.get(where, headers={"if-none-match": answer["ETag"]}).status_code == 404


@pytest.mark.parametrize(
    ("seller", "buyer", "title", "says"),
    [
        ({"gstin": ""}, {}, "Bill of supply", "not registered under GST"),
        ({}, {"country": "DE"}, "Tax invoice", "export on payment of integrated tax"),
        ({"lut": "AD270326000000A"}, {"country": "DE"}, "Tax invoice", "without payment of integrated tax"),
        ({}, {"state_code": "29"}, "Tax invoice", "IGST 18 %"),
        ({"gstin": "04AAPFU0939F1Z3", "state_code": "04"}, {"state_code": "04"}, "Tax invoice", "UTGST 9 %"),
    ],
)
def test_each_kind_of_sale_has_its_wording(
    client: Client, seller: dict[str, Any], buyer: dict[str, Any], title: str, says: str
) -> None:
    paid.seller(**seller)
    user = paid.person(name="Erika", **buyer)
    client.force_login(user)
    paper = invoices.issue_for(paid.payment(user))
    for text in (
        text_of(client.get(f"{LIST}/{paper.pk}/pdf").content),
        client.get(f"/billing/invoices/{paper.pk}").content.decode(),
    ):
        assert title in text and says in text
        assert ("GST 9 %" in text or "IGST 18 %" in text) == (paper.total_paise != paper.taxable_paise)


def test_a_credit_note_names_its_invoice_and_the_invoice_its_credit_note(client: Client, asha: User) -> None:
    payment = paid.payment(asha)
    invoice = invoices.issue_for(payment)
    note = invoices.credit_note_for(paid.refund(payment, 10_000))
    assert note is not None
    text = text_of(client.get(f"{LIST}/{note.pk}/pdf").content)
    assert "Credit note" in text and f"{invoice.number} of " in text and "Credited" in text and "₹100.00" in text
    assert note.number in client.get(f"/billing/invoices/{invoice.pk}").content.decode()
    assert note.number in client.get("/billing/invoices").content.decode()


@pytest.mark.parametrize(
    "name", ["முருகன் రాజు রহিম", "Žofie Иванова Ελένη Nguyễn", "<b>&amp;</b> {{ 7|add:7 }}", "x" * 200, "👩‍🚀 漢字"]
)
def test_a_name_of_any_letters_is_on_the_paper_as_text(client: Client, name: str) -> None:
    user = paid.person(name=name, address="\n".join(["a line"] * 6))
    client.force_login(user)
    paper = invoices.issue_for(paid.payment(user))
    answer = client.get(f"{LIST}/{paper.pk}/pdf")
    assert answer.status_code == 200
    if name not in {"x" * 200, "👩‍🚀 漢字"}:  # broken into lines, and letters that no font here has
        assert is_in(name, text_of(answer.content))
    assert "<b>&amp;</b>" not in client.get(f"/billing/invoices/{paper.pk}").content.decode()


def test_anothers_paper_is_like_none(client: Client, asha: User) -> None:
    other = invoices.issue_for(paid.payment(paid.person()))
    for path in (f"{LIST}/%s", f"{LIST}/%s/pdf"):
        anothers, unknown = (client.get(path % one, headers={"x-request-id": "same"}) for one in (other.pk, uuid4()))
        assert anothers.status_code == 404
        assert anothers.content.replace(str(other.pk).encode(), b"") == unknown.content
    assert client.get(f"/billing/invoices/{other.pk}").status_code == 404
    assert client.get("/billing/invoices", {"before": str(other.pk)}).status_code == 404
    assert client.get("/billing/invoices", {"before": "x"}).status_code == 404
    assert client.get(LIST).json()["results"] == []


def test_papers_and_details_are_for_people_not_for_keys_or_strangers(client: Client) -> None:
    paper = invoices.issue_for(paid.payment(paid.person()))
    _, key = apikeys.mint(paper.user, "all", ["chat", "models", "usage", "conversations"])
    for path in (LIST, f"{LIST}/{paper.pk}", f"{LIST}/{paper.pk}/pdf", DETAILS):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"authorization": f"Bearer {key}"}).status_code == 403
    for path in ("/billing/invoices", f"/billing/invoices/{paper.pk}", "/settings/billing"):
        assert client.get(path)["Location"].startswith("/login?")


def test_the_page_of_invoices_goes_on_where_it_ended(client: Client, asha: User) -> None:
    papers = [invoices.issue_for(paid.payment(asha)) for _ in range(27)]
    first = client.get("/billing/invoices").content.decode()
    assert papers[26].number in first and papers[2].number in first and papers[1].number not in first
    found = re.search(r'href="(\?before=[^"]+)"', first)
    assert found
    rest = client.get("/billing/invoices" + found[1]).content.decode()
    assert papers[1].number in rest and papers[0].number in rest and papers[2].number not in rest
    assert "Older ones" not in rest


# Billing details ---------------------------------------------------------------------------------
def change(client: Client, **values: Any) -> Any:
    return client.patch(DETAILS, json.dumps(values), content_type="application/json")


def test_billing_details_are_changed_field_by_field_and_audited(client: Client) -> None:
    user = paid.person()
    client.force_login(user)
    empty = {
        "name": "",
        "address": "",
        "city": "",
        "postal_code": "",
        "state_code": "",
        "state": "",
        "country": "IN",
        "gstin": "",
    }
    assert client.get(DETAILS).json() == empty
    answer = change(
        client, name="  Bhat   and Sons ", address="7 Brigade Road\r\n\r\n  Bengaluru ", gstin=" 29aagcb7383j1z4"
    )
    assert answer.status_code == 200
    told = empty | {
        "name": "Bhat and Sons", "address": "7 Brigade Road\nBengaluru", "gstin": paid.KARNATAKA, "state_code": "29",
        "state": "Karnataka",
    }  # fmt: skip
    assert answer.json() == client.get(DETAILS).json() == told
    assert change(client, gstin="", state_code="07").json() == told | {
        "gstin": "",
        "state_code": "07",
        "state": "Delhi",
    }
    assert change(client).status_code == 200
    entries = AuditEntry.objects.filter(action="billing_details.changed", subject_id=user.pk).order_by("at")
    assert [entry.details["fields"] for entry in entries] == [
        ["address", "gstin", "name", "state_code"], ["gstin", "state_code"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        ({"gstin": "29AAGCB7383J1Z5", "name": "A", "address": "B"}, "invalid_value", "gstin"),
        ({"gstin": paid.KARNATAKA, "address": "B"}, "invalid_value", "name"),
        ({"gstin": paid.KARNATAKA, "name": "A"}, "invalid_value", "address"),
        ({"gstin": paid.KARNATAKA, "name": "A", "address": "B", "state_code": "27"}, "invalid_value", "state_code"),
        ({"gstin": paid.KARNATAKA, "name": "A", "address": "B", "country": "US"}, "invalid_value", "gstin"),
        ({"state_code": "28"}, "invalid_value", "state_code"),
        ({"state_code": "27", "country": "US"}, "invalid_value", "state_code"),
        ({"country": "XX"}, "invalid_value", "country"),
        ({"name": "A\u0007B"}, "invalid_value", "name"),
        ({"name": "A\u202eB"}, "invalid_value", "name"),
        ({"name": "A" * 201}, "invalid_value", "name"),
        ({"address": "a\n" * 7}, "invalid_value", "address"),
        ({"address": "a" * 501}, "invalid_value", "address"),
        ({"name": 5}, "invalid_value", "name"),
        ({"name": "A\u0000"}, "invalid_value", "name"),
        ({"state": "27"}, "unknown_field", "state"),
    ],
)
def test_what_can_not_be_is_refused_by_its_field(client: Client, values: dict[str, Any], code: str, param: str) -> None:
    user = paid.person()
    client.force_login(user)
    assert error(change(client, **values)) == (400, code, param)
    assert not BillingDetails.objects.filter(user=user).exists()


def test_who_moves_abroad_takes_neither_state_nor_gstin_along(client: Client) -> None:
    user = paid.person(name="A", address="B", gstin=paid.KARNATAKA, state_code="29")
    client.force_login(user)
    body = change(client, country="de").json()
    assert (body["country"], body["state_code"], body["gstin"]) == ("DE", "", "")


def fill(client: Client, **values: str) -> Any:
    return client.post("/settings/billing", {"country": "IN", "state_code": ""} | values)


def test_the_form_saves_refuses_and_keeps_what_was_typed(client: Client) -> None:
    user = paid.person()
    client.force_login(user)
    answer = fill(client, name="Bhat and Sons", address="7 Brigade Road", gstin="29AAGCB7383J1Z5")
    assert answer.status_code == 400
    assert "mistyped" in answer.content.decode() and "Bhat and Sons" in answer.content.decode()
    fill(client, name="Bhat and Sons", address="7 Brigade Road", gstin=paid.KARNATAKA)
    kept = BillingDetails.objects.get(user=user)
    assert (kept.state_code, kept.gstin) == ("29", paid.KARNATAKA)
    # Another GSTIN or another country, with the state left as the form showed it.
    fill(client, name="Bhat and Sons", address="7 Brigade Road", gstin=paid.MAHARASHTRA, state_code="29")
    kept.refresh_from_db()
    assert kept.state_code == "27"
    fill(client, name="Bhat", country="DE", state_code="27")
    kept.refresh_from_db()
    assert (kept.country, kept.state_code, kept.gstin) == ("DE", "", "")


def test_what_is_changed_is_on_the_next_invoice_only(client: Client, asha: User) -> None:
    before = invoices.issue_for(paid.payment(asha))
    change(client, name="Somebody", state_code="29")
    after = invoices.issue_for(paid.payment(asha))
    told = [client.get(f"{LIST}/{paper.pk}").json() for paper in (before, after)]
    assert [(one["buyer"]["name"], one["igst"]) for one in told] == [(HINDI, 0), ("Somebody", 7_612)]
    assert Invoice.objects.count() == 2
