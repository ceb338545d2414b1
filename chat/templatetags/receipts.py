"""Filters that say the figures of a receipt in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import template

from quotas.policy import PLAN_WIDE, TOKENS
from quotas.wording import amount_text, scope_text

register = template.Library()

_SOURCES: Final = {
    "upstream_final": "the provider’s, at the end of the answer",
    "generation_api": "the provider’s, asked for afterwards",
    "local_estimate": "an estimate of what was delivered: the provider has no record",
    "hold_amount": "all that was set aside: it is not known whether the call was made",
}


@register.filter
def figure_source(charge: Mapping[str, Any]) -> str:
    """Who said what the call cost."""
    said = _SOURCES[charge["source"]]
    return f"{said}, at our price" if charge["basis"] == "priced" else said


@register.filter
def unit_name(unit: str) -> str:
    """What a limit counts."""
    return "tokens" if unit == TOKENS else "budget"


@register.filter
def limit_owner(limit: Mapping[str, Any]) -> str:
    """Whose limit it is."""
    shared = limit.get("shared")
    whole = shared and limit["scope"].startswith("team:")
    return scope_text(PLAN_WIDE if whole else limit["scope"], team=shared is not None)


@register.filter
def amount(value: int | None, unit: str) -> str:
    """An amount of a limit's unit."""
    return amount_text(unit, value)
