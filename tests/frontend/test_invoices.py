"""Invoices in a browser: found, read, opened as a PDF, printed; billing details filled in. No fault in either theme."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.frontend.conftest import Watch
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Newcomer, Site

MAKE = """
from accounts.models import User
from billing import details, invoices
from billing.models import Seller
from tests.billing import paid
Seller.objects.exists() or paid.seller()
user = User.objects.get(email={email!r})
paper = invoices.issue_for(paid.subscribed(user))
invoices.credit_note_for(paid.refund(paper.payment, 10_000))
print(paper.pk)
"""


@pytest.fixture(scope="module")
def invoice(live_site: Site, member: Newcomer) -> str:
    """The id of an invoice of the member, of which a part went back."""
    return live_site.command("shell", "-c", MAKE.format(email=member.email)).strip().splitlines()[-1]


@pytest.mark.parametrize("look", LOOKS)
def test_invoices_and_billing_details_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, invoice: str, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    found = {}
    for path in ("/billing/invoices", f"/billing/invoices/{invoice}", "/settings/billing"):
        page.goto(live_site.url + path)
        found[path] = faults(page)
    page.get_by_label("GSTIN").fill("27AAPFU0939F1ZX")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("one of them is mistyped")).to_be_visible()
    found["refused"] = faults(page)
    assert {path: trouble for path, trouble in found.items() if trouble} == {}


def test_an_invoice_is_found_read_and_opened_as_a_pdf(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, invoice: str
) -> None:
    page, _ = open_page(storage_state=member_state)
    page.goto(f"{live_site.url}/settings/billing")
    page.get_by_role("link", name="All invoices").click()
    page.locator(f'a[href="/billing/invoices/{invoice}"]').click()
    expect(page.get_by_role("heading", name="Tax invoice")).to_be_visible()
    expect(page.get_by_text("Rupees Four Hundred Ninety-Nine Only")).to_be_visible()
    address = page.get_by_role("link", name="Open as PDF").get_attribute("href")
    answer = page.request.get(f"{live_site.url}{address}")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")
    page.get_by_role("link", name=re.compile("^CN")).click()
    expect(page.get_by_role("heading", name="Credit note")).to_be_visible()
    # On paper there is the paper alone, dark on light whatever the theme.
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("link", name="Open as PDF")).to_be_hidden()
    expect(page.locator(".site-header")).to_be_hidden()
    assert page.locator(".paper").evaluate("node => getComputedStyle(node).color") == "rgb(0, 0, 0)"


def test_billing_details_are_saved_and_the_gstin_sets_the_state(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any
) -> None:
    page, _ = open_page(storage_state=member_state)
    page.goto(f"{live_site.url}/settings/billing")
    page.get_by_label("Name or company").fill("Bhat and Sons")
    page.get_by_label("Address", exact=True).fill("7 Brigade Road")
    page.get_by_label("GSTIN").fill("29aagcb7383j1z4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your billing details are saved")).to_be_visible()
    expect(page.get_by_label("State")).to_have_value("29")
    expect(page.get_by_label("GSTIN")).to_have_value("29AAGCB7383J1Z4")
