"""Limits and amounts in words, for mails, pages and the staff desk."""

from __future__ import annotations

from uuid import UUID

from accounts.models import ApiKey
from oneai.kit.money import usd_string
from quotas.policy import PLAN_WIDE, TOKENS


def amount_text(unit: str, amount: int | None) -> str:
    """An amount for people: tokens with separators, nano-USD as dollars; None is unlimited."""
    if amount is None:
        return "unlimited"
    return f"{amount:,}" if unit == TOKENS else f"${usd_string(amount)}"


def key_name(key_id: UUID) -> str:
    """What the person calls the key; its beginning when it has no name of its own."""
    key = ApiKey.objects.filter(pk=key_id).only("name", "prefix").first()
    return (key.name or f"{key.prefix}…") if key else "a deleted key"


def scope_text(scope: str, *, team: bool) -> str:
    """Whose limit it is: "your plan", "your plan for maker/model", "your key laptop", "your share of your team".

    ``team``: the plan is a team's.
    """
    kind, _, name = scope.partition(":")
    if scope == PLAN_WIDE:
        return "your team" if team else "your plan"
    if kind == "key":
        return f"your key {key_name(UUID(name))}"
    if kind == "team":
        return "your share of your team"
    return f"your {'team' if team else 'plan'} for {name if kind == 'class' else scope}"
