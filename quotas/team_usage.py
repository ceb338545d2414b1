"""What a team's members used of its quota: added up from the records of its calls.

The sums by day of each member are the member's, over all that they asked, whoever paid; a team's are read from the
records themselves, by an index of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from quotas import payers
from quotas.days import begin_of
from quotas.models import UsageRecord
from quotas.rollup import COUNTED, ESTIMATES
from quotas.usage import NAMES, Span, Sums

GROUPS: Final[Mapping[str, Any]] = {
    "member": F("user_id"),
    "model": F("model_id"),
    "day": TruncDate("asked_at", tzinfo=UTC),
}
"""What a team's usage is shown by; its days are UTC's."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one member, model or day used."""

    value: Any
    sums: Sums


def period(team_id: UUID, at: datetime) -> Span:
    """The days of the team's running period."""
    start, end = payers.period_of(team_id, at, at)
    return Span(start.astimezone(UTC).date(), end.astimezone(UTC).date(), start)


def _records(team_id: UUID, span: Span) -> QuerySet[UsageRecord]:
    first, after = begin_of(span.first, "UTC"), begin_of(span.last + timedelta(days=1), "UTC")
    found = UsageRecord.objects.filter(team_id=team_id, asked_at__gte=first, asked_at__lt=after)
    return found if span.period_start is None else found.filter(period_start=span.period_start)


def _sums(row: Mapping[str, Any]) -> Sums:
    return Sums(**{name: int(row[f"sum_{name}"] or 0) for name in NAMES})


_GUESSED: Final = Q(source__in=ESTIMATES) & (Q(tokens__gt=0) | Q(nano_usd__gt=0))
_ALL: Final[dict[str, Any]] = {
    "sum_calls": Count("id"),
    "sum_estimated_calls": Count("id", filter=_GUESSED),
    "sum_estimated_nano_usd": Sum("nano_usd", filter=_GUESSED),
    **{f"sum_{name}": Sum(name) for name in COUNTED},
}


def parts(team_id: UUID, span: Span, group: str) -> list[Part]:
    """Each member, model or day that used something: days in their order, all else with the costliest first."""
    rows = _records(team_id, span).annotate(part=GROUPS[group]).values("part").annotate(**_ALL)
    order = ("part",) if group == "day" else ("-sum_nano_usd", "-sum_tokens", "part")
    return [Part(row["part"], _sums(row)) for row in rows.order_by(*order)]


def total(team_id: UUID, span: Span) -> Sums:
    """All that the team used."""
    return _sums(_records(team_id, span).aggregate(**_ALL))


def by_member(team_id: UUID, at: datetime) -> dict[UUID, Sums]:
    """What each member used in the running period."""
    return {part.value: part.sums for part in parts(team_id, period(team_id, at), "member")}
