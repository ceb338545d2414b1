"""The inbox: an event whose signature was right becomes a row, once, before anybody is told that we have it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Min, Q

from billing.models import WebhookEvent, WebhookState
from billing.razorpay.events import NoEvent, read_event
from oneai.kit.clock import now

RAZORPAY: Final = "razorpay"
LONGEST_ID: Final = 80
BODY_KEPT: Final = timedelta(days=90)
TIDIED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified event as it came."""

    event_id: str
    event_type: str
    account_id: str
    body: str


def incoming(body: bytes, event_id: str) -> Incoming:
    """What is kept of a verified body; without an id of its own it is known by what it says."""
    if not event_id:
        event_id = f"sha256:{hashlib.sha256(body).hexdigest()}"
    elif len(event_id) > LONGEST_ID or not (event_id.isascii() and event_id.isprintable()):
        event_id = f"id-sha256:{hashlib.sha256(event_id.encode('utf-8', 'replace')).hexdigest()}"
    try:
        event = read_event(body)
        kind, account = event.type, event.account_id
    except NoEvent:
        kind, account = "", ""
    return Incoming(event_id, kind, account, body.decode("utf-8", "replace").replace("\x00", "\ufffd"))


def store(event: Incoming) -> None:
    """Keep the event, unless it is kept already; when this returns it is committed."""
    row = WebhookEvent(
        source=RAZORPAY,
        event_id=event.event_id,
        event_type=event.event_type,
        account_id=event.account_id,
        body=event.body,
    )
    # One statement: of those that come at the same moment the unique key lets one in, and refuses nobody.
    WebhookEvent.objects.bulk_create([row], ignore_conflicts=True)


def replay(event_ids: list[UUID]) -> list[WebhookEvent]:
    """Let the events be handled again from the beginning; those that are at work or have lost their body stay."""
    at = now()
    again = []
    for event in WebhookEvent.objects.filter(pk__in=event_ids).exclude(body=""):
        free = Q(lease_until=None) | Q(lease_until__lte=at)
        again += [event] * WebhookEvent.objects.filter(free, pk=event.pk).update(
            state=WebhookState.WAITING,
            attempts=0,
            due_at=at,
            lease_until=None,
            leased_by="",
            last_error="",
            handled_at=None,
        )
    return again


def oldest_unhandled() -> datetime | None:
    """When the oldest event came in that still waits; None when none does."""
    found: datetime | None = WebhookEvent.objects.filter(state=WebhookState.WAITING).aggregate(at=Min("received_at"))[
        "at"
    ]
    return found


def tidy() -> int:
    """Empty the bodies of events that came in more than 90 days ago; returns how many."""
    old = WebhookEvent.objects.filter(received_at__lt=now() - BODY_KEPT).exclude(body="")
    ids = list(old.order_by("received_at").values_list("pk", flat=True)[:TIDIED_AT_ONCE])
    return WebhookEvent.objects.filter(pk__in=ids).update(body="") if ids else 0
