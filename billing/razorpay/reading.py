"""Reading an object of Razorpay: forgiving where its answers are known to be odd, strict about ids and money.

Unknown fields are left alone and unknown states are kept as they are. What is missing is None or
empty. An amount that is no whole number of paise is refused: nothing good can be made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Final, Self, cast

from billing.razorpay.errors import Unreadable

MOST_PAISE: Final = 10**15  # ten lakh crore rupees: more is a slip, not a price
LAST_SECOND: Final = 32_503_680_000  # the year 3000
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_id(value: object) -> bool:
    """Whether ``value`` may be an id, and may therefore stand in an address."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class Fields:
    """The fields of one object. Every reader raises Unreadable, naming the field, for what makes no sense."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, Mapping):
            raise Unreadable(f"{what} is not an object", field=what)
        self._values: Mapping[str, Any] = value
        self._what = what

    def _wrong(self, name: str, why: str) -> Unreadable:
        return Unreadable(f"{self._what}.{name} {why}", field=name)

    def id(self, name: str = "id") -> str:
        """An id that must be there."""
        value = self._values.get(name)
        if not is_id(value):
            raise self._wrong(name, "is missing" if value in (None, "") else "is not an id")
        return str(value)

    def reference(self, name: str) -> str:
        """The id of another object; empty when there is none."""
        return self.id(name) if self._values.get(name) not in (None, "") else ""

    def text(self, name: str) -> str:
        """A text; empty when there is none."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "is not a text")
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """A count, from 0."""
        value = self._values.get(name)
        if value is None:
            return default
        return self._counted(name, value)

    def _counted(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "is not a whole number")
        if not 0 <= value <= MOST_PAISE:
            raise self._wrong(name, "is negative" if value < 0 else "is too large")
        return value

    def money(self, name: str) -> int:
        """An amount in the smallest unit that must be there."""
        if self._values.get(name) is None:
            raise self._wrong(name, "is missing")
        return self._counted(name, self._values[name])

    def money_if_any(self, name: str) -> int | None:
        """An amount in the smallest unit; None when it is not known yet."""
        return None if self._values.get(name) is None else self.money(name)

    def currency(self, name: str = "currency") -> str:
        """A currency's three letters, in capitals."""
        value = self.text(name).upper()
        if len(value) != 3 or not (value.isascii() and value.isalpha()):
            raise self._wrong(name, "is not a currency")
        return value

    def moment(self, name: str) -> datetime | None:
        """A time given in seconds; None for one that is not set (null, or 0 as payment links say it)."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LAST_SECOND:
            raise self._wrong(name, "is not a time in seconds")
        return datetime.fromtimestamp(value, UTC) if value else None

    def truth(self, name: str) -> bool:
        """Yes or no, also as 1, "1" and "true" as subscription events have it; no when it is missing."""
        value = self._values.get(name)
        if value is None:
            return False
        said = str(value).lower()
        if said in {"true", "1"}:
            return True
        if said in {"false", "0", ""}:
            return False
        raise self._wrong(name, "is neither yes nor no")

    def notes(self) -> dict[str, str]:
        """Our own pairs; what is empty comes as a list, not as an object."""
        value = self._values.get("notes")
        if not isinstance(value, Mapping):
            return {}
        return {str(name): item if isinstance(item, str) else str(item) for name, item in value.items()}

    def inner(self, name: str) -> Fields:
        """An object inside this one; without a field when it is missing, null or an empty list."""
        value = self._values.get(name)
        return Fields(value if value not in (None, []) else {}, f"{self._what}.{name}")

    def list(self, name: str) -> list[Any]:
        """A list; empty when it is missing."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "is not a list")
        return value


class Read:
    """An object of Razorpay: a dataclass whose fields are read by their names and kinds, or as ``by`` says."""

    __slots__ = ()
    WHAT: ClassVar[str]

    @classmethod
    def read(cls, value: Any) -> Self:
        """The object; Unreadable, naming the field, when it makes no sense."""
        one, kind = Fields(value, cls.WHAT), cast(type, cls)
        made: Self = kind(**{name: reader(one) for name, reader in _readers(kind).items()})
        return made


Reader = Callable[[Fields], Any]
_BY_NAME: Final[Mapping[str, Callable[[Fields, str], Any]]] = {
    "id": Fields.id,
    "amount": Fields.money,
    "currency": Fields.currency,
    "notes": lambda one, _: one.notes(),
}
_BY_KIND: Final[Mapping[str, Callable[[Fields, str], Any]]] = {
    "str": Fields.text,
    "int": Fields.whole,
    "int | None": Fields.money_if_any,
    "bool": Fields.truth,
    "datetime | None": Fields.moment,
}


def by(reader: Reader) -> dict[str, Reader]:
    """The metadata of a field that is read in a way of its own."""
    return {"reader": reader}


@cache
def _readers(kind: type) -> dict[str, Reader]:
    found = {}
    for each in fields(kind):
        name = each.name
        how = _BY_NAME.get(name) or (Fields.reference if name.endswith("_id") else _BY_KIND.get(str(each.type)))
        reader: Reader | None = each.metadata.get("reader")
        if reader is None:
            assert how is not None, f"{kind.__name__}.{name} has no way to be read"
            reader = _named(how, name)
        found[name] = reader
    return found


def _named(how: Callable[[Fields, str], Any], name: str) -> Reader:
    return lambda one: how(one, name)
