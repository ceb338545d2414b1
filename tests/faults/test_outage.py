"""The database away while an answer runs: the answer goes on, and everything of it is kept and settled."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import psutil
import pytest

from tests.chat.client import Chat, Turn, dispatches
from tests.servers.databases import Databases
from tests.servers.postgres import Postgres
from tests.servers.site import Site

pytestmark = pytest.mark.faults

STALE = 12.0  # seconds without a heartbeat after which a producer is taken for dead
SOON = 8.0  # two seconds on a machine that has nothing else to do, and far below the time that the database is away


MIGRATED = "migrated"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that may be ended and stopped, with a migrated database to copy."""
    server = Postgres()
    server.start()
    Databases._migrate(server.create_database(MIGRATED))
    yield server
    server.stop()


@contextmanager
def dead(server: Postgres) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def hanging(server: Postgres) -> Iterator[None]:
    """Connections stay open and nothing answers."""
    assert server._server is not None
    family = [psutil.Process(server._server.pid), *psutil.Process(server._server.pid).children(recursive=True)]
    family = [process for process in family if process.is_running()]
    for process in family:
        process.suspend()
    yield
    for process in family:
        if process.is_running():
            process.resume()


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody keeps SQLite's only write lock."""
    holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


class Reading(Thread):
    """Reads one answer to its end, beside the test."""

    def __init__(self, chat: Chat, tokens: int) -> None:
        super().__init__(daemon=True)
        self.chat, self.tokens, self.turn = chat, tokens, Turn(200)
        self.start()

    def run(self) -> None:
        with self.chat.opened("Tell me a long story.", "sandbox/long", max_tokens=self.tokens) as (response, events):
            self.turn.status = response.status_code
            for event in events:
                self.turn.events.append(event)

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.turn.events) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(self.turn.events) >= count


def refused_soon(site: Site, chat: Chat) -> None:
    started = time.monotonic()
    refused = Chat(site, chat.user).send("And now?")
    assert (refused.status, refused.error["code"]) == (503, "unavailable")
    assert time.monotonic() - started < SOON


def whole_and_settled(chat: Chat, turn: Turn) -> None:
    """The answer is complete, stored to the last sign, and charged what was billed."""
    assert turn.closing.name == "message.completed", turn.closing
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    stored = chat.message(turn)
    assert (stored["status"], stored["content"]) == ("complete", turn.text)
    billed = [row for row in dispatches(chat.site) if row["state"] == "completed"]
    assert chat.used == stored["usage"]["total_tokens"] == sum(row["usage"]["total_tokens"] for row in billed)
    assert "0 differences" in chat.site.manage("audit_ledger", chat.user.email)


@pytest.mark.postgresql
@pytest.mark.parametrize("away", [dead, hanging])
def test_an_answer_outlives_a_postgresql_that_is_away_for_longer_than_a_producer_may_be_silent(
    own_postgres: Postgres, fresh_site: Callable[..., Site], away: Callable[[Postgres], Iterator[None]]
) -> None:
    url = own_postgres.create_database(f"outage_{away.__name__}", template=MIGRATED)  # type: ignore[attr-defined]
    site = fresh_site(pace="human", database_url=url)
    chat = Chat(site, site.new_user("pro"))
    site.command("set_rates", chat.user.email, "--tpm", "unlimited", "--reason", "test")
    reading = Reading(chat, 900)
    reading.until(20)
    with away(own_postgres):  # type: ignore[attr-defined]
        seen = len(reading.turn.events)
        for _ in range(3):
            refused_soon(site, chat)
        time.sleep(STALE + 2)
        assert len(reading.turn.events) > seen + 100, "the stream did not go on"
    reading.join(60)
    whole_and_settled(chat, reading.turn)
    assert "producer_lost" not in site.log_path.read_text() + site.worker_log_path.read_text()
    assert chat.send("Short, please.", "sandbox/hello").closing.name == "message.completed"


@pytest.mark.sqlite
def test_an_answer_outlives_a_lock_on_sqlite_held_longer_than_a_producer_may_be_silent(
    database: Databases, fresh_site: Callable[..., Site]
) -> None:
    url = database.migrated()
    site = fresh_site(pace="human", database_url=url)
    chat = Chat(site, site.new_user("pro"))
    reading = Reading(chat, 900)
    reading.until(20)
    with locked(url):
        time.sleep(STALE + 4)
    reading.join(60)
    whole_and_settled(chat, reading.turn)
    assert "producer_lost" not in site.log_path.read_text() + site.worker_log_path.read_text()


