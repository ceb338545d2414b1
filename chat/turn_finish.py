"""Ending turns, saving progress and wishes to stop: the other half of the writer.

An end settles or releases the hold, or leaves it to the sweeper when the upstream's figure is still
to come. Every change is conditional, so a producer that was only paused, a sweeper and a second
sweeper can all try: one settles. The text is its producer's: a sweeper marks a generation whose
producer it can't hear, and the producer takes the mark back when it can be heard again, unless it was
settled meanwhile: without an open hold nobody would notice its death.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from chat import kept_answers
from chat.models import Generation, Message, Turn
from chat.turn_jobs import Finish, Finished, Progress, Settling, Stop
from oneai.kit import rows
from oneai.kit.money import usd_string
from quotas.ledger import Book, Charge, heartbeat, still_open

_RUNNING: Final = "= 'running'"
_STREAMING: Final = "= 'streaming'"
_OF_PRODUCER: Final = "IN ('running', 'streaming', 'interrupted')"


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
        elif job.settling is Settling.NONE:
            settled = True
        else:
            settled = book.orphan(job.hold_id, at)
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
    # A producer that took its mark back while its hold was being settled has nobody to watch over it.
    again = [job for job in late if job.error is not None]
    _end_generations(again, at, by_producer=False, settled=True)
    _end_messages(again, by_producer=False, settled=True)
    ends = [job for job in jobs if not job.late]
    for by_producer in (True, False):
        for settled in (True, False):
            alike = [job for job in ends if job.by_producer is by_producer and results[id(job)].settled is settled]
            _end_generations(alike, at, by_producer=by_producer, settled=settled)
            _end_messages(alike, by_producer=by_producer, settled=settled)
    kept_answers.save(job.kept for job in ends)
    noted = [{"id": job.message_id, "metadata": job.metadata} for job in ends if job.message_id and job.metadata]
    rows.update(Message, noted)
    _end_turns([*ends, *again], at)
    return results


def _end_generations(jobs: Sequence[Finish], at: datetime, *, by_producer: bool, settled: bool) -> None:
    ends = []
    for job in jobs:
        end = {
            "id": job.generation_id,
            "state": job.state,
            "finish_reason": job.finish_reason,
            "error": job.error,
            "upstream_id": job.upstream_id,
            "provider": job.provider,
            "delivered_bytes": job.delivered_bytes,
            "finished_at": at,
        }
        if settled:  # else whoever settled has written what was charged
            end["usage"] = job.usage
        ends.append(end)
    rows.update(Generation, ends, where=f"t.state {_OF_PRODUCER if by_producer else _RUNNING}")


def _end_messages(jobs: Sequence[Finish], *, by_producer: bool, settled: bool) -> None:
    for with_text in (True, False):
        ends = []
        for job in jobs:
            if job.message_id is None or (job.content is not None) is not with_text:
                continue
            end: dict[str, Any] = {"id": job.message_id, "status": job.state, "error": job.error}
            if with_text:
                end |= {"content": job.content, "reasoning": job.reasoning or "", "finish_reason": job.finish_reason}
            if settled:
                end |= {"usage": job.usage, "tokens_used": job.usage["total_tokens"] if job.usage else 0}
            ends.append(end)
        rows.update(Message, ends, where=f"t.status {_OF_PRODUCER if by_producer else _STREAMING}")


def _end_turns(jobs: Sequence[Finish], at: datetime) -> None:
    """A turn ends with the last of its generations. Those that end here may still be seen running."""
    this = rows.table(Generation)
    ending = ",".join(f"'{this.to_db('id', job.generation_id)}'" for job in jobs)
    rows.update(
        Turn,
        [{"id": turn_id, "finished_at": at} for turn_id in dict.fromkeys(job.turn_id for job in jobs)],
        where="t.finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM generations AS g "  # noqa: S608 (ids of ours)
        f"WHERE g.turn_id = t.id AND g.state = 'running' AND g.id NOT IN ({ending}))",
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
    noticed = {
        row["id"]: row
        for row in rows.select(
            Generation,
            ("id", "turn_id", "state", "stop_requested_at"),
            by="id",
            values=[job.generation_id for job in jobs],
            where="(stop_requested_at IS NOT NULL OR state = 'interrupted')",
        )
    }
    lost = {row["id"]: row for row in noticed.values() if row["state"] == Generation.State.INTERRUPTED}
    if lost:
        here = still_open([job.hold_id for job in jobs if job.generation_id in lost])
        _take_back([job for job in jobs if job.generation_id in lost and job.hold_id in here], lost)
    rows.update(
        Message,
        [
            {"id": job.message_id, "content": job.content, "reasoning": job.reasoning or ""}
            for job in jobs
            if job.message_id is not None and job.content is not None
        ],
        where="t.status = 'streaming'",
    )
    rows.update(
        Generation,
        [
            {
                "id": job.generation_id,
                "upstream_id": job.upstream_id,
                "provider": job.provider,
                "delivered_bytes": job.delivered_bytes,
            }
            for job in jobs
        ],
        where="t.state = 'running'",
    )
    kept_answers.save(job.kept for job in jobs)
    heartbeat([job.hold_id for job in jobs if job.beat or job.generation_id in lost], at)
    stopped = {row["id"] for row in noticed.values() if row["stop_requested_at"] is not None}
    return {id(job): job.generation_id in stopped for job in jobs}


def _take_back(jobs: Sequence[Progress], lost: dict[UUID, dict[str, Any]]) -> None:
    """Undo a sweeper's mark: the producer lives. It sends nothing more once it has sent its end."""
    running = {"state": Generation.State.RUNNING, "error": None, "finished_at": None}
    rows.update(Generation, [{"id": job.generation_id} | running for job in jobs], where="t.state = 'interrupted'")
    streaming = {"status": Message.Status.STREAMING, "error": None}
    marked = [{"id": job.message_id} | streaming for job in jobs if job.message_id is not None]
    rows.update(Message, marked, where="t.status = 'interrupted'")
    turns = {lost[job.generation_id]["turn_id"] for job in jobs}
    rows.update(Turn, [{"id": turn_id, "finished_at": None} for turn_id in sorted(turns)])


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
