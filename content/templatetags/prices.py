"""Filters that say numbers as people read them."""

from __future__ import annotations

from typing import Any

from django import template

from oneai.kit import money

register = template.Library()


@register.filter
def rupees_exact(paise: int) -> str:
    """₹1,23,456.00: as papers write it, always with the paise."""
    return money.rupees(int(paise), exact=True)


@register.filter
def thousands(number: int) -> str:
    """1,234,567."""
    return f"{int(number):,}"


@register.filter
def short_count(number: int | None) -> str:
    """128k, 1M: sizes of contexts, where the exact figure says nothing."""
    if not number:
        return ""
    if number >= 1_000_000:
        return f"{number / 1_000_000:.1f}".removesuffix(".0") + "M"
    return f"{number // 1000}k" if number >= 1000 else str(number)


@register.filter
def token_limit(plan: Any) -> int | None:
    """The plan-wide number of tokens a period; None when unlimited or not said."""
    for limit in plan.limits or ():
        if limit.get("scope") == "*" and limit.get("unit") == "tokens":
            value = limit.get("limit")
            return None if value is None else int(value)
    return None
