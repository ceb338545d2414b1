"""Upstream reconciliation: each usage record is compared with the upstream's own, and put right by it.

A day's pass goes by the records' ids, a slice at a time, and is resumed where it stopped, by any worker. What an
upstream billed for a call that gave nothing is the owner's cost and never becomes a charge.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction

from chat import key_spending, reconcile_rows, title_rows
from chat.models import AIModel, Generation, Message, ModelPrice, UpstreamReconciliation
from chat.openrouter.client import read_generation
from chat.openrouter.wire import Usage
from chat.reconcile_rows import Kind
from chat.settling import charge_for
from chat.turn_finish import usage_json
from chat.upstreams import OPENROUTER, Upstream, upstreams
from oneai.kit.clock import now
from oneai.kit.http import HTTPFailure, fetch_json
from oneai.kit.money import nano_from_usd
from quotas.ledger import Book, Charge, Contended, Price
from quotas.models import UsageRecord
from quotas.rollup import ESTIMATES

log = structlog.get_logger("reconciling")

GRACE: Final = timedelta(minutes=5)  # a record of a call is there only some time after its end
AFTER_MIDNIGHT: Final = timedelta(minutes=30)
DAYS_BACK: Final = 7
SLICE: Final = 40
AT_ONCE: Final = 4
BUDGET_SECONDS: Final = 3.0  # a worker has other duties, too
TIMEOUT: Final = 10.0
AGAIN_AFTER: Final = timedelta(minutes=1)
TRIES: Final = 3  # of a correction that another batch's locks keep out
MOST_FAILURES: Final = 20  # in a row over one record, before it is left as unclear


class Unsure(Exception):
    """The upstream could not say whether it has a record."""


class Step(enum.Enum):
    """How a pass stands after a step: somebody else has it, there is more, it is done, the upstream fails."""

    BUSY = enum.auto()
    MORE = enum.auto()
    DONE = enum.auto()
    UNSURE = enum.auto()


def reconcile_due() -> int:
    """Go on with the oldest day that is over and not compared; returns how many records were looked at."""
    upstream = upstreams().get(OPENROUTER)
    day = _due() if upstream is not None else None
    if upstream is None or day is None:
        return 0
    before = UpstreamReconciliation.objects.filter(day=day, finished_at=None).values_list("checked", flat=True).first()
    step(upstream, day)
    return max(0, UpstreamReconciliation.objects.get(day=day).checked - (before or 0))


def _due() -> date | None:
    today = (now() - AFTER_MIDNIGHT).astimezone(UTC).date()
    first = today - timedelta(days=DAYS_BACK)
    rows = dict(UpstreamReconciliation.objects.filter(day__gte=first).values_list("day", "finished_at"))
    known = min(rows, default=today - timedelta(days=1))
    for day in (first + timedelta(days=number) for number in range(DAYS_BACK)):
        if day < known:
            continue
        finished = rows.get(day)
        # A pass that was made while the day went on has not seen all of it.
        if finished is None or finished < reconcile_rows.begins(day + timedelta(days=1)) + GRACE:
            return day
    return None


def step(
    upstream: Upstream,
    day: date,
    *,
    anew: bool = False,
    spending: bool = True,
    grace: timedelta = GRACE,
    budget: float = BUDGET_SECONDS,
    again_after: timedelta = AGAIN_AFTER,
) -> Step:
    """Work on a day's pass for ``budget`` seconds; ``anew`` begins it again.

    Calls that ended less than ``grace`` ago are left out. After an error of the upstream nobody goes on for
    ``again_after``. At the pass's end the keys' ``spending`` is looked at and owners are told.
    """
    row = reconcile_rows.claim(day)
    if row is None:
        return Step.BUSY
    if anew or row.finished_at is not None:
        reconcile_rows.begin(row)
    end = time.monotonic() + budget
    while records := reconcile_rows.next_records(row, now() - grace, SLICE):
        sure = _compare(upstream, row, records)
        at = now()
        done = time.monotonic() > end
        until = at + again_after if not sure else at if done else at + reconcile_rows.LEASE
        if not reconcile_rows.save(row, until):
            return Step.BUSY
        if not sure:
            return Step.UNSURE
        if done:
            return Step.MORE
    if spending:
        key_spending.look(upstream, grace, min(reconcile_rows.begins(day + timedelta(days=1)), now() - grace))
    row.finished_at = now()
    reconcile_rows.sum_up(row)
    reconcile_rows.save(row, now())
    reconcile_rows.tell()
    return Step.DONE


# One record -----------------------------------------------------------------------------------------
def _compare(upstream: Upstream, row: UpstreamReconciliation, records: Sequence[UsageRecord]) -> bool:
    """Compare ``records`` in order, as far as the upstream answers; whether it did for all."""
    slugs = {record.model_id for record in records}
    mine = set(AIModel.objects.filter(slug__in=slugs, upstream=upstream.name).values_list("slug", flat=True))
    for record, billed in _looked_up(upstream, records, mine):
        if isinstance(billed, Unsure):
            row.failures += 1
            if row.failures < MOST_FAILURES:
                return False
            reconcile_rows.note(record, Kind.UNCLEAR)
            row.checked += 1
        elif record.model_id in mine:
            row.checked += 1
            row.matched += _judge(record, billed)
        row.failures = 0
        row.reached = record.pk
    return True


def _looked_up(
    upstream: Upstream, records: Sequence[UsageRecord], mine: set[str]
) -> Iterator[tuple[UsageRecord, Usage | Unsure | None]]:
    def ask(record: UsageRecord) -> Usage | Unsure | None:
        if not record.upstream_id or record.model_id not in mine:
            return None
        try:
            return look_up(upstream, record.upstream_id)
        except Unsure as unsure:
            return unsure

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconciling") as threads:
        yield from zip(records, threads.map(ask, records), strict=True)


def look_up(upstream: Upstream, upstream_id: str) -> Usage | None:
    """What the upstream billed for a call; None when no key of ours knows it. Unsure when it does not say."""
    for key in upstream.keys:
        url = f"{upstream.base_url}/generation?id={upstream_id}"
        try:
            usage = read_generation(fetch_json(url, headers=upstream.headers(key), timeout=TIMEOUT))
        except HTTPFailure as failure:
            if failure.status == 404:
                continue
            log.warning("lookup_failed", status=failure.status)
            raise Unsure from failure
        if usage is None:
            raise Unsure
        return usage
    return None


def _judge(record: UsageRecord, billed: Usage | None) -> bool:
    """Compare, correct and note; whether both say the same."""
    free = not (record.tokens or record.nano_usd or record.corrections)
    if billed is None:
        if not free:
            reconcile_rows.note(record, Kind.MISSING if record.upstream_id else Kind.NAMELESS)
        return free
    if free:
        nano = nano_from_usd(billed.cost or 0)
        if nano:
            reconcile_rows.note(record, Kind.FREE, (billed.prompt_tokens + billed.completion_tokens, nano))
        else:
            reconcile_rows.forget(record)
        return not nano
    charge = _charge(record, billed)
    same = (charge.prompt_tokens, charge.completion_tokens, charge.nano_usd) == (
        record.prompt_tokens, record.completion_tokens, record.nano_usd
    )  # fmt: skip
    if not same or record.source in ESTIMATES:
        return not _correct(record, charge, quietly=same)
    reconcile_rows.forget(record)
    return True


def _charge(record: UsageRecord, billed: Usage) -> Charge:
    """The charge by the upstream's record. One that names no cost leaves ours as it is, unless the tokens differ."""
    row = ModelPrice.objects.filter(pk=record.price_id).first() if record.price_id else None
    price = Price(None, 0, 0)
    if row is not None:
        price = Price(
            row.id, row.prompt_pico_usd, row.completion_pico_usd, row.request_nano_usd, row.cached_pico_usd
        )  # fmt: skip
    charge = charge_for(billed, price, "generation_api", record.upstream_id, record.conversation_id)
    if billed.cost is None and (row is None or charge.tokens == record.tokens):
        return replace(charge, nano_usd=record.nano_usd, billed_usd=record.billed_usd)
    return charge