def test_a_producer_that_was_taken_for_dead_and_lives_takes_its_answer_back(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(pace="human")
    chat = Chat(site, site.new_user("pro"))
    reading = Reading(chat, 800)
    reading.until(20)
    site.send(signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 40
        while "producer_lost" not in site.worker_log_path.read_text() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "producer_lost" in site.worker_log_path.read_text()
    finally:
        site.send(signal.SIGCONT)
    turn_id = reading.turn.events[0].data["turn_id"]
    reading.join(60)
    whole_and_settled(chat, reading.turn)
    assert chat.resume(turn_id).text == reading.turn.text


@pytest.mark.long
def test_a_producer_that_comes_back_after_its_hold_was_settled_and_then_dies_leaves_no_reader_waiting(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site(pace="human")
    chat = Chat(site, site.new_user("pro"))
    with chat.opened("Tell me a long story.", "sandbox/long", max_tokens=4000) as (_, events):
        started = next(events).data
        for _ in range(40):
            next(events)
        site.send(signal.SIGSTOP)
        deadline = time.monotonic() + 60
        settled = "from quotas.models import Hold; print(list(Hold.objects.values_list('state', flat=True)))"
        while "['settled']" not in site.command("shell", "-c", settled) and time.monotonic() < deadline:
            time.sleep(0.3)
        site.send(signal.SIGCONT)
        for _ in range(120):  # it goes on, and saves
            next(events)
        site.kill()
    site.start()
    assert chat.resume(started["turn_id"]).closing.data["error"]["code"] == "interrupted"
    assert chat.held == 0
    site.command("audit_ledger")


@pytest.mark.postgresql
def test_the_money_is_right_when_the_process_dies_while_the_database_is_away(
    own_postgres: Postgres, fresh_site: Callable[..., Site]
) -> None:
    url = own_postgres.create_database("money", template=MIGRATED)
    site = fresh_site(pace="human", database_url=url, worker=False)
    chat = Chat(site, site.new_user("pro"))
    turn = Turn(200)
    with chat.opened("Tell me a long story.", "sandbox/long", max_tokens=200) as (_, events):
        while len(turn.events) < 60:
            turn.events.append(next(events))
    with dead(own_postgres):
        deadline = time.monotonic() + 30
        while dispatches(site)[-1]["state"] != "completed" and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)  # the producer has the upstream's bill, and nowhere to write it
        site.kill()
    site.start()
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.3)
    assert chat.held == 0, "not settled within 30 s"
    stored = chat.message(turn)
    [billed] = dispatches(site)
    assert stored["status"] == "interrupted"
    assert stored["content"]
    assert turn.text.startswith(stored["content"]) or stored["content"].startswith(turn.text)
    assert chat.used == stored["usage"]["total_tokens"] == billed["usage"]["total_tokens"]
    assert "0 differences" in site.manage("audit_ledger", chat.user.email)


SLOW = """
from django.db import connection
connection.cursor().execute('''
CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2.5); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON generations FOR EACH STATEMENT EXECUTE FUNCTION rest();''')
"""
QUICK = "from django.db import connection; connection.cursor().execute('DROP TRIGGER slow ON generations')"


@pytest.mark.postgresql
def test_a_turn_that_is_written_after_its_sender_was_refused_is_answered_under_its_key_and_else_ended(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site(worker=False)
    chat = Chat(site, site.new_user("pro"))
    key = {"Idempotency-Key": "again"}
    before = len(dispatches(site))
    site.command("shell", "-c", SLOW)
    refused_soon(site, chat)
    assert chat.send("Hello.", "sandbox/hello", headers=key).error["code"] == "unavailable"
    site.command("shell", "-c", QUICK)
    turn = chat.send("Hello.", "sandbox/hello", headers=key)
    assert turn.closing.name == "message.completed"
    assert turn.text == chat.message(turn)["content"]
    deadline = time.monotonic() + 20
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [call["state"] for call in dispatches(site)[before:]] == ["completed"]  # nobody asked for the other again
    states = "from chat.models import Generation; print(sorted(Generation.objects.values_list('state', flat=True)))"
    assert "['complete', 'stopped']" in site.command("shell", "-c", states)
    assert chat.used == dispatches(site)[-1]["usage"]["total_tokens"]
    assert "0 differences" in site.manage("audit_ledger", chat.user.email)
