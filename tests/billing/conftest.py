"""The imitated Razorpay of these tests: one of their own, because its clock and webhooks are one for all who use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Role, User
from billing import dispatch
from tests.accounts import people
from tests.billing.looked import Looked
from tests.billing.world import World
from tests.servers.sandbox import Sandbox


@pytest.fixture(scope="session")
def razorpay_sandbox(server_logs: Path) -> Iterator[Sandbox]:
    """A sandbox whose Razorpay nobody else uses at the same time: `.control()`, `.razorpay_walk()`."""
    server = Sandbox(server_logs)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def world(razorpay_sandbox: Sandbox, db: None, settings: Any) -> Iterator[World]:
    """The product in this process and Razorpay beside it, empty but for the plans' prices."""
    told = razorpay_sandbox.razorpay_settings()
    settings.RAZORPAY_KEY_ID = told["RAZORPAY_KEY_ID"]
    settings.RAZORPAY_KEY_SECRET = told["RAZORPAY_KEY_SECRET"]
    settings.RAZORPAY_WEBHOOK_SECRETS = [told["RAZORPAY_WEBHOOK_SECRET"]]
    settings.RAZORPAY_BASE_URL = told["RAZORPAY_BASE_URL"]
    with ExitStack() as moves:
        yield World(razorpay_sandbox, moves)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """All effects of events replaced by such as only note what they are asked to look at."""
    found = Looked()
    monkeypatch.setattr(dispatch, "_effects", {})
    dispatch.connect(**{kind: found.effect(kind) for kind in ("subscription", "payment", "order", "refund", "dispute")})
    return found


@pytest.fixture
def owner(db: None) -> User:
    """Somebody who owns the site, and hears of what goes wrong with money."""
    return people.make(role=Role.OWNER)
