"""The writer of turns: short transactions over batches of jobs, no network, no waiting.

``apply`` is what the batcher runs. One batch mixes starts, changes of model, ends and progress of many turns: the
accounts of all of them are locked once, in order, and every table is written by one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.claims import Standing
from chat import turn_finish, turn_jobs, turn_prompt, turn_start, turn_switch
from oneai.kit import rows
from oneai.kit.clock import now
from quotas.ledger import Book


def apply(jobs: Sequence[Any]) -> list[Any]:
    """Do all jobs in one transaction; a job's result may be the refusal it met."""
    for job in jobs:
        if isinstance(job, turn_jobs.Start):
            turn_prompt.weigh(job)  # megabytes may come in: nobody waits for a lock meanwhile
    with transaction.atomic(durable=True):
        return apply_in_transaction(jobs)


def apply_in_transaction(jobs: Sequence[Any]) -> list[Any]:
    """As ``apply``, inside the caller's transaction."""
    with rows.together():
        return _apply(jobs)


def _apply(jobs: Sequence[Any]) -> list[Any]:
    at = now()
    starts = [job for job in jobs if isinstance(job, turn_jobs.Start)]
    ends = [job for job in jobs if isinstance(job, turn_jobs.Finish)]
    switches = [job for job in jobs if isinstance(job, turn_jobs.Switch)]
    standings = turn_start.read_standings([*starts, *switches], at)
    extends = [job for job in jobs if isinstance(job, turn_jobs.Extend)]
    accounts = {job.user_id for job in ends} | {job.user_id for job in extends}
    accounts |= {job.started.user_id for job in switches}
    accounts |= {standing.principal.user_id for standing in standings.values() if isinstance(standing, Standing)}
    results: dict[int, Any] = {}
    if accounts:
        holds = [job.hold_id for job in ends] + [job.hold_id for job in extends]
        holds += [job.generation.hold_id for job in switches]
        book = Book.open(accounts, holds, at)
        # Ends first: what they give back is there for the starts of the same batch.
        results |= turn_finish.apply(ends, book, at)
        for extend in extends:
            results[id(extend)] = book.extend(extend.hold_id, extend.ask, extend.tokens, extend.sequence)
        results |= turn_switch.apply(switches, standings, book, at)
        results |= turn_start.apply(starts, standings, book, at)
        book.close()
        for end in ends:
            results[id(end)] = turn_finish.with_limits(results[id(end)], end, book)
    for start in starts:
        standing = standings[id(start)]
        if not isinstance(standing, Standing):
            results[id(start)] = standing
    progress = [job for job in jobs if isinstance(job, turn_jobs.Progress)]
    results |= turn_finish.apply_progress(progress, at)
    stops = [job for job in jobs if isinstance(job, turn_jobs.Stop)]
    results |= turn_finish.apply_stops(stops, at)
    return [results[id(job)] for job in jobs]