def _correct(record: UsageRecord, charge: Charge, *, quietly: bool) -> bool:
    """Charge ``charge`` instead, in the ledger and where people see it; whether that is a finding of ours.

    ``quietly``: the figures are the same and only were an estimate.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic(durable=True):
                if not _corrected(record, charge, quietly=quietly):
                    return False
            break
        except Contended:
            if not tries_left:
                raise
    log.info("usage_corrected", record=str(record.pk), tokens=charge.tokens, nano_usd=charge.nano_usd)
    return not quietly


def _corrected(record: UsageRecord, charge: Charge, *, quietly: bool) -> bool:
    book = Book.open([record.user_id], [record.hold_id])
    corrected = book.correct(record.hold_id, charge)
    book.close()
    if not corrected:
        return False
    _show(record, charge)
    if quietly:
        reconcile_rows.forget(record)
    else:
        reconcile_rows.note(record, Kind.CORRECTED, (charge.tokens, charge.nano_usd))
    return True


def _show(record: UsageRecord, charge: Charge) -> None:
    """The answer says what it cost, where the call was its last one."""
    if record.reference.startswith(title_rows.REFERENCE):
        return
    usage = usage_json(charge, False)
    mine = Generation.objects.filter(pk=UUID(record.reference.split(":")[1]), hold_id=record.hold_id)
    if mine.update(usage=usage):
        messages = [message_id for message_id in mine.values_list("message_id", flat=True) if message_id]
        Message.objects.filter(pk__in=messages).update(usage=usage, tokens_used=charge.tokens)
