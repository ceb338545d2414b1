"""Effects of events that only note what they are asked to look at, and events for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core import mail

from billing import dispatch, inbox
from billing.models import WebhookEvent
from tests.billing.inbox import event, new_id

AGES = 600.0  # seconds: a round takes all that is due, however slow the machine is


class Looked:
    """Effects that note what they are asked to look at; ``fails`` maps an id to what it raises."""

    def __init__(self) -> None:
        self.at: list[tuple[str, str]] = []
        self.fails: dict[str, BaseException | Callable[[], None]] = {}

    def effect(self, kind: str) -> dispatch.Effect:
        def look(entity_id: str) -> None:
            self.at.append((kind, entity_id))
            failure = self.fails.get(entity_id)
            if isinstance(failure, BaseException):
                raise failure
            if failure is not None:
                failure()

        return look


def receive(kind: str = "payment.captured", payment: str = "pay_1", **fields: Any) -> WebhookEvent:
    payload = fields.pop("payload", {"payment": {"entity": {"id": payment}}})
    kept = inbox.incoming(event(kind, payload=payload, **fields), new_id())
    inbox.store(kept)
    return WebhookEvent.objects.get(event_id=kept.event_id)


def state(row: WebhookEvent) -> str:
    row.refresh_from_db()
    return str(row.state)


def mails() -> list[str]:
    return [sent.subject for sent in mail.outbox if "put aside" in sent.subject]
