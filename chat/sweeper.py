"""Settling what lost its producer or its figure. Driven by the holds' own rows; any process may do it.

A hold whose heartbeat is old belonged to a process that died: its generation is marked, its text
stays. All that are lost are marked before any upstream is asked, which may take long to answer: a
reader waits for the mark. Then, as after a stop or a cut, the upstream is asked what it billed; when
it has no record after some tries, what was delivered is charged by the documented estimate, never
above the hold.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import connection, transaction

from chat import title_rows, turns
from chat.context import estimate_bytes
from chat.models import Generation, ModelPrice
from chat.openrouter.client import read_generation
from chat.openrouter.wire import Usage
from chat.providers import stops_on_cancel
from chat.settling import charge_for, free_of_charge
from chat.turn_finish import usage_json
from chat.turn_jobs import Finish, Settling
from chat.upstreams import Upstream, upstreams
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.http import HTTPFailure, fetch_json
from quotas.ledger import Book, Charge, DueHold, Price, anything_due, claim_due
from quotas.models import Hold

log = structlog.get_logger("sweeper")

# Longer than what one claim is for takes. A process may die with its claims, and the next after it: each costs
# a lease of the 30 s. Two that have the same claim do no harm: the hold's row decides who settles it.
LEASE: Final = timedelta(seconds=5)
MOST_MARKED: Final = 200
MOST_ASKED: Final = 8  # at once
LONGEST_SWEEP: Final = 1.0  # seconds; after this the rest is for the next sweep, or for another process
# Seconds to the next look after each claim without a record; after the last, the estimate. A crash is
# settled within 30 s, of which the missing heartbeat takes 12; the claim that marks it is the first. After
# a stop or a cut there is time: some providers go on writing and billing, and have a record only at their end.
AFTER_CRASH: Final = (0, 1, 1, 2, 3, 4)
AFTER_STOP: Final = (1, 1, 2, 3) + (4,) * 30
LOOK_TIMEOUT: Final = 3.0  # with every key
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


@dataclass(slots=True)
class _Case:
    """A claimed hold, what it was for (None: deleted) and what its upstream was asked."""

    hold: DueHold
    generation: Generation | None
    asked: Future[Usage | None] | None = None

    @property
    def lost(self) -> bool:
        return self.generation is not None and self.generation.state == Generation.State.RUNNING


def sweep_once() -> int:
    """Mark what is lost and settle what is due; returns how many holds were looked at."""
    due = _anything_due()
    _hearing.note()
    if not due:
        return 0
    lost = _claim(MOST_MARKED, silent=True, checked=False)
    _mark_lost(lost)
    looked = len(lost)
    end = time.monotonic() + LONGEST_SWEEP
    while found := _claim(MOST_ASKED, silent=False, checked=True):
        looked += len(found)
        _mark_lost(found)  # whoever claimed it before has died as well
        for case in _asked([case for case in found if not case.lost]):
            try:
                _settle(case)
            except Exception:
                # The lease brings it back; one bad row must not keep the others waiting.
                log.exception("sweep_failed", hold=str(case.hold.id))
            else:
                _hearing.note()
        if len(found) < MOST_ASKED or time.monotonic() > end:
            break
    return looked


def _anything_due() -> bool:
    """Whether a hold is due. On SQLite asked as a writer: who can read but not write knows nothing of the beats."""
    if connection.vendor != "sqlite":
        return anything_due(now())
    with transaction.atomic(durable=True):
        return anything_due(now())


def _claim(most: int, *, silent: bool, checked: bool) -> list[_Case]:
    with transaction.atomic(durable=True):
        # Asked only now: on SQLite, whoever kept the lock from us kept it from the beats, too.
        _hearing.note()
        return _cases(claim_due(now(), most, LEASE, silent=silent and _hearing.good, checked=checked))


def _cases(holds: Sequence[DueHold]) -> list[_Case]:
    ids = {
        hold.id: UUID(hold.reference.split(":")[1])
        for hold in holds
        if not hold.reference.startswith(title_rows.REFERENCE)
    }
    generations = Generation.objects.select_related("turn").in_bulk(ids.values())
    return [_Case(hold, generations.get(ids[hold.id]) if hold.id in ids else None) for hold in holds]


def _asked(cases: Sequence[_Case]) -> Iterator[_Case]:
    """The cases, whose upstreams are asked at once: a silent one must not hold up the rest."""
    servers = upstreams()
    with ThreadPoolExecutor(MOST_ASKED, thread_name_prefix="looks") as threads:
        for case in cases:
            if (generation := case.generation) is not None:
                server = servers.get(generation.upstream)
                case.asked = threads.submit(_look_up, server, generation.upstream_id)
        yield from cases


def _settle(case: _Case) -> None:
    hold, generation = case.hold, case.generation
    if hold.reference.startswith(title_rows.REFERENCE):
        title_rows.settle_lost(hold)
        return
    if generation is None:
        _release(hold)
        return
    usage = case.asked.result() if case.asked is not None else None
    upstream = upstreams().get(generation.upstream)
    price = _price(generation)
    if usage is not None:
        charge = charge_for(usage, price, "generation_api", generation.upstream_id, generation.turn.conversation_id)
        _charge(generation, hold, charge, estimated=False)
    elif _may_come(upstream, generation) and hold.checks <= len(looks := _looks(generation)):
        _look_again(hold, looks[hold.checks - 1])
    elif not generation.delivered_bytes:
        # Whether the call was made is not known; its record says that it cost nothing.
        nothing = free_of_charge(generation.upstream_id, generation.turn.conversation_id)
        _charge(generation, hold, nothing, estimated=False)
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
    """Whether the connection was closed from here: by a stop, the quota, a crash, a restart or our own patience."""
    if generation.state == Generation.State.STOPPED or generation.finish_reason == "quota":
        return True
    code = generation.error.get("code") if isinstance(generation.error, dict) else ""
    return code in {"interrupted", "restarted", "upstream_timeout"}


def _may_come(upstream: Upstream | None, generation: Generation) -> bool:
    return upstream is not None and upstream.kind == "openrouter" and bool(generation.upstream_id)


def _look_up(upstream: Upstream | None, upstream_id: str) -> Usage | None:
    if upstream is None or upstream.kind != "openrouter" or not upstream_id:
        return None
    url = f"{upstream.base_url}/generation?id={upstream_id}"
    end = time.monotonic() + LOOK_TIMEOUT
    for key in upstream.keys or ("",):
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            return read_generation(fetch_json(url, headers=upstream.headers(key), timeout=left))
        except HTTPFailure as failure:
            if failure.status not in {401, 403, 404}:
                log.warning("lookup_failed", status=failure.status)
                return None
    return None  # no key that we have knows it, yet


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


def _mark_lost(cases: Sequence[_Case]) -> None:
    """Mark what dead producers left: the text stays, readers are told by the row, the upstream may be asked at once.

    All in one batch, or each by itself where that fails; what could not be marked comes back with its lease.
    """
    ends = [_end(case.hold, case.generation) for case in cases if case.lost and case.generation is not None]
    if not ends:
        return
    try:
        turns.apply(ends)
    except Exception:
        log.exception("marks_failed", holds=len(ends))
        for end in ends:
            try:
                turns.apply([end])
            except Exception:
                log.exception("mark_failed", hold=str(end.hold_id))


def _end(hold: DueHold, generation: Generation) -> Finish:
    log.warning("producer_lost", generation=str(generation.id), worker=generation.worker)
    return Finish(
        turn_id=generation.turn_id,
        generation_id=generation.id,
        user_id=generation.user_id,
        hold_id=hold.id,
        state=Generation.State.INTERRUPTED,
        settling=Settling.LATER,
        message_id=generation.message_id,
        error=Refusal("interrupted").error(""),
        upstream_id=generation.upstream_id,
        delivered_bytes=generation.delivered_bytes,
        provider=generation.provider,
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
                error=generation.error,
                usage=usage_json(charge, estimated),
                upstream_id=generation.upstream_id,
                delivered_bytes=generation.delivered_bytes,
                provider=generation.provider,
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
