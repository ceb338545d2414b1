"""From a payment to the mail with its invoice, by the worker of a running site; nobody asked it to."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from tests.servers.site import Site

PAY = """
from accounts.models import User
from billing.models import Seller
from tests.billing import paid
Seller.objects.exists() or paid.seller()
paid.topped_up(User.objects.get(email={email!r}))
"""


def arrived(site: Site, address: str, count: int) -> list[dict[str, Any]]:
    """What came to the address, the newest first, once it is ``count`` mails."""
    end = time.monotonic() + 60
    while True:
        found: list[dict[str, Any]] = httpx.get(f"{site.sandbox_url}/_control/mail", params={"to": address}).json()[
            "messages"
        ]
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.2)


def test_a_payment_leads_to_one_mail_with_its_invoice(live_site: Site) -> None:
    who = live_site.new_user()
    live_site.command("shell", "-c", PAY.format(email=who.email))
    (mail,) = arrived(live_site, who.email, 1)
    number = re.search(r"[A-Z]+/\d{4}/\d{6}", mail["subject"])
    assert number and number[0] in mail["text"] and number[0] in mail["html"]
    assert "₹149.00" in mail["text"] and "Rupees One Hundred Forty-Nine Only" in mail["html"]
    (attached,) = mail["attachments"]
    assert (attached["name"], attached["type"]) == (f"{number[0].replace('/', '-')}.pdf", "application/pdf")
    assert httpx.get(f"{live_site.sandbox_url}{attached['url']}").content.startswith(b"%PDF-")
    back = (
        "from billing import invoices; from billing.models import Invoice; from tests.billing import paid; "
        f"invoices.credit_note_for(paid.refund(Invoice.objects.get(number={number[0]!r}).payment, 10_000))"
    )
    live_site.command("shell", "-c", back)
    note, first = arrived(live_site, who.email, 2)
    assert first["subject"] == mail["subject"]
    assert note["subject"].startswith("Credit note CN/") and number[0] in note["text"]
    assert note["attachments"][0]["name"].startswith("CN-")
