"""To whom a person's invoices are written: the only writer of ``BillingDetails``.

What is changed here is on invoices from now on; those that are written keep what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from accounts import audit
from accounts.models import User
from billing import gstin as numbers
from billing.countries import COUNTRIES
from billing.models import BillingDetails
from billing.states import STATES, name_of
from oneai.kit.errors import Refusal

HOME: Final = "IN"
LENGTHS: Final = {
    "name": 200,
    "address": 500,
    "city": 100,
    "postal_code": 12,
    "state_code": 2,
    "country": 2,
    "gstin": 15,
}
MOST_LINES: Final = 6


def of(user: User) -> BillingDetails:
    """The person's billing details, empty where they never said any."""
    return BillingDetails.objects.filter(pk=user.pk).first() or BillingDetails(user=user)


def change(user: User, values: Mapping[str, str]) -> BillingDetails:
    """Change the fields in ``values``; "" empties one. Refusal ``invalid_value`` that names the field at fault.

    A GSTIN sets the state; a state that is sent with it must be its own.
    """
    with transaction.atomic():
        # The person's row is the lock: there may be no other yet.
        User.objects.select_for_update().get(pk=user.pk)
        details = of(user)
        before = {name: getattr(details, name) for name in LENGTHS}
        after = _checked(before | {name: _plain(name, value) for name, value in values.items()}, set(values))
        changed = sorted(name for name in LENGTHS if after[name] != before[name])
        if changed:
            for name in changed:
                setattr(details, name, after[name])
            details.save()
            audit.record(user.email, "billing_details.changed", user.pk, details={"fields": changed}, actor_id=user.pk)
    return details


def _plain(name: str, value: str) -> str:
    """The value without what papers have no place for: blanks around it, empty lines, control characters."""
    if name == "address":
        lines = [" ".join(line.split()) for line in value.splitlines()]
        text = "\n".join(line for line in lines if line)
        printable = text.replace("\n", "")
    else:
        text = printable = " ".join(value.split())
    if printable and not printable.isprintable():
        raise Refusal("invalid_value", "Use printable characters.", param=name)
    if name in {"state_code", "country"}:
        text = text.upper()
    if name != "gstin" and len(text) > LENGTHS[name]:
        raise Refusal("invalid_value", f"At most {LENGTHS[name]} characters.", param=name)
    if text.count("\n") >= MOST_LINES:
        raise Refusal("invalid_value", f"At most {MOST_LINES} lines.", param=name)
    return text


def _checked(values: dict[str, str], given: set[str]) -> dict[str, str]:
    country = values["country"] = values["country"] or HOME
    if country not in COUNTRIES:
        raise Refusal("invalid_value", "Must be the two letters of a country, such as IN.", param="country")
    if country != HOME and "country" in given:
        # Who moves abroad takes neither along.
        values |= {name: "" for name in ("state_code", "gstin") if name not in given}
    if values["gstin"]:
        if country != HOME:
            raise Refusal("invalid_value", "Only businesses in India have a GSTIN.", param="gstin")
        try:
            values["gstin"] = numbers.read(values["gstin"])
        except numbers.NotAGSTIN as error:
            raise Refusal("invalid_value", str(error), param="gstin") from error
        state = numbers.state(values["gstin"])
        if "state_code" in given and values["state_code"] not in {"", state}:
            text = f"The GSTIN is registered in {name_of(state)} ({state})."
            raise Refusal("invalid_value", text, param="state_code")
        values["state_code"] = state
        for name, what in (("name", "name"), ("address", "address")):
            if not values[name]:
                raise Refusal("invalid_value", f"An invoice with a GSTIN needs the {what}.", param=name)
    if values["state_code"] and country != HOME:
        raise Refusal("invalid_value", "Only places in India have the code of a state.", param="state_code")
    if values["state_code"] and values["state_code"] not in STATES:
        raise Refusal(
            "invalid_value", "Must be the GST code of a state, such as 27 for Maharashtra.", param="state_code"
        )
    return values


def copy_of(details: BillingDetails, user: User) -> dict[str, str]:
    """The customer as an invoice keeps them."""
    return {
        "name": details.name or user.name or user.email,
        "email": user.email,
        "address": details.address,
        "city": details.city,
        "postal_code": details.postal_code,
        "state_code": details.state_code,
        "state": name_of(details.state_code),
        "country": details.country,
        "country_name": COUNTRIES[details.country],
        "gstin": details.gstin,
    }
