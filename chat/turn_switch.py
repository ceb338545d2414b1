"""Letting another model answer before a word was said: the old hold goes, a new one at the new price comes.

Both in one transaction, with the same gate as a start: who asks is read again, and what the new model may
cost is admitted like any call. A refusal leaves the turn to end as the first model failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from accounts.claims import Standing
from chat import turn_prompt
from chat.models import Generation, Message
from chat.turn_jobs import StartedGeneration, Switch, Switched
from oneai.kit import rows
from oneai.kit.errors import Refusal
from quotas.ledger import Book


def apply(
    jobs: Sequence[Switch], who: Mapping[int, Standing | Refusal], book: Book, at: datetime
) -> dict[int, Switched]:
    """Switch each generation that still runs; the others stay as they are."""
    if not jobs:
        return {}
    running = {
        row["id"]
        for row in rows.select(
            Generation,
            ("id",),
            by="id",
            values=[job.generation.generation_id for job in jobs],
            where="state = 'running' AND stop_requested_at IS NULL",
        )
    }
    results: dict[int, Switched] = {}
    generations: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for job in jobs:
        standing = who[id(job)]
        if job.generation.generation_id not in running or not isinstance(standing, Standing):
            results[id(job)] = Switched(None, closed=False)
            continue
        results[id(job)] = switched = _switch(job, standing, book)
        if switched.generation is None:
            continue
        generations.append(_generation_row(job, switched.generation))
        if job.start.stored:
            message = {"id": job.generation.message_id, "model_id": job.model.slug, "metadata": job.metadata}
            messages.append(message)
    rows.update(Generation, generations, where="t.state = 'running'")
    rows.update(Message, messages, where="t.status = 'streaming'")
    return results


def _switch(job: Switch, standing: Standing, book: Book) -> Switched:
    old = job.generation
    try:
        standing.check_model(job.model.slug)
        reference = f"generation:{old.generation_id}:{len(job.tries) + 1}"
        ask = turn_prompt.another_ask(job.start, standing, job.model, old.weight, reference)
        if job.gently:
            book.consider([ask])
    except Refusal:
        return Switched(None, closed=False)
    ended = book.release(old.hold_id) if job.charge is None else book.settle(old.hold_id, job.charge)
    if not ended:
        return Switched(None, closed=False)
    try:
        admitted = book.admit(ask)
    except Refusal:
        return Switched(None, closed=True)
    new = replace(old, hold_id=admitted.hold_id, model=job.model, price=ask.price, admitted=admitted, ask=ask)
    return Switched(new, closed=True)


def _generation_row(job: Switch, new: StartedGeneration) -> dict[str, Any]:
    return {
        "id": new.generation_id,
        "model_id": job.model.slug,
        "hold_id": new.hold_id,
        "price_id": new.price.id,
        "upstream": job.model.upstream,
        "upstream_id": "",
        "tries": job.tries,
    }
