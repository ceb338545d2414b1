"""The inbox while processes are killed and the database is away: each payment is credited once, none is lost."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.billing.inbox import event, kept, new_id, send
from tests.faults.test_outage import MIGRATED, SOON, dead, hanging, own_postgres
from tests.servers.postgres import Postgres
from tests.servers.process import ServerProcess
from tests.servers.site import Site

__all__ = ["own_postgres"]
pytestmark = pytest.mark.faults

LEASE = 2.0  # seconds


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.25)
    return held


class Sender(threading.Thread):
    """Sends each event until it is acknowledged, and some once more, as Razorpay does."""

    def __init__(self, site: Site, payments: list[str], seed: int) -> None:
        super().__init__(daemon=True)
        self.site, self.random, self.unanswered = site, random.Random(seed), 0
        self.left = [(payment, new_id()) for payment in payments]
        self.left += self.random.choices(self.left, k=len(payments) // 2)
        self.random.shuffle(self.left)
        self.start()

    def run(self) -> None:
        while self.left:
            payment, event_id = self.left[0]
            body = event("payment.captured", payload={"payment": {"entity": {"id": payment}}})
            try:
                acknowledged = send(self.site, body, event_id).status_code == 200
            except httpx.HTTPError:
                acknowledged = False
            if acknowledged:
                self.left.pop(0)
            else:
                self.unanswered += 1
                time.sleep(0.1)
            time.sleep(self.random.random() * 0.05)


class Worker:
    """A process that handles the inbox; its end is the test's to bring about."""

    def __init__(self, site: Site, user_id: str, log_path: Path) -> None:
        command = [sys.executable, "-m", "tests.billing.inbox_worker", user_id, str(LEASE)]
        self._process = ServerProcess(command, env=site.env, log_path=log_path)
        self._log = log_path
        self.start()

    def _starts(self) -> int:
        return self._log.read_text().count("serving") if self._log.exists() else 0

    def start(self) -> None:
        """Start and wait until it is at work: one that is killed before shows nothing."""
        before = self._starts()
        self._process.start()
        self._process.wait_until(lambda: self._starts() > before)

    def kill(self) -> None:
        self._process.kill()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_killed_between_store_and_effect_lose_nothing_and_credit_nothing_twice(
    fresh_site: Callable[..., Site], tmp_path: Path, full: bool
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    payments = [f"pay_kill{number:04}" for number in range(400 if full else 60)]
    site = fresh_site(worker=False)
    site.new_user(email="buyer@example.com")
    find = "from accounts.models import User; print(User.objects.get(email='buyer@example.com').pk)"
    user_id = site.command("shell", "-c", find).strip().splitlines()[-1]
    sender = Sender(site, payments, seed)
    workers = [Worker(site, user_id, tmp_path / f"worker-{number}.log") for number in range(2)]
    killed = 0
    try:
        for _ in range(100 if full else 6):
            time.sleep(0.2 + chance.random())
            one = chance.choice(workers)
            one.kill()
            one.start()
            killed += 1
            if killed % 5 == 0:
                site.kill()
                site.start()
        sender.join(120)
        assert not sender.left, f"{len(sender.left)} were never acknowledged"
        done = until(lambda: {row["state"] for row in kept(site)} == {"done"}, 120)
        assert done, [row for row in kept(site) if row["state"] != "done"]
    finally:
        for each in workers:
            each.kill()
    assert sender.unanswered or not full
    rows = kept(site)
    assert len(rows) == len(payments)
    ask = (
        "import json; from quotas.models import Grant; "
        f"found = Grant.objects.filter(user_id={user_id!r}, kind='extra'); "
        "print(json.dumps(list(found.values_list('amount', flat=True))))"
    )
    given = json.loads(site.command("shell", "-c", ask).strip().splitlines()[-1])
    assert given == [100] * len(payments)
    assert "0 differences" in site.manage("audit_ledger", "buyer@example.com")


@pytest.mark.postgresql
def test_without_its_database_the_door_says_503_within_two_seconds_and_nothing_is_lost(
    own_postgres: Postgres, fresh_site: Callable[..., Site]
) -> None:
    url = own_postgres.create_database("inbox", template=MIGRATED)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE inbox SET synchronous_commit = on")  # as servers have it, but those of tests
    site = fresh_site(worker=False, database_url=url)
    sent: list[str] = []
    for away in (hanging, dead):
        sent += [new_id() for _ in range(3)]
        assert [send(site, event("a.b"), one).status_code for one in sent[-3:]] == [200] * 3
        with away(own_postgres):
            for _ in range(3):
                sent.append(new_id())
                started = time.monotonic()
                answer = send(site, event("a.b"), sent[-1])
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
                assert time.monotonic() - started < SOON
        for one in sent[-3:]:
            assert until(lambda one=one: send(site, event("a.b"), one).status_code == 200, 20)  # type: ignore[misc]
    assert sorted(row["event_id"] for row in kept(site)) == sorted(sent)
