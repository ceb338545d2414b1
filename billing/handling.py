"""What becomes of the inbox: workers claim events under a lease and have their effects done.

Any number may work: each claims a row by a conditional update, so nothing is locked while Razorpay is
asked. An event is done once its effects are; a worker that dies before that leaves it to the next one,
and effects may be repeated. What fails waits longer each time and is at last put aside for staff.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F, Q

from accounts.models import AuditEntry
from accounts.owners import tell_owners
from billing import dispatch
from billing.models import WebhookEvent, WebhookState
from billing.razorpay.errors import NotFound, RazorpayError, TooMany, Unauthorised, Unavailable, Unreadable
from billing.razorpay.events import NoEvent, read_event
from oneai.kit import metrics
from oneai.kit.clock import now

log = structlog.get_logger("webhooks")

LEASE: Final = timedelta(minutes=5)  # above what the calls of one event can take
FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=24)
MOST_ATTEMPTS: Final = 15  # five days and a half
ONE_MAIL_IN: Final = timedelta(hours=1)
REPLAYED: Final = "webhook.replayed"


class PutAside(Exception):
    """The event will never do as it is; the text says why. ``alert``: it is not ours, and owners hear of it."""

    def __init__(self, why: str, *, alert: bool = True) -> None:
        super().__init__(why)
        self.alert = alert


def wait_after(attempts: int) -> timedelta:
    """How long after the ``attempts``-th failure the next try comes: 1 min, doubled, at most 24 h."""
    return min(LONGEST_WAIT, FIRST_WAIT * int(2 ** min(20, max(0, attempts - 1))))


def _due(at: datetime) -> Q:
    return Q(state=WebhookState.WAITING, due_at__lte=at) & (Q(lease_until=None) | Q(lease_until__lte=at))


def handle_due(limit: int = 50, seconds: float = 2.0) -> int:
    """Handle up to ``limit`` events that are due, begun within ``seconds``; returns how many needed no more.

    When Razorpay does not answer the round ends: one event has used up an attempt, the others wait as they are.
    """
    last = time.monotonic() + seconds
    ids = list(WebhookEvent.objects.filter(_due(now())).order_by("due_at").values_list("pk", flat=True)[:limit])
    finished = 0
    for event_id in ids:
        if time.monotonic() > last:
            break
        event = _claim(event_id)
        if event is None:
            continue
        try:
            finished += _handle(event)
        except RazorpayError:
            break
    return finished


def _claim(event_id: UUID) -> WebhookEvent | None:
    """The event, leased to us; None when somebody else has it."""
    at, token = now(), secrets.token_hex(16)
    claimed = WebhookEvent.objects.filter(_due(at), pk=event_id).update(
        lease_until=at + LEASE, leased_by=token, attempts=F("attempts") + 1
    )
    return WebhookEvent.objects.filter(pk=event_id, leased_by=token).first() if claimed else None


def _handle(event: WebhookEvent) -> bool:
    """Whether the event needs nothing more. Raises only when Razorpay has no answer for anybody."""
    try:
        state = _apply(event)
    except PutAside as why:
        return _end(event, WebhookState.DEAD, str(why), alert=why.alert)
    except (Unavailable, TooMany, Unauthorised) as error:
        _failed(event, error)
        if isinstance(error, Unreadable):  # it has answered, and others may be answered better
            return False
        raise
    except Exception as error:
        if not isinstance(error, RazorpayError):
            log.exception("webhook_failed", event_id=event.event_id, event_type=event.event_type)
        _failed(event, error)
        return False
    return _end(event, state)


def _apply(event: WebhookEvent) -> WebhookState:
    """Have the effects of an event done; the state that it is in then. PutAside, or whatever an effect raises."""
    if event.attempts > MOST_ATTEMPTS:  # each time its worker died before it could say what was wrong
        raise PutAside("no worker came to an end with it")
    try:
        told = read_event(event.body)
    except NoEvent as error:
        raise PutAside(f"no event: {error}") from error
    kinds = dispatch.KINDS.get(told.type)
    if kinds is None:
        return WebhookState.IGNORED
    if _is_foreign(event):
        raise PutAside(f"it is of another account, {event.account_id}")
    wanted = [(kind, told.entities[kind]) for kind in kinds if kind in told.entities]
    if not wanted:
        raise PutAside(f"it names no {' and no '.join(kinds)}")
    for kind, entity_id in wanted:
        try:
            dispatch.apply(kind, entity_id)
        except NotFound as error:
            raise PutAside(f"our key knows no {kind} {entity_id}: it is of another account or mode") from error
        except dispatch.NotOurs as error:
            raise PutAside(f"{kind} {entity_id}: {error}") from error
    return WebhookState.DONE


def _is_foreign(event: WebhookEvent) -> bool:
    """Whether the last event whose objects our key knew was of another account, and staff did not let this one in."""
    done = WebhookEvent.objects.filter(source=event.source, state=WebhookState.DONE).exclude(account_id="")
    known = done.order_by("-received_at").values_list("account_id", flat=True).first()
    if not event.account_id or known in (None, event.account_id):
        return False
    return not AuditEntry.objects.filter(action=REPLAYED, target=str(event.pk)).exists()


def _mine(event: WebhookEvent) -> Q:
    return Q(pk=event.pk, state=WebhookState.WAITING, leased_by=event.leased_by)


def _end(event: WebhookEvent, state: WebhookState, why: str = "", *, alert: bool = False) -> bool:
    """Note that nothing more is to be done; whether it was still ours to say so."""
    at = now()
    with transaction.atomic():
        noted = WebhookEvent.objects.filter(_mine(event)).update(
            state=state, handled_at=at, lease_until=None, leased_by="", last_error=why[:500]
        )
        if noted and alert:
            _tell(event, why, at)
    if noted:
        metrics.count("webhooks_handled", state.value)
    if why:
        log.warning("webhook_dead", event_id=event.event_id, event_type=event.event_type, why=why)
    return bool(noted)


def _failed(event: WebhookEvent, error: Exception) -> None:
    """Note a failure, and when to try again."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    why = f"{type(error).__name__}: {error}"
    if event.attempts >= MOST_ATTEMPTS:
        _end(event, WebhookState.DEAD, why, alert=True)
        return
    wait = wait_after(event.attempts)
    if isinstance(error, TooMany) and error.retry_after:
        wait = max(wait, timedelta(seconds=error.retry_after))
    WebhookEvent.objects.filter(_mine(event)).update(
        due_at=now() + wait, lease_until=None, leased_by="", last_error=why[:500]
    )
    log.warning("webhook_waits", event_id=event.event_id, kind=type(error).__name__, attempts=event.attempts)


def _tell(event: WebhookEvent, why: str, at: datetime) -> None:
    """A mail to the owners, unless they had one about another event within the hour."""
    lately = WebhookEvent.objects.filter(state=WebhookState.DEAD, handled_at__gt=at - ONE_MAIL_IN)
    if lately.exclude(pk=event.pk).exists():
        return
    tell_owners(
        "an event of Razorpay was put aside",
        f"The event {event.event_id} ({event.event_type or 'without a type'}) was signed with this site's secret, but "
        f"was not acted on:\n\n    {why}\n\nNothing was granted for it. It stands in the admin under webhook events, "
        "where it can be handled again. There is one such mail an hour at most.",
    )
