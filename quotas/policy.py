"""Which limits and rates are in force at a moment: pure reading of an account's policy.

A policy is ``{"allowances": […], "overrides": […]}`` in order of ``starts``, times in microseconds
since 1970, and for who is in a team ``"team": {"id": …, "tokens": …, "nano_usd": …}`` with their caps.
Everything begins and ends by comparing times; there is no job that could be late.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

TOKENS: Final = "tokens"
NANO_USD: Final = "nano_usd"
UNITS: Final = (TOKENS, NANO_USD)
PLAN_WIDE: Final = "*"
OF_CALLER: Final = ("key:", "team:")
"""How the scopes begin that are counted on who asks, whoever pays: an API key's budget, a member's cap."""
RATES: Final = ("requests_per_minute", "tokens_per_minute", "concurrent_generations")

Policy = Mapping[str, Any]
LimitKey = tuple[str, str]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Microseconds since 1970: exact, and the same on both databases."""
    return (at - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account may at one moment. ``limits`` by (scope, unit); None is unlimited.

    ``team``: the limits are those of a team, named ``team:<id>``, and ``caps`` by unit are what it lets one
    member use of them. Rates are each member's.
    """

    plan: str
    limits: Mapping[LimitKey, int | None]
    patterns: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_generations: int | None
    team: str = ""
    caps: tuple[tuple[str, int | None], ...] = ()


NOTHING: Final = Terms("none", {(PLAN_WIDE, TOKENS): 0, (PLAN_WIDE, NANO_USD): 0}, (), 0, 0, 0)


def _in_force(entries: Iterable[Mapping[str, Any]], moment: int) -> list[Mapping[str, Any]]:
    return [
        entry
        for entry in entries
        if entry["starts"] <= moment and (entry.get("until") is None or moment < entry["until"])
    ]


def team_scope(team_id: UUID) -> str:
    """The scope of a team's quota, and of a member's cap on it."""
    return f"team:{team_id}"


def team_of(policy: Policy | None) -> UUID | None:
    """The team that somebody is in."""
    team = policy.get("team") if policy is not None else None
    return UUID(team["id"]) if team else None


def of_member(terms: Terms, team_id: UUID, policy: Policy | None) -> Terms:
    """A team's terms as they are for the member whose ``policy`` it is."""
    team = (policy or {}).get("team") or {}
    caps = tuple((unit, team.get(unit)) for unit in UNITS) if team.get("id") == str(team_id) else ()
    return replace(terms, team=team_scope(team_id), caps=caps)


def has_allowance(policy: Policy | None, at: datetime) -> bool:
    """Whether the account has an allowance of its own in force, so that the default is not needed."""
    return policy is not None and bool(_in_force(policy["allowances"], micros(at)))


def terms_at(policy: Policy | None, default: Mapping[str, Any] | None, at: datetime) -> Terms:
    """The terms in force at ``at``: the allowance that started last, else ``default``, under the overrides.

    Without any allowance nothing is allowed. A token override lifts the dollar ceiling of its scope
    unless a dollar override stands beside it.
    """
    moment = micros(at)
    allowances = _in_force(policy["allowances"], moment) if policy else []
    chosen = allowances[-1] if allowances else default
    overrides = _in_force(policy["overrides"], moment) if policy else []
    if chosen is None:
        return NOTHING if not overrides else _overridden(NOTHING, overrides)
    limits: dict[LimitKey, int | None] = {(PLAN_WIDE, TOKENS): None, (PLAN_WIDE, NANO_USD): None}
    for row in chosen["limits"]:
        limits[row["scope"], row["unit"]] = row["limit"]
    terms = Terms(chosen["plan"], limits, tuple(chosen["patterns"]), *(chosen[name] for name in RATES))
    return _overridden(terms, overrides) if overrides else terms


def _overridden(terms: Terms, overrides: Iterable[Mapping[str, Any]]) -> Terms:
    limits = dict(terms.limits)
    given: dict[LimitKey, int | None] = {}
    rates = {name: getattr(terms, name) for name in RATES}
    for override in overrides:
        if override["kind"] == "rates":
            rates |= override["values"]
        else:
            given[override["scope"], override["unit"]] = override["limit"]
    for scope, unit in given:
        if unit == TOKENS and (scope, NANO_USD) in limits:
            limits[scope, NANO_USD] = None
    limits |= given
    return Terms(terms.plan, limits, terms.patterns, *(rates[name] for name in RATES))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches(patterns: Iterable[str], model_id: str) -> bool:
    """Whether one of ``patterns`` covers ``model_id``; ``*`` stands for any text, everything else for itself."""
    return any(pattern == "*" or _compiled(pattern).fullmatch(model_id) is not None for pattern in patterns)
