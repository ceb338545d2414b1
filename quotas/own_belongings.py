"""What this app holds of a person: what was used. It is accounting, and stays on the row without a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.belongings import File, Holder, NotYet
from accounts.models import User
from quotas.models import Hold, Override, QuotaAlert, RefusedCalls, UsageRecord

_RECORD: Final = (
    "asked_at", "model_id", "conversation_id", "api_key_id", "team_id", "prompt_tokens", "completion_tokens",
    "reasoning_tokens", "cached_tokens", "tokens", "nano_usd", "source",
)  # fmt: skip

OPEN: Final = (Hold.State.HELD, Hold.State.ORPHANED)


def export(user: User) -> Iterator[File]:
    """Every call that was counted."""
    rows = UsageRecord.objects.filter(user=user).order_by("asked_at", "id").values(*_RECORD)
    yield "usage.json", list(rows.iterator(chunk_size=2000))


def erase(user: User) -> int:
    """Delete what is no accounting, and the words that staff wrote. NotYet while something is held."""
    if Hold.objects.filter(user=user, state__in=OPEN).exists():
        raise NotYet
    Override.objects.filter(user=user).update(reason="")
    return sum(kind.objects.filter(user=user).delete()[0] for kind in (QuotaAlert, RefusedCalls))


HOLDER: Final = Holder("quotas", export, erase)
