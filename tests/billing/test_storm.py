"""Thousands of events at once, in any order and several times each, while Razorpay falters and workers are killed."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import ServerProcess
from tests.servers.sandbox import Sandbox
from tests.servers.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.faults]

LEASE = 3.0  # seconds
METHODS = ("card_international", "card_domestic", "upi", "emandate")
#: Of so many calls one fails in that way: of the handlers, which make some six calls, about a fifth.
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"every": 61},
    "502-html": {"every": 67},
    "reset": {"every": 149},
    "timeout": {"every": 401, "seconds": 1},
}
SHELL = "from tests.billing import storming; print(storming.{})"


class Storm:
    """A site whose workers are this test's, its Razorpay, and all that happened there before anybody was told."""

    def __init__(self, site: Site, razorpay: Sandbox, chance: random.Random, logs: Path, days: int) -> None:
        self.site, self.razorpay, self.chance, self.logs, self.days = site, razorpay, chance, logs, days
        self.workers: list[ServerProcess] = []
        self.kills = 0

    def ask(self, code: str) -> Any:
        return json.loads(self.site.command("shell", "-c", SHELL.format(code)).strip().splitlines()[-1])

    def control(self, path: str, body: object) -> Any:
        return self.razorpay.control(f"razorpay/{path}", body)

    # What happened -----------------------------------------------------------------------------------
    def pay(self, subscription: str, order: str) -> None:
        method = self.chance.choice(METHODS)
        if self.chance.random() < 0.3:
            self.control(f"subscription/{subscription}/authenticate", {"method": method, "ok": False})
        self.control(f"subscription/{subscription}/authenticate", {"method": method})
        self.control(f"order/{order}/pay", {"times": 1 + (self.chance.random() < 0.2)})
        said = [self.chance.random() < 0.8 for _ in range(4)]
        self.control(f"subscription/{subscription}/outcomes", {"next": said})

    def go_on(self, subscription: str) -> None:
        """What came of a subscription in the end: most of them run."""
        walks = {"": 60, "cancel": 15, "pause": 15, "complete": 5}
        walk = self.chance.choices(list(walks), list(walks.values()))[0]
        seen = self.razorpay.razorpay_events(about=subscription)
        running = "subscription.halted" not in {each["event"] for each in seen}
        if walk and (running or walk == "cancel") and (walk != "pause" or self.is_active(subscription)):
            self.control(f"subscription/{subscription}/{walk}", {})

    def is_active(self, subscription: str) -> bool:
        found = self.razorpay.control("razorpay/objects?kind=sub")["items"]
        return any(each["id"] == subscription and each["status"] == "active" for each in found)

    def give_back(self, share: float) -> None:
        for each in self.razorpay.control("razorpay/objects?kind=pay")["items"]:
            if each["status"] == "captured" and each["amount"] > 500 and self.chance.random() < share:
                part = self.chance.choice((None, each["amount"] // 3))
                self.control(f"payment/{each['id']}/refund", {"amount": part} if part else {})

    # Workers -----------------------------------------------------------------------------------------
    def start_workers(self, number: int) -> None:
        for index in range(number):
            command = [sys.executable, "-m", "tests.billing.storming", str(self.days), str(LEASE)]
            worker = ServerProcess(command, env=self.site.env, log_path=self.logs / f"storm-{index}.log")
            self.workers.append(worker)
            self.start(worker)

    def start(self, worker: ServerProcess) -> None:
        before = self._starts(worker)
        worker.start()
        worker.wait_until(lambda: self._starts(worker) > before)

    @staticmethod
    def _starts(worker: ServerProcess) -> int:
        return worker.log_path.read_text().count("serving") if worker.log_path.exists() else 0

    def kill_some(self, times: int) -> None:
        """Kill a worker that is at work and start another in its place; so many times, while events wait."""
        while self.kills < times and self.waiting():
            time.sleep(self.chance.uniform(0.1, 0.5))
            worker = self.chance.choice(self.workers)
            worker.kill()
            self.kills += 1
            self.start(worker)

    def waiting(self) -> int:
        return int(self.ask("inbox()")["states"].get("waiting", 0))

    # Delivery ----------------------------------------------------------------------------------------
    def deliver(self, ids: list[str]) -> None:
        """Send these events, in this order, until each was taken."""
        for begin in range(0, len(ids), 200):
            self.control("deliver", {"events": ids[begin : begin + 200]})

    def deliver_rest(self) -> bool:
        """Send what was not taken yet; whether there was any."""
        left = [each["id"] for each in self.razorpay.razorpay_events(brief="1") if each["state"] != "delivered"]
        self.deliver(left)
        return bool(left)

    def calm(self, seconds: float) -> None:
        """Wait until every event was delivered and handled, those that the handling led to among them."""
        end, quiet = time.monotonic() + seconds, 0
        while quiet < 4:
            assert time.monotonic() < end, self.ask("inbox()")
            quiet = 0 if self.deliver_rest() or self.waiting() else quiet + 1
            time.sleep(0.5)


@pytest.mark.timeout(7200)
def test_no_event_is_lost_and_none_counts_twice(
    fresh_site: Callable[..., Site], razorpay_sandbox: Sandbox, tmp_path: Path, full: bool
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, months = random.Random(seed), 3 if full else 1
    razorpay_sandbox.control("razorpay/reset", {})
    site = fresh_site(worker=False, settings=razorpay_sandbox.razorpay_settings())
    storm = Storm(site, razorpay_sandbox, chance, tmp_path, days=32 * months)
    sold = storm.ask(f"sell({520 if full else 10})")
    for subscription, order in sold:
        storm.pay(subscription, order)
    for _ in range(months):
        razorpay_sandbox.razorpay_advance(days=32)
    for subscription, _ in sold:
        storm.go_on(subscription)
    storm.give_back(0.1)
    events = [each["id"] for each in razorpay_sandbox.razorpay_events(brief="1")]
    deliveries = [each for each in events for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)
    assert len(events) >= (10_000 if full else 100)

    for fault, manner in FAULTS.items():
        storm.control("fault", {"fault": fault, "method": "GET", "times": 10**6} | manner)
    razorpay_sandbox.razorpay_webhooks(f"http://127.0.0.1:{site.port}/api/webhooks/razorpay", parallel=8)
    try:
        storm.start_workers(3 if full else 2)
        sender = threading.Thread(target=storm.deliver, args=(deliveries,))
        sender.start()
        while not storm.waiting():
            time.sleep(0.1)
        storm.kill_some(100 if full else 2)
        sender.join()
        storm.calm(3600 if full else 120)
    finally:
        for worker in storm.workers:
            worker.kill()
    found = storm.ask("inbox()")
    storm.control("fault", {"clear": True})
    print(f"{len(events)} events sent {len(deliveries)} times, {found}, {storm.kills} kills")
    assert storm.kills == (100 if full else 2)
    assert found["attempts"] > sum(found["states"].values())
    assert not storm.ask(f"compare({storm.days})")
