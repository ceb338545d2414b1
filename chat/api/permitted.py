"""Which models a person's plan and key include, and the limits that models have of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from accounts.models import ApiKey, User
from accounts.principal import Principal
from oneai.kit import clock
from quotas.admission import limit_json
from quotas.holding import default_allowance
from quotas.models import QuotaCounter
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS, matches, terms_at


@dataclass(frozen=True, slots=True)
class Permitted:
    """What one principal may use. ``patterns`` are the plan's; ``key_models`` the key's own, none: no bound."""

    patterns: tuple[str, ...]
    key_models: tuple[str, ...]
    limits: Mapping[str, dict[str, Any]]

    def use(self, slug: str) -> bool:
        """Whether the plan and the key include the model."""
        return matches(self.patterns, slug) and (
            not self.key_models or any(fnmatchcase(slug, pattern) for pattern in self.key_models)
        )

    def limit_of(self, slug: str) -> dict[str, Any] | None:
        """The model's own limit in the present period, in tokens rather than dollars; None when it has none."""
        return self.limits.get(slug)


def permitted(who: Principal) -> Permitted:
    """What ``who`` may use now; two to four queries, however many models there are."""
    at = clock.now()
    person = User.objects.values("created_at", "quota_account__anchor", "quota_account__policy").get(pk=who.user_id)
    terms = terms_at(person["quota_account__policy"], default_allowance(at), at)
    own = {key: limit for key, limit in terms.limits.items() if key[0] != PLAN_WIDE and ":" not in key[0][:6]}
    limits: dict[str, dict[str, Any]] = {}
    if own:
        start, end = clock.period_edges(person["quota_account__anchor"] or person["created_at"], at)
        counters = {
            (row["model_id"], row["unit"]): row
            for row in QuotaCounter.objects.filter(
                user_id=who.user_id, period_start=start, model_id__in={scope for scope, _ in own}
            ).values("model_id", "unit", "tokens_used", "held")
        }
        for unit in (NANO_USD, TOKENS):  # the later one, tokens, is the one that stays
            for (scope, measured), limit in own.items():
                if measured == unit:
                    row = counters.get((scope, unit), {"tokens_used": 0, "held": 0})
                    limits[scope] = limit_json(scope, unit, limit, row["tokens_used"], row["held"], end)
    key_models: list[str] = []
    if who.api_key_id is not None:
        key_models = ApiKey.objects.values_list("allowed_models", flat=True).get(pk=who.api_key_id) or []
    return Permitted(terms.patterns, tuple(key_models), limits)
