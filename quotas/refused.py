"""What calls were refused lately, with the figures of that moment: a few for each account, in one row of its own.

Noted in the transaction that refused, under the account's lock. Nothing is read or written for a call that is
admitted. Whoever is refused again and again writes little: the same refusal within a minute is one entry that
counts, and a process writes for one account only so often; between, it counts in memory alone.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from oneai.kit import rows
from oneai.kit.clock import utc_text
from oneai.kit.errors import Refusal
from quotas.models import RefusedCalls
from quotas.platform_rates import SCOPE as PLATFORM
from quotas.policy import NANO_USD, PLAN_WIDE

MOST: Final = 20
"""Entries that are kept of an account; the oldest goes for a new one."""
ONE_SECONDS: Final = 60
BURST: Final = 10
"""Writes for one account and process in a row; then one every PAUSE_SECONDS."""
PAUSE_SECONDS: Final = 6.0
_MOST_ACCOUNTS: Final = 10_000
_MOST_REQUEST_ID: Final = 200
_CODES: Final = frozenset(
    {"quota_exceeded", "rate_limited", "too_many_generations", "model_not_allowed", "platform_limit_reached"}
)

Entry = dict[str, Any]
Kind = tuple[str, str, str | None, str | None]


def entry_of(
    refusal: Refusal, at: datetime, models: Sequence[str], key_id: UUID | None, request_id: str
) -> Entry | None:
    """The refusal as it is kept and shown; None for one that no limit, rate or list of models has caused."""
    if refusal.code not in _CODES:
        return None
    details = refusal.details or {}
    key = None if key_id is None else str(key_id)
    entry: Entry = {
        "code": refusal.code,
        "message": refusal.text,
        "scope": PLAN_WIDE,
        "unit": None,
        "limit": None,
        "used": None,
        "held": None,
        "remaining": None,
        "asked": details.get("asked"),
        "shared": None,
        "models": list(models),
        "key_id": key,
        "request_id": request_id[:_MOST_REQUEST_ID],
        "at": utc_text(at),
        "first_at": utc_text(at),
        "frees_at": None,
        "times": 1,
    }
    if limit := details.get("limit"):
        entry |= {name: limit[name] for name in ("scope", "unit", "limit", "used", "held", "remaining")}
        entry["frees_at"] = limit["reset_at"]
        entry["shared"] = limit.get("shared")
    elif rate := details.get("rate"):
        entry |= {"scope": rate["scope"], "unit": rate["name"], "limit": rate["limit"]}
        if "running" in rate:
            entry |= {"used": rate["running"], "remaining": max(0, rate["limit"] - rate["running"])}
        else:
            entry |= {"used": rate["limit"] - rate["remaining"], "remaining": rate["remaining"]}
            entry["frees_at"] = utc_text(at + timedelta(seconds=rate["reset_seconds"]))
    elif refusal.code == "platform_limit_reached":
        entry |= {"scope": PLATFORM, "unit": NANO_USD, "frees_at": details.get("reset_at")}
    elif "plan" not in details and key is not None:
        entry["scope"] = f"key:{key}"  # the key's own list of models
    return entry


def _kind(entry: Mapping[str, Any]) -> Kind:
    return entry["code"], entry["scope"], entry["unit"], entry["key_id"]


def merged(kept: Sequence[Entry], new: Sequence[Entry]) -> list[Entry]:
    """``new``, oldest first, put before ``kept``, newest first: within a minute the same is one."""
    found = list(kept)
    for entry in new:
        same = next((one for one in found if _kind(one) == _kind(entry)), None)
        if same is not None and _seconds(same["at"], entry["at"]) < ONE_SECONDS:
            found.remove(same)
            entry = entry | {"first_at": same["first_at"], "times": same["times"] + entry["times"]}
        found.insert(0, entry)
    return found[:MOST]


def _seconds(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()


@dataclass(slots=True)
class _Share:
    """How many writes an account has left in this process, and what was counted since the last."""

    left: float
    since: float
    counted: dict[Kind, int] = field(default_factory=dict)


class _Shares:
    """The shares of the accounts that were refused last; those of all others are whole."""

    def __init__(self) -> None:
        self._shares: OrderedDict[UUID, _Share] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, user_id: UUID, entries: Sequence[Entry]) -> list[Entry]:
        """What is to be written of ``entries``, with what was only counted before; nothing when it is too often."""
        at = time.monotonic()
        with self._lock:
            share = self._shares.setdefault(user_id, _Share(BURST, at))
            self._shares.move_to_end(user_id)
            if len(self._shares) > _MOST_ACCOUNTS:
                self._shares.popitem(last=False)
            share.left = min(BURST, share.left + (at - share.since) / PAUSE_SECONDS)
            share.since = at
            if share.left < 1:
                for entry in entries:
                    share.counted[_kind(entry)] = share.counted.get(_kind(entry), 0) + entry["times"]
                return []
            share.left -= 1
            return [entry | {"times": entry["times"] + share.counted.pop(_kind(entry), 0)} for entry in entries]


_shares = _Shares()


class Notes:
    """The refusals of one batch; ``write`` belongs to the transaction that holds the accounts' locks."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._noted: dict[UUID, list[Entry]] = {}

    def add(self, user_id: UUID, refusal: Refusal, models: Sequence[str], key_id: UUID | None, request_id: str) -> None:
        """Note that a call of the account was refused, if it is a limit, a rate or a list of models that did."""
        entry = entry_of(refusal, self._at, models, key_id, request_id)
        if entry is not None:
            self._noted[user_id] = merged(self._noted.get(user_id, ()), [entry])

    def write(self) -> None:
        """Write what was noted: two or three statements whoever was refused, none when nobody was."""
        taken = {user_id: _shares.take(user_id, noted) for user_id, noted in self._noted.items()}
        taken = {user_id: entries for user_id, entries in taken.items() if entries}
        self._noted.clear()
        if not taken:
            return
        found = rows.select(RefusedCalls, ("user_id", "latest"), by="user_id", values=taken)
        kept = {row["user_id"]: row["latest"] for row in found}
        made = [
            {"user_id": user_id, "latest": merged(kept.get(user_id, ()), entries[::-1]), "updated_at": self._at}
            for user_id, entries in taken.items()
        ]
        rows.insert(RefusedCalls, [row for row in made if row["user_id"] not in kept])
        rows.update(RefusedCalls, [row for row in made if row["user_id"] in kept])


def latest(user_id: UUID) -> list[Entry]:
    """What calls of the account were refused lately, the newest first; at most MOST."""
    row = RefusedCalls.objects.filter(pk=user_id).values_list("latest", flat=True).first()
    return list(row or ())
