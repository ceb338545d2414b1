"""The clock: what must happen without anybody asking. Any number may run; every job claims its rows."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from django.db import close_old_connections, connection

from accounts import closing, exporting, key_mails, outbox, upkeep
from billing import handling, inbox, invoice_mails, invoices, prices, reminders
from billing import reconciling as razorpay
from chat import (
    attachments,
    catalog,
    conversations,
    kept_answers,
    reconciling,
    search,
    sweeper,
    temporary,
    upstream_keys,
)
from oneai import watching
from oneai.kit import metrics
from oneai.kit.errors import Refusal
from quotas import alerts, bounds, owner_alerts, watch

log = structlog.get_logger("worker")


@dataclass(slots=True)
class Duty:
    """Something done every ``seconds``; ``work`` says how much it did.

    ``waits``: it asks others who may take their time, so it is done in a thread where nothing else waits for it.
    """

    name: str
    seconds: float
    work: Callable[[], int]
    waits: bool = False
    due: float = field(default=0.0)


def _sync_catalogue() -> int:
    done, _ = catalog.sync_all()
    return sum(counts.seen for counts in done)


def duties() -> list[Duty]:
    """All duties of a worker process."""
    return [
        Duty("mail", 1.0, lambda: outbox.deliver(20)),
        Duty("ends of keys", 60.0, key_mails.announce_ends),
        Duty("sweep", 1.0, sweeper.sweep_once),
        Duty("alerts", 1.0, alerts.tell),
        Duty("ceiling", 10.0, owner_alerts.watch_ceiling),
        Duty("overrun", 60.0, owner_alerts.watch_overrun),
        Duty("webhooks", 1.0, handling.handle_due, waits=True),
        Duty("old webhooks", 3600.0, inbox.tidy),
        Duty("invoices", 5.0, lambda: invoices.issue_missing(since=timedelta(days=2))),
        Duty("old invoices", 600.0, invoices.issue_missing),
        Duty("invoice mails", 1.0, invoice_mails.write),
        Duty("refunds and ends", 2.0, razorpay.send_due, waits=True),
        Duty("prices", 60.0, prices.sync_due, waits=True),
        Duty("razorpay", 600.0, razorpay.reconcile_due, waits=True),
        Duty("catalogue", 3600.0, _sync_catalogue),
        Duty("upstream keys", 60.0, upstream_keys.watch),
        Duty("reconciliation", 5.0, reconciling.reconcile_due),
        Duty("kept answers", 60.0, kept_answers.erase),
        Duty("search index", 1.0, search.index_waiting),
        Duty("bin", 600.0, conversations.empty_bin),
        Duty("temporary", 5.0, temporary.erase_left),
        Duty("files", 10.0, attachments.remove_unneeded, waits=True),
        Duty("files without a message", 600.0, attachments.find_abandoned, waits=True),
        Duty("reminders", 60.0, reminders.announce),
        Duty("exports", 5.0, exporting.make_due, waits=True),
        Duty("closings", 60.0, closing.work, waits=True),
        Duty("tidy", 600.0, upkeep.tidy),
        Duty("ledger", 60.0, watch.check_some),
        Duty("bounds", 60.0, bounds.learn),
    ]


def run(stop: threading.Event | None = None) -> None:
    """Do the duties until told to stop (SIGTERM, SIGINT): those at hand are finished first."""
    stop = stop or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work = duties()
    beside = threading.Thread(target=_rounds, args=([each for each in work if each.waits], stop), name="waits")
    watching.start("worker")
    log.info("worker_started")
    beside.start()
    _rounds([each for each in work if not each.waits], stop)
    beside.join()
    log.info("worker_stopped")


def _rounds(work: list[Duty], stop: threading.Event) -> None:
    while not stop.is_set():
        for duty in work:
            if stop.is_set():
                break
            if duty.due <= time.monotonic():
                _do(duty)
        stop.wait(0.2)
    connection.close()


def _do(duty: Duty) -> None:
    try:
        done = duty.work()
        metrics.count("duties", "done")
        if done:
            log.info("duty_done", duty=duty.name, count=done)
    except Refusal as refusal:
        log.warning("duty_refused", duty=duty.name, code=refusal.code)
    except Exception:
        log.exception("duty_failed", duty=duty.name)
        metrics.count("duties", "failed")
        connection.close()
    duty.due = time.monotonic() + duty.seconds
    close_old_connections()
