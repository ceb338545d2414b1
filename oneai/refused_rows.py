"""The calls that were refused lately, in words, for the page of usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from quotas import refused
from quotas.platform_rates import SCOPE as PLATFORM
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from quotas.wording import amount_text, scope_text

_LIMITS: Final = {
    TOKENS: "The tokens of {}",
    NANO_USD: "The budget of {}",
    "requests_per_minute": "Requests a minute of {}",
    "tokens_per_minute": "Tokens a minute of {}",
    "concurrent_generations": "Answers at once of {}",
}


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Calls that were refused for one reason, in words. Amounts are empty where there is none."""

    at: datetime
    reason: str
    models: str
    limit: str
    used: str
    held: str
    asked: str
    frees_at: datetime | None
    request_id: str
    times: int


def rows_of(user_id: UUID) -> list[RefusedRow]:
    """What calls of the person were refused lately, the newest first."""
    names: dict[tuple[str, bool | None], str] = {}
    found = []
    for entry in refused.latest(user_id):
        key = entry["scope"], entry["shared"]
        if key not in names:
            names[key] = _whose(*key)
        found.append(_row(entry, names[key]))
    return found


def _whose(scope: str, shared: bool | None) -> str:
    if scope == PLATFORM:
        return "all accounts together"
    if shared and scope.startswith("team:"):
        scope = PLAN_WIDE
    return scope_text(scope, team=bool(shared))


def _row(entry: Mapping[str, Any], whose: str) -> RefusedRow:
    unit = entry["unit"]

    def amount(name: str) -> str:
        return "" if entry[name] is None else amount_text(NANO_USD if unit == NANO_USD else TOKENS, entry[name])

    return RefusedRow(
        at=datetime.fromisoformat(entry["at"]),
        reason=_LIMITS[unit].format(whose) if unit else _not_allowed(entry["scope"], whose),
        models=", ".join(entry["models"]),
        limit=amount("limit"),
        used=amount("used"),
        held=amount("held"),
        asked=amount("asked"),
        frees_at=datetime.fromisoformat(entry["frees_at"]) if entry["frees_at"] else None,
        request_id=entry["request_id"],
        times=entry["times"],
    )


def _not_allowed(scope: str, whose: str) -> str:
    return "The models of your plan" if scope == PLAN_WIDE else f"The models of {whose}"
