"""A webhook of Razorpay: its envelope, and the ids of the objects it is about.

What an event says of these objects is how they were when it was made; events come late, twice and in
any order. So only their ids are read here, and what is true is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.razorpay.reading import is_id
from oneai.kit.errors import Refusal
from oneai.kit.jsonbody import read_json

LONGEST_NAME = 80
LONGEST_ACCOUNT = 40


@dataclass(frozen=True, slots=True)
class Event:
    """``entities`` maps a kind of object (``subscription``, ``payment``, …) to its id."""

    type: str
    account_id: str
    entities: Mapping[str, str]


class NoEvent(ValueError):
    """A body that was signed and yet is no event."""


def _short(value: Any, longest: int) -> str:
    return value[:longest].replace("\x00", "") if isinstance(value, str) else ""


def read_event(body: bytes | str) -> Event:
    """The event in a body; fields that nobody knows are left alone. NoEvent when it is not one."""
    try:
        value = read_json(body.encode() if isinstance(body, str) else body)
    except Refusal as refusal:
        raise NoEvent("not JSON that can be read") from refusal
    if not isinstance(value, Mapping) or not isinstance(value.get("event"), str):
        raise NoEvent("no object that names an event")
    entities: dict[str, str] = {}
    payload = value.get("payload")
    for kind, wrapped in payload.items() if isinstance(payload, Mapping) else ():
        entity = wrapped.get("entity") if isinstance(wrapped, Mapping) else None
        if isinstance(entity, Mapping):
            entities |= _ids(str(kind), entity)
    return Event(_short(value["event"], LONGEST_NAME), _short(value.get("account_id"), LONGEST_ACCOUNT), entities)


def _ids(kind: str, entity: Mapping[str, Any]) -> dict[str, str]:
    """Its own id, and that of the subscription that an invoice belongs to."""
    found = {kind: entity["id"]} if is_id(entity.get("id")) else {}
    if kind == "invoice" and is_id(entity.get("subscription_id")):
        found["subscription"] = entity["subscription_id"]
    return found
