"""Bounds of prompts that learn: how many tokens a model's upstream counts for what could be many more.

A prompt's bound is its bytes, which no tokenizer exceeds, and that is what is held. A tighter one is learnt for
each model: the most that its upstream ever counted for a byte, and half as much again, once enough calls are
settled. It decides nothing until the owner trusts it for that model, since a prompt of other stuff may be
denser; from then on it does where the safe one would refuse a call or cut its answer short. A call that goes
over its hold is recorded as overrun by its settlement; the model then has the safe bound alone for a month,
and what was counted stays the most there was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction

from oneai.kit import rows
from oneai.kit.clock import now
from quotas.models import Hold, LearntBound, UsageRecord

log = structlog.get_logger("bounds")

MILLION: Final = 1_000_000
SAMPLE: Final = 200
"""Settled calls of a model before its bound is tightened."""
FLOOR_PPM: Final = 400_000
"""Never fewer tokens than two for five bytes: what is usual for prose is not for everything."""
SHORT: Final = 400
"""Prompts with a safe bound below this keep it: a provider's own frame outweighs them."""
DISTRUST: Final = timedelta(days=30)
AT_ONCE: Final = 5000
_SETTLING: Final = timedelta(seconds=60)  # ids are made before they are committed: what is younger may miss some
ALL: Final = "*"
"""The row that is no model's: how far the records were read."""
_BILLED: Final = (UsageRecord.Source.UPSTREAM_FINAL.value, UsageRecord.Source.GENERATION_API.value)


@dataclass(slots=True)
class _Seen:
    """What a batch of records says of one model."""

    sample: int = 0
    most_ppm: int = 0
    broken: int = 0


def margin(most_ppm: int) -> int:
    """The bound in tokens per million bytes, from the most that was counted."""
    return min(MILLION, max(FLOOR_PPM, most_ppm + most_ppm // 2))


def tightened(safe: int, ppm: int | None) -> int:
    """The bound of a prompt that can't exceed ``safe`` tokens, for a model with ``ppm`` (None: nothing learnt)."""
    if ppm is None or safe < SHORT:
        return safe
    return min(safe, -(-safe * ppm // MILLION))


def in_force(at: datetime) -> dict[str, int]:
    """The trusted bounds by model, in tokens per million; models that are not in it have the safe bound."""
    learnt = LearntBound.objects.exclude(model_id=ALL).filter(is_trusted=True, sample__gte=SAMPLE)
    return {
        row.model_id: margin(row.most_ppm)
        for row in learnt
        if margin(row.most_ppm) < MILLION and (row.broken_at is None or row.broken_at + DISTRUST <= at)
    }


def learn() -> int:
    """Read the usage records since the last time, and learn; how many were read. Any process may."""
    at = now()
    with transaction.atomic():
        LearntBound.objects.get_or_create(model_id=ALL)
        place = LearntBound.objects.select_for_update().get(model_id=ALL)
        found = _records(place.read_to, at - _SETTLING)
        seen: dict[str, _Seen] = {}
        for _, model_id, prompt, safe, held in found:
            if not safe or safe < SHORT:
                continue
            model = seen.setdefault(model_id, _Seen())
            model.sample += 1
            model.most_ppm = max(model.most_ppm, -(-prompt * MILLION // safe))
            model.broken += prompt > held
        _keep(seen, at)
        if found:
            place.read_to = found[-1][0]
        place.updated_at = at
        place.save()
    return len(found)


def _records(after: UUID | None, until: datetime) -> list[tuple[UUID, str, int, int | None, int]]:
    """(id, model, prompt tokens, safe bound, bound that was held), the oldest first."""
    usage, holds = rows.table(UsageRecord), rows.table(Hold)
    low = after or UUID(int=0)
    high = UUID(int=int(until.astimezone(UTC).timestamp() * 1000) << 80)  # ids sort by time
    sql = (
        f"SELECT u.id, u.model_id, u.prompt_tokens, h.safe_bound, h.tokens - h.max_tokens FROM {usage.name} u "  # noqa: S608
        f"JOIN {holds.name} h ON h.id = u.hold_id WHERE u.id > %s AND u.id < %s "
        f"AND u.source IN ({rows.marks(len(_BILLED))}) ORDER BY u.id LIMIT {AT_ONCE}"
    )
    params = [usage.to_db("id", low), usage.to_db("id", high), *_BILLED]
    return [
        (usage.from_db("id", name), model, prompt, safe, held)
        for name, model, prompt, safe, held in rows.query(usage, sql, params)
    ]


def _keep(seen: dict[str, _Seen], at: datetime) -> None:
    known: Iterable[LearntBound] = LearntBound.objects.select_for_update().filter(model_id__in=seen)
    rows_by_model = {row.model_id: row for row in known}
    for model_id, model in sorted(seen.items()):
        row = rows_by_model.get(model_id) or LearntBound(model_id=model_id)
        row.sample += model.sample
        row.most_ppm = max(row.most_ppm, model.most_ppm)
        row.updated_at = at
        if model.broken:
            row.broken_at = at
            log.warning("bound_broken", model=model_id, calls=model.broken, most_ppm=model.most_ppm)
        row.save()
