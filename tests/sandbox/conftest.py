"""One sandbox process for this folder's tests, wiped before each of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.razorpay import Razorpay, Receiver
from tests.sandbox.wire import Client
from tests.servers.process import ServerProcess

START = 1_830_000_000  # 28 December 2027, 18:50 in India: later than any machine that runs this


@pytest.fixture(scope="session")
def _imitations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    log: Path = tmp_path_factory.mktemp("imitations") / "sandbox.log"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--smtp-port", "0", "--pace", "none"]
    server = ServerProcess(command, log_path=log)
    server.start()
    server.wait_until(lambda: "ready at" in server.log())
    line = server.log()
    port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
    smtp_port = int(line.split("smtp://127.0.0.1:")[1].split(")")[0])
    yield Client(port, smtp_port)
    server.stop(seconds=10)


@pytest.fixture
def box(_imitations: Client) -> Client:
    """A running sandbox that remembers nothing and writes as fast as it can."""
    _imitations.control("reset", {})
    _imitations.control("pace", {"pace": "none", "stall_seconds": 0.3})
    return _imitations


@pytest.fixture
def razorpay(box: Client) -> Razorpay:
    """The imitated Razorpay with nothing in it and a clock that stands still at a known time."""
    service = Razorpay(box)
    service.control("clock", {"frozen": True})
    service.control("clock", {"now": START})
    return service


@pytest.fixture
def receiver(razorpay: Razorpay) -> Iterator[Receiver]:
    """A site that takes this Razorpay's webhooks."""
    with Receiver().running() as running:
        razorpay.control("webhooks", {"url": running.url})
        yield running
        razorpay.control("reset", {})
