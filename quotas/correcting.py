"""What a correction reads: the record of a settled call, and what the call has used of top-ups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from oneai.kit import rows
from quotas import rollup
from quotas.ceiling import Key
from quotas.figures import Charge
from quotas.holding import HoldState
from quotas.models import Hold, LedgerEntry, UsageRecord

CORRECTION: Final = "correction:"
"""Begins the source key of the entries; the hold and the number of the correction follow."""

_FIGURES: Final = ("prompt_tokens", "completion_tokens", "tokens", "nano_usd")
_RECORD: Final = (
    "id", "user_id", "asked_at", "at", "period_start", "model_id", "api_key_id", "conversation_id", "source",
    "billed_usd", "corrections", *rollup.COUNTED,
)  # fmt: skip


def record_of(hold: HoldState) -> rows.Row | None:
    """The usage record of a settled hold; its account must be locked."""
    if hold.state != Hold.State.SETTLED:
        return None
    found = rows.select(UsageRecord, _RECORD, by="hold_id", values=[hold.id])
    return found[0] if found else None


def differs(record: Mapping[str, Any], charge: Charge) -> bool:
    """Whether ``charge`` says anything new: another figure, or that an estimate was right."""
    return record["source"] in rollup.ESTIMATES or any(record[name] != getattr(charge, name) for name in _FIGURES)


def burned_by(hold: HoldState) -> dict[UUID, int]:
    """What the hold's end, and its corrections since, have used of each top-up."""
    rows.flush()
    entries = LedgerEntry.objects.filter(hold_id=hold.id, counter_id__in=[UUID(line) for line in hold.grant_lines])
    sums = entries.values("counter_id").annotate(used=Sum("used_delta"))
    return {row["counter_id"]: int(row["used"]) for row in sums}


def shard_of(hold: HoldState, record: Mapping[str, Any]) -> Key:
    """Where the platform's day counts the call; one without a price counts where it was settled."""
    return hold.shard or (record["at"].astimezone(UTC).date(), 0)
