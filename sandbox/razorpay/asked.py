"""Reading a request: which fields it may have, and of what kind. Everything else is refused as the service does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .refusals import Refused, required, wrong

MAX_NOTES = 15
MAX_NOTE = 256
PAGE = 10
MAX_PAGE = 100


class Asked:
    """The fields of one request, from JSON, a form or the query."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def only(self, *names: str) -> Asked:
        """Refuses any other field."""
        more = [name for name in self._fields if name not in names]
        if more:
            raise Refused(f"{', '.join(more)} is/are not required and should not be sent")
        return self

    def raw(self, name: str) -> Any:
        """The value as it came, None when absent."""
        return self._fields.get(name)

    def text(self, name: str, *, least: int = 0, most: int = 2048, needed: bool = False) -> str | None:
        """A string."""
        value = self._fields.get(name)
        if value is None or value == "":
            if needed:
                raise required(name)
            return None
        if not isinstance(value, str):
            raise wrong(name, f"The {name} must be a string.")
        if not least <= len(value) <= most:
            raise wrong(name, f"The {name} must be between {least} and {most} characters.")
        return value

    def needed(self, name: str, **limits: int) -> str:
        """A string that must be there."""
        return self.text(name, needed=True, **limits) or ""

    def integer(self, name: str, *, least: int, most: int = 10**15, needed: bool = False) -> int | None:
        """A whole number; one written as a string is taken too."""
        value = self._fields.get(name)
        if value is None:
            if needed:
                raise required(name)
            return None
        if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(name, f"The {name} must be an integer.")
        if not least <= value <= most:
            raise wrong(name, f"The {name} must be between {least} and {most}.")
        return value

    def number(self, name: str, *, least: int, most: int = 10**15) -> int:
        """A whole number that must be there."""
        return self.integer(name, least=least, most=most, needed=True) or 0

    def flag(self, name: str, default: bool) -> bool:
        """True or false, in any of the ways in which clients write it."""
        value = self._fields.get(name)
        if value is None:
            return default
        if value in (True, 1, "1", "true"):
            return True
        if value in (False, 0, "0", "false"):
            return False
        raise wrong(name, f"The {name} field must be true or false.")

    def notes(self) -> dict[str, str]:
        """The notes: 15 pairs of 256 characters at the most."""
        value = self._fields.get("notes")
        if value is None or value == []:
            return {}
        if not isinstance(value, dict):
            raise wrong("notes", "notes must be an associative array")
        if len(value) > MAX_NOTES:
            raise wrong("notes", f"Number of fields in notes should be less than or equal to {MAX_NOTES}")
        found = {}
        for key, note in value.items():
            if isinstance(note, dict | list) or len(str(note)) > MAX_NOTE:
                raise wrong("notes", f"The value of {key} in notes must be a text of {MAX_NOTE} characters at most")
            found[str(key)] = note if isinstance(note, str) else ("" if note is None else str(note))
        return found

    def amount(self, name: str = "amount", currency: str = "INR", *, of: Mapping[str, Any] | None = None) -> int:
        """Money in the smallest unit, which has a least amount."""
        asked = self if of is None else Asked(of)
        value = asked.raw(name)
        if value is None:
            raise required(name)
        if not isinstance(value, int) or isinstance(value, bool):
            if not (isinstance(value, str) and value.isascii() and value.isdigit()):
                raise wrong(name, "The amount must be an integer.")
            value = int(value)
        if value < 100:
            raise wrong(name, f"The amount must be at least {currency} 1.00.")
        return int(value)

    def page(self) -> tuple[int, int, int | None, int | None]:
        """`count`, `skip`, `from`, `to` of a list."""
        count = self.integer("count", least=1, most=MAX_PAGE)
        skip = self.integer("skip", least=0)
        return count or PAGE, skip or 0, self.integer("from", least=0), self.integer("to", least=0)


def collection(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A list as the service writes it."""
    items = list(rows)
    return {"entity": "collection", "count": len(items), "items": items}
