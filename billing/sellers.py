"""Who sells: the one row of ``Seller``, what is wrong with it, and its copy on an invoice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from billing import gst, gstin, invoice_numbers
from billing.models import Seller
from billing.states import name_of, state_of

ROW = 1


def current() -> Seller:
    """The seller; unnamed until the owner has said who sells."""
    return Seller.objects.filter(pk=ROW).first() or Seller(pk=ROW)


def faults(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a seller of these ``values``, by the name of the field; empty when it may be saved."""
    found: dict[str, str] = {}
    if values["gstin"]:
        try:
            registered = gstin.state(gstin.read(values["gstin"]))
        except gstin.NotAGSTIN as error:
            found["gstin"] = str(error)
        else:
            if values["state_code"] not in {"", registered}:
                found["state_code"] = f"The GSTIN is registered in {name_of(registered)} ({registered})."
        for field in ("legal_name", "address"):
            if not values[field].strip():
                found[field] = "A tax invoice must say it."
    elif values["lut"]:
        found["lut"] = "Only a seller with a GSTIN has a letter of undertaking."
    if values["state_code"] and state_of(values["state_code"]) != values["state_code"]:
        found.setdefault("state_code", "This is not the code of a state, such as 27 for Maharashtra.")
    if not (
        len(values["sac"]) == 6 and values["sac"].isascii() and values["sac"].isdigit() and values["sac"][:2] == "99"
    ):
        found["sac"] = "A service accounting code has six digits and begins with 99."
    rate = values["gst_rate_basis_points"]
    if not 0 <= rate <= gst.HIGHEST_RATE or rate % 2:
        found["gst_rate_basis_points"] = f"An even number from 0 to {gst.HIGHEST_RATE}: 1800 is 18 %."
    for field in ("invoice_prefix", "credit_prefix"):
        if not invoice_numbers.is_prefix(values[field]):
            found[field] = "Up to four capitals, digits and dashes, the first no dash."
    if values["invoice_prefix"] == values["credit_prefix"]:
        found["credit_prefix"] = "Credit notes need a series of their own."
    return found


def copy_of(seller: Seller) -> dict[str, str]:
    """The seller as an invoice keeps it."""
    state = gstin.state(seller.gstin) if seller.gstin else seller.state_code
    return {
        "name": seller.legal_name or settings.SITE_NAME,
        "address": seller.address.strip(),
        "state_code": state,
        "state": name_of(state),
        "gstin": seller.gstin,
        "lut": seller.lut,
        "email": seller.email,
        "phone": seller.phone,
    }
