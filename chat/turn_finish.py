"""Ending turns, saving progress and wishes to stop: the other half of the writer.

An end settles or releases the hold, or leaves it to the sweeper when the upstream's figure is still
to come. Every change is conditional, so a producer that was only paused, a sweeper and a second
sweeper can all try: one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chat import kept_answers
from chat.models import Generation, Message, Turn
from chat.turn_jobs import Finish, Finished, Progress, Settling, Stop
from oneai.kit import rows
from oneai.kit.money import usd_string
from quotas.ledger import Book, Charge, heartbeat


def usage_json(charge: Charge, estimated: bool) -> dict[str, Any]:
    """The ``usage`` of ``message.completed``."""
    return {
        "prompt_tokens": charge.prompt_tokens,
        "completion_tokens": charge.completion_tokens,
        "reasoning_tokens": charge.reasoning_tokens,
        "cached_tokens": charge.cached_tokens,
        "total_tokens": charge.tokens,
        "cost_usd": usd_string(charge.nano_usd),
        "estimated": estimated,
    }


def apply(jobs: Sequence[Finish], book: Book, at: datetime) -> dict[int, Finished]:
    """End each generation and settle its hold as the job says."""
    results: dict[int, Finished] = {}
    for job in jobs:
        if job.settling is Settling.CHARGE and job.charge is not None:
            settled = book.settle(job.hold_id, job.charge)
        elif job.settling is Settling.RELEASE:
            settled = book.release(job.hold_id)
        else:
            settled = book.orphan(job.hold_id, at + job.look_after)
        results[id(job)] = Finished(settled)
    # Late settling writes figures only where it was the one that settled.
    late = [job for job in jobs if job.late and results[id(job)].settled and job.usage is not None]
    rows.update(Generation, [{"id": job.generation_id, "usage": job.usage} for job in late])
    rows.update(
        Message,
        [
            {"id": job.message_id, "usage": job.usage, "tokens_used": job.usage["total_tokens"] if job.usage else 0}
            for job in late
            if job.message_id is not None
        ],
    )
    ends = [job for job in jobs if not job.late]
    rows.update(
        Generation,
        [
            {
                "id": job.generation_id,
                "state": job.state,
                "finish_reason": job.finish_reason,
                "error": job.error,
                "usage": job.usage,
                "upstream_id": job.upstream_id,
                "delivered_bytes": job.delivered_bytes,
                "finished_at": at,
            }
            for job in ends
        ],
        where="t.state = 'running'",
    )
    _end_messages([job for job in ends if job.message_id is not None and job.content is not None])
    rows.update(
        Message,
        [
            {
                "id": job.message_id,
                "status": job.state,
                "error": job.error,
                "usage": job.usage,
                "tokens_used": job.usage["total_tokens"] if job.usage else 0,
            }
            for job in ends
            if job.message_id is not None and job.content is None
        ],
        where="t.status = 'streaming'",
    )
    kept_answers.save(job.kept for job in ends)
    rows.update(
        Turn,
        [{"id": turn_id, "finished_at": at} for turn_id in dict.fromkeys(job.turn_id for job in ends)],
        where="t.finished_at IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM generations AS g WHERE g.turn_id = t.id AND g.state = 'running')",
    )
    return results


def _end_messages(jobs: Sequence[Finish]) -> None:
    rows.update(
        Message,
        [
            {
                "id": job.message_id,
                "content": job.content,
                "reasoning": job.reasoning or "",
                "status": job.state,
                "finish_reason": job.finish_reason,
                "error": job.error,
                "usage": job.usage,
                "tokens_used": job.usage["total_tokens"] if job.usage else 0,
            }
            for job in jobs
        ],
        where="t.status = 'streaming'",
    )


def with_limits(result: Finished, job: Finish, book: Book) -> Finished:
    """The result with the account's limits as they are after the whole batch."""
    if job.late:
        return result
    return Finished(result.settled, [limit.as_json() for limit in book.limits(job.user_id)])


def apply_progress(jobs: Sequence[Progress], at: datetime) -> dict[int, bool]:
    """Save text and heartbeats. The result says whether somebody asked to stop."""
    if not jobs:
        return {}
    with_text = [job for job in jobs if job.message_id is not None and job.content is not None]
    rows.update(
        Message,
        [{"id": job.message_id, "content": job.content, "reasoning": job.reasoning or ""} for job in with_text],
        where="t.status = 'streaming'",
    )
    rows.update(
        Generation,
        [
            {"id": job.generation_id, "upstream_id": job.upstream_id, "delivered_bytes": job.delivered_bytes}
            for job in jobs
        ],
        where="t.state = 'running'",
    )
    kept_answers.save(job.kept for job in jobs)
    heartbeat([job.hold_id for job in jobs if job.beat], at)
    stopped = {
        row["id"]
        for row in rows.select(
            Generation,
            ("id",),
            by="id",
            values=[job.generation_id for job in jobs],
            where="stop_requested_at IS NOT NULL",
        )
    }
    return {id(job): job.generation_id in stopped for job in jobs}


def apply_stops(jobs: Sequence[Stop], at: datetime) -> dict[int, bool]:
    """Note wishes to stop; False when the turn is not this user's or has no such message."""
    if not jobs:
        return {}
    found = rows.select(
        Generation,
        ("id", "turn_id", "user_id", "message_id", "state"),
        by="turn_id",
        values=[job.turn_id for job in jobs],
    )
    results: dict[int, bool] = {}
    asked: dict[UUID, dict[str, Any]] = {}
    for job in jobs:
        mine = [
            row
            for row in found
            if row["turn_id"] == job.turn_id
            and row["user_id"] == job.user_id
            and (job.message_id is None or row["message_id"] == job.message_id)
        ]
        results[id(job)] = bool(mine)
        asked |= {row["id"]: {"id": row["id"], "stop_requested_at": at} for row in mine if row["state"] == "running"}
    rows.update(Generation, list(asked.values()), where="t.stop_requested_at IS NULL")
    return results
