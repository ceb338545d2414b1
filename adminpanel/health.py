"""How the engine does: which models answer, which of our keys are good, and which calls lost their producer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q

from chat.models import AIModel, Generation
from oneai.kit.clock import now
from quotas.models import Hold

LATELY: Final = timedelta(hours=1)
SILENT: Final = timedelta(seconds=30)
"""Twice and more what a heartbeat may be late: the sweeper settles within that."""
MOST: Final = 50
_STATES = Generation.State


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """How a model answered lately. ``first_ms``: to the first word, on average; None without one."""

    model: str
    model_pk: UUID | None
    is_enabled: bool
    calls: int
    failed: int
    first_ms: int | None
    last_error: str

    @property
    def percent(self) -> int:
        """Of a hundred calls, how many failed."""
        return 100 * self.failed // self.calls if self.calls else 0


def models() -> list[ModelHealth]:
    """The models that were asked in the last hour, those that fail most first."""
    lately = Generation.objects.filter(created_at__gte=now() - LATELY).order_by()
    wait = ExpressionWrapper(F("first_token_at") - F("created_at"), output_field=DurationField())
    counted = lately.values("model_id").annotate(
        calls=Count("pk"),
        failed=Count("pk", filter=Q(state__in=[_STATES.FAILED, _STATES.INTERRUPTED])),
        wait=Avg(wait, filter=Q(first_token_at__isnull=False)),
    )
    known = {row.slug: row for row in AIModel.objects.only("slug", "is_enabled")}
    errors = _last_errors(lately)
    found = []
    for row in counted:
        model = known.get(row["model_id"])
        first = None if row["wait"] is None else round(row["wait"].total_seconds() * 1000)
        found.append(
            ModelHealth(
                row["model_id"], model.pk if model else None, bool(model and model.is_enabled), row["calls"],
                row["failed"], first, errors.get(row["model_id"], ""),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (-one.failed, -one.calls, one.model))[:MOST]


def _last_errors(lately: Any) -> dict[str, str]:
    """The code of each model's last failure; a provider's own words may quote what was asked."""
    failed = lately.filter(state__in=[_STATES.FAILED, _STATES.INTERRUPTED]).order_by("created_at")
    return {
        model: str(error.get("code", ""))
        for model, error in failed.values_list("model_id", "error")[:1000]
        if isinstance(error, dict)
    }


def switched_off() -> list[AIModel]:
    """The models that staff have switched off."""
    return list(AIModel.objects.filter(is_enabled=False).order_by("slug")[:MOST])


def stuck() -> list[Hold]:
    """Calls that run without a sign of life, or wait for their upstream's figure, the oldest first."""
    silent = Q(state=Hold.State.HELD, heartbeat_at__lt=now() - SILENT)
    waiting = Q(state=Hold.State.ORPHANED)
    return list(Hold.objects.filter(silent | waiting).select_related("user").order_by("created_at")[:MOST])
