"""Settling what lost its producer or its figure. Driven by the holds' own rows; any process may do it.

A hold whose heartbeat is old belonged to a process that died: its generation is marked, its text
stays. Then, as after a stop or a cut, the upstream is asked what it billed; when it has no record
after some tries, what was delivered is charged by the documented estimate, never above the hold.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction

from chat import title_rows, turns
from chat.context import estimate_bytes
from chat.models import Generation, ModelPrice
from chat.openrouter.client import read_generation
from chat.openrouter.wire import Usage
from chat.providers import stops_on_cancel
from chat.settling import charge_for
from chat.turn_finish import usage_json
from chat.turn_jobs import Finish, Settling
from chat.upstreams import Upstream, upstreams
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.http import HTTPFailure, fetch_json
from quotas.ledger import Book, Charge, DueHold, Price, anything_due, claim_due
from quotas.models import Hold

log = structlog.get_logger("sweeper")

LEASE: Final = timedelta(seconds=15)
# Seconds to the next look after each look without a record; after the last, the estimate. A crash is
# settled within 30 s of which the missing heartbeat takes 12. After a stop or a cut there is time: some
# providers go on writing and billing, and have a record only at their end.
AFTER_CRASH: Final = (1, 1, 2, 3, 5)
AFTER_STOP: Final = (1, 1, 2, 3) + (4,) * 30
LOOK_TIMEOUT: Final = 3.0
BREAK_SECONDS: Final = 4.0
HEARD_SECONDS: Final = 4.0  # more than a beat, and the save that follows one that failed


class _Hearing:
    """Since when this process has had the database without a break, in monotonic seconds.

    In an outage nobody's heartbeat is written. Who takes silence for death right after it would mark
    every answer that goes on; so the living get time for a beat first.
    """

    def __init__(self) -> None:
        self.last = self.since = float("-inf")

    def note(self) -> None:
        """The database has just answered."""
        moment = time.monotonic()
        if moment - self.last > BREAK_SECONDS:
            self.since = moment
        self.last = moment

    @property
    def good(self) -> bool:
        return self.last - self.since >= HEARD_SECONDS


_hearing = _Hearing()


def sweep_once(limit: int = 20) -> int:
    """Settle what is due; returns how many holds were looked at."""
    at = now()
    due = anything_due(at)
    _hearing.note()
    if not due:
        return 0
    with transaction.atomic(durable=True):
        _hearing.note()  # on SQLite, whoever keeps the lock keeps it from the beats, too
        holds = claim_due(at, limit, LEASE, silent=_hearing.good)
    for hold in holds:
        try:
            _settle(hold)
        except Exception:
            # The lease brings it back; one bad row must not keep the others waiting.
            log.exception("sweep_failed", hold=str(hold.id))
        else:
            _hearing.note()
    return len(holds)


def _settle(hold: DueHold) -> None:
    if hold.reference.startswith(title_rows.REFERENCE):
        title_rows.settle_lost(hold)
        return
    generation = Generation.objects.filter(id=UUID(hold.reference.split(":")[1])).first()
    if generation is None:
        _release(hold)
        return
    if generation.state == Generation.State.RUNNING:
        _interrupt(hold, generation)
        generation.refresh_from_db()
    upstream = upstreams().get(generation.upstream)
    usage = _look_up(upstream, generation.upstream_id)
    price = _price(generation)
    if usage is not None:
        charge = charge_for(usage, price, "generation_api", generation.upstream_id, generation.turn.conversation_id)
        _charge(generation, hold, charge, estimated=False)
    elif _may_come(upstream, generation) and hold.checks <= len(looks := _looks(generation)):
        _look_again(hold, looks[hold.checks - 1])
    elif not generation.delivered_bytes:
        _release(hold)
    else:
        guess = Usage(generation.prompt_estimate, _written(generation, upstream, hold))
        charge = charge_for(guess, price, "local_estimate", generation.upstream_id, generation.turn.conversation_id)
        bounded = replace(charge, tokens=min(charge.tokens, hold.tokens), nano_usd=min(charge.nano_usd, hold.nano_usd))
        _charge(generation, hold, bounded, estimated=True)


def _written(generation: Generation, upstream: Upstream | None, hold: DueHold) -> int:
    """A likely number of completion tokens: what came, or all that could when the provider went on without us."""
    delivered = estimate_bytes(generation.delivered_bytes)
    if not _we_left(generation) or upstream is None or stops_on_cancel(upstream.kind, generation.provider):
        return delivered
    return max(delivered, hold.max_tokens)


def _we_left(generation: Generation) -> bool:
    """Whether the connection was closed from here: by a stop, a crash, a restart or our own patience."""
    if generation.state == Generation.State.STOPPED:
        return True
    code = generation.error.get("code") if isinstance(generation.error, dict) else ""
    return code in {"interrupted", "restarted", "upstream_timeout"}


def _may_come(upstream: Upstream | None, generation: Generation) -> bool:
    return upstream is not None and upstream.kind == "openrouter" and bool(generation.upstream_id)


def _look_up(upstream: Upstream | None, upstream_id: str) -> Usage | None:
    if upstream is None or upstream.kind != "openrouter" or not upstream_id:
        return None
    url = f"{upstream.base_url}/generation?id={upstream_id}"
    try:
        return read_generation(fetch_json(url, headers=upstream.headers(), timeout=LOOK_TIMEOUT))
    except HTTPFailure as failure:
        if failure.status != 404:
            log.warning("lookup_failed", status=failure.status)
        return None


def _price(generation: Generation) -> Price:
    if generation.price_id is None:
        raise ValueError("a generation without a price was never admitted")
    price = ModelPrice.objects.get(id=generation.price_id)
    return Price(
        id=price.id,
        prompt_pico=price.prompt_pico_usd,
        completion_pico=price.completion_pico_usd,
        request_nano=price.request_nano_usd,
        cached_pico=price.cached_pico_usd,
    )


def _interrupt(hold: DueHold, generation: Generation) -> None:
    """Mark what a dead producer left: the text stays, readers are told by the row."""
    log.warning("producer_lost", generation=str(generation.id), worker=generation.worker)
    turns.apply(
        [
            Finish(
                turn_id=generation.turn_id,
                generation_id=generation.id,
                user_id=generation.user_id,
                hold_id=hold.id,
                state=Generation.State.INTERRUPTED,
                settling=Settling.LATER,
                look_after=LEASE,
                message_id=generation.message_id,
                error=Refusal("interrupted").error(""),
                upstream_id=generation.upstream_id,
                delivered_bytes=generation.delivered_bytes,
            )
        ]
    )


def _charge(generation: Generation, hold: DueHold, charge: Charge, *, estimated: bool) -> None:
    turns.apply(
        [
            Finish(
                turn_id=generation.turn_id,
                generation_id=generation.id,
                user_id=generation.user_id,
                hold_id=hold.id,
                state=generation.state,
                settling=Settling.CHARGE,
                charge=charge,
                message_id=generation.message_id,
                usage=usage_json(charge, estimated),
                late=True,
            )
        ]
    )


def _release(hold: DueHold) -> None:
    with transaction.atomic(durable=True):
        book = Book.open([hold.user_id], [hold.id], now())
        book.release(hold.id)
        book.close()


def _looks(generation: Generation) -> tuple[int, ...]:
    lost = generation.error is not None and generation.error.get("code") == "interrupted"
    return AFTER_CRASH if lost else AFTER_STOP


def _look_again(hold: DueHold, seconds: int) -> None:
    wait = seconds * random.uniform(0.9, 1.1)  # noqa: S311 (spreads look-ups, hides nothing)
    _orphan(hold, now() + timedelta(seconds=wait))


def _orphan(hold: DueHold, check_at: datetime) -> None:
    Hold.objects.filter(id=hold.id, state="orphaned").update(check_at=check_at)
