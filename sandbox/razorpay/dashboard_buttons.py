"""The buttons of the dashboard: what can be done to an object, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from . import changing, paying
from .account import Account
from .asked import Asked
from .money import INSTRUMENTS
from .walks import SUBSCRIPTION_WALKS

# label -> walk and its fields
SUBSCRIPTION_BUTTONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Authenticate by international card": ("authenticate", {"method": "card_international"}),
    "Authenticate by domestic card": ("authenticate", {"method": "card_domestic"}),
    "Authenticate by UPI": ("authenticate", {"method": "upi"}),
    "Authenticate by eMandate": ("authenticate", {"method": "emandate"}),
    "First payment fails": ("authenticate", {"ok": False}),
    "Charge now": ("charge", {"ok": True}),
    "Charge now, and fail": ("charge", {"ok": False}),
    "Fail until halted": ("halt", {}),
    "Later charges fail": ("works", {"works": False}),
    "Later charges succeed": ("works", {"works": True}),
    "Change to an international card": ("change-method", {"method": "card_international"}),
    "Customer pauses": ("pause", {"by": "customer"}),
    "Customer resumes": ("resume", {"by": "customer"}),
    "Customer cancels": ("cancel", {"by": "customer"}),
    "Complete": ("complete", {}),
    "Expire": ("expire", {}),
}


def button(label: str, name: str, value: str) -> str:
    """A button of a form, as HTML."""
    return f"<button name='{name}' value='{escape(value)}'>{escape(label)}</button>"


def buttons_of(key: str, one: Any) -> str:
    """The buttons of one object, by the prefix of its id."""
    kind = key.partition("_")[0]
    if kind == "sub":
        found = "".join(button(label, "walk", label) for label in SUBSCRIPTION_BUTTONS)
    elif kind in ("order", "inv"):
        found = button("Pay", "pay", "ok") + button("Pay, and fail", "pay", "fail")
    elif kind == "pay":
        found = "".join(
            button(label, "payment", value)
            for label, value in (
                ("Refund what is left", "refund"),
                ("Comes through late", "late"),
                ("Customer disputes it", "dispute"),
            )
        )
    elif kind == "disp":
        found = button("Lost", "dispute", "lost") + button("Won", "dispute", "won")
    elif kind == "rfnd" and one.status == "pending":
        found = button("Processed", "refund", "processed") + button("Failed", "refund", "failed")
    else:
        return ""
    return f"<form method='post' class='buttons'>{found}</form>"


def press(account: Account, key: str, one: Any, form: Mapping[str, str]) -> None:
    """Does what a button says. Raises Refused, or LookupError for a button that there is not."""
    if "walk" in form:
        walk, fields = SUBSCRIPTION_BUTTONS[form["walk"]]
        SUBSCRIPTION_WALKS[walk](account, one, Asked(fields))
    elif "pay" in form and key.startswith("inv_"):
        changing.pay_invoice(account, one, INSTRUMENTS["card_international"], form["pay"] == "ok")
    elif "pay" in form:
        paying.attempt(account, one, INSTRUMENTS["card_international"], form["pay"] == "ok")
    elif form.get("payment") == "refund":
        paying.refund(account, one, None)
    elif form.get("payment") == "late":
        changing.authorised_late(account, one)
    elif form.get("payment") == "dispute":
        paying.dispute(account, one, None, "chargeback", "goods_or_services_not_received_or_partially_received")
    elif "dispute" in form:
        paying.move_dispute(account, one, form["dispute"])
    elif "refund" in form:
        paying.finish_refund(account, one, form["refund"])
