"""The door of Razorpay's events, asked in this process: what is kept before anybody is told so, and what is not."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs

from billing import inbox
from billing.models import WebhookEvent
from oneai.hot_routes import ROUTES
from oneai.kit import database
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.hot import HotRoutes, Request
from tests.billing.inbox import ACCOUNT, DOORS, event, headers, new_id, signature

NEW, OLD = "n" * 32, "o" * 40


@pytest.fixture(autouse=True)
def _of_this_test(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two secrets, and a thread of this test's own that has let go of the database when it is over."""
    settings.RAZORPAY_WEBHOOK_SECRETS = [NEW, OLD]
    with ThreadPoolExecutor(1) as thread:
        monkeypatch.setattr(database, "_threads", thread)
        yield
        thread.submit(database.release_connection).result()


async def _known_by_nobody(request: Request) -> None:
    raise Refusal("not_authenticated")


def send(body: bytes, event_id: str | None = None, signed: str | None = None, door: str = DOORS[0]) -> tuple[int, Any]:
    """The status and body of what a POST is answered with; ``signed`` as in ``headers``."""
    given = headers(body, event_id, signature(body, NEW) if signed is None else signed)
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": door,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def answer(message: Any) -> None:
        said.append(message)

    assert asyncio.run(HotRoutes(ROUTES, _known_by_nobody)(scope, receive, answer))
    return said[0]["status"], json.loads(said[1]["body"])


def refusal(said: tuple[int, Any]) -> tuple[int, str]:
    return said[0], said[1]["error"]["code"]


@pytest.mark.django_db(transaction=True)
def test_what_is_signed_is_kept_once_as_it_came_and_then_acknowledged() -> None:
    one, body = new_id(), event("payment.captured", extra="₹")
    for door in DOORS:
        assert send(body, f" {one} ", door=door) == (200, {"status": "ok"})
    assert send(event("payment.failed"), one)[0] == 200
    row = WebhookEvent.objects.get()
    assert (row.source, row.event_id, row.event_type, row.account_id) == ("razorpay", one, "payment.captured", ACCOUNT)
    assert (row.body, str(row.state), row.attempts) == (body.decode(), "waiting", 0)
    old = new_id()
    assert send(body, old, signature(body, OLD)) == (200, {"status": "ok"})
    assert send(body)[0] == send(body)[0] == 200
    ids = WebhookEvent.objects.order_by("received_at").values_list("event_id", flat=True)
    assert list(ids) == [one, old, f"sha256:{hashlib.sha256(body).hexdigest()}"]


@pytest.mark.django_db
def test_what_is_not_signed_with_a_secret_of_the_list_is_refused_and_not_kept(settings: Any) -> None:
    body = event("payment.captured")
    for signed, why in (
        ("", "no signature"),
        ("0" * 64, "wrong signature"),
        (signature(body, "x" * 32), "wrong signature"),
        (signature(body + b"\n", NEW), "wrong signature"),
    ):
        with capture_logs() as logs:
            assert refusal(send(body, new_id(), signed)) == (400, "invalid_signature")
        (line,) = [each for each in logs if each["event"] == "webhook_rejected"]
        assert (line["reason"], line["bytes"]) == (why, len(body))
    settings.RAZORPAY_WEBHOOK_SECRETS = [NEW]
    assert refusal(send(body, new_id(), signature(body, OLD))) == (400, "invalid_signature")
    assert not WebhookEvent.objects.exists()


@pytest.mark.django_db
def test_without_a_secret_nothing_is_taken_whatever_it_is_signed_with(settings: Any) -> None:
    settings.RAZORPAY_WEBHOOK_SECRETS = []
    body = event("payment.captured")
    for signed in ("", signature(body, NEW)):
        assert refusal(send(body, new_id(), signed)) == (503, "payments_off")
    assert not WebhookEvent.objects.exists()


def test_an_event_that_can_not_be_kept_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: inbox.Incoming) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(inbox, "store", away)
    assert refusal(send(event("payment.captured"), new_id())) == (503, "unavailable")


# What is kept of it ----------------------------------------------------------------------------------
@pytest.mark.parametrize("odd", ["x" * 81, "evt_é", "evt\t1"])
def test_an_id_that_can_not_be_kept_as_it_is_stands_for_itself_by_its_hash(odd: str) -> None:
    assert inbox.incoming(b"{}", odd).event_id == f"id-sha256:{hashlib.sha256(odd.encode()).hexdigest()}"


def test_an_id_of_eighty_printable_characters_is_kept_as_it_is() -> None:
    assert inbox.incoming(b"{}", "x" * 80).event_id == "x" * 80


@pytest.mark.parametrize("body", [b"", b"[]", b'"\x00"', b"\xff\xfe"])
def test_a_body_that_is_no_event_has_no_type_and_is_kept_readable(body: bytes) -> None:
    kept = inbox.incoming(body, "evt_1")
    assert (kept.event_type, kept.account_id) == ("", "")
    assert "\x00" not in kept.body and kept.body == body.decode("utf-8", "replace").replace("\x00", "�")


@pytest.mark.django_db
def test_of_old_bodies_so_many_are_emptied_at_once_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TIDIED_AT_ONCE", 2)
    for days in (91, 93, 92):
        inbox.store(inbox.incoming(event(), f"evt_{days}"))
        WebhookEvent.objects.filter(event_id=f"evt_{days}").update(received_at=now() - timedelta(days=days))
    assert (inbox.tidy(), list(WebhookEvent.objects.exclude(body="").values_list("event_id", flat=True))) == (
        2, ["evt_91"],
    )  # fmt: skip
    assert (inbox.tidy(), inbox.tidy()) == (1, 0)
