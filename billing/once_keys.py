"""The ``Idempotency-Key`` of an order: the same key of the same person gives the same order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db.models import Model, QuerySet

from oneai.kit.errors import Refusal

LONGEST = 200
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is known by: ``key`` as a row keeps it (None without a key), which begins with ``prefix``."""

    key: str | None = None
    prefix: str = ""

    def found(self, rows: QuerySet[Row]) -> Row | None:
        """The row of ``rows`` that an earlier request under the key made.

        Refusal ``idempotency_conflict`` when that one asked for something else.
        """
        if self.key is None:
            return None
        row: Any = rows.filter(idempotency_key__startswith=self.prefix).first()
        if row is not None and row.idempotency_key != self.key:
            raise Refusal("idempotency_conflict")
        return row  # type: ignore[no-any-return]


NOTHING = Asked()


def asked(user_id: UUID, key: str | None, what: str, body: Any) -> Asked:
    """What a person's request of this ``body`` under ``key`` is known by. Refusal ``invalid_value`` for a bad key."""
    if key is None:
        return NOTHING
    if not 1 <= len(key) <= LONGEST or not key.isprintable():
        raise Refusal("invalid_value", f"Idempotency-Key must have 1 to {LONGEST} printable characters.")
    prefix = hashlib.sha256(f"{user_id}\n{what}\n{key}".encode()).hexdigest()[:40] + ":"
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Asked(prefix + digest[:39], prefix)
