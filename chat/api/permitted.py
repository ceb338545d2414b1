"""Which models a person's plan and key include, and the limits that models have of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts import keyring
from accounts.models import ApiKey
from accounts.principal import Principal
from quotas import reading
from quotas.policy import TOKENS, matches


@dataclass(frozen=True, slots=True)
class Permitted:
    """What one principal may use. ``patterns`` are the plan's; ``key_models`` the key's own, none: no bound."""

    patterns: tuple[str, ...]
    key_models: tuple[str, ...]
    limits: Mapping[str, dict[str, Any]]

    def use(self, slug: str) -> bool:
        """Whether the plan and the key include the model."""
        return matches(self.patterns, slug) and keyring.model_allowed(self.key_models, slug)

    def limit_of(self, slug: str) -> dict[str, Any] | None:
        """The model's own limit in the present period, in tokens where it has both; None when it has none."""
        return self.limits.get(slug)


def permitted(who: Principal) -> Permitted:
    """What ``who`` may use now; a few queries, however many models there are."""
    standing = reading.standing(who.user_id)
    limits: dict[str, dict[str, Any]] = {}
    for state in standing.limits:
        if state.scope not in limits or state.unit == TOKENS:
            limits[state.scope] = state.as_json()
    key_models: list[str] = []
    if who.api_key_id is not None:
        key_models = ApiKey.objects.values_list("allowed_models", flat=True).get(pk=who.api_key_id) or []
    return Permitted(standing.terms.patterns, tuple(key_models), limits)
