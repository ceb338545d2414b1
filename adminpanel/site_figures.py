"""What the database says of the whole site, for whoever watches it: the same in whichever process is asked.

Read at most every ten seconds in a process; no figure names a person.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Min, Sum

from accounts.models import OutgoingMail, User
from billing import inbox
from billing.models import Difference, Payment, Subscription, SubscriptionChange, WebhookEvent
from chat.models import UpstreamKey
from oneai.kit.clock import now
from quotas.models import Hold, LedgerCheck, PlatformCounter

READ_EVERY: Final = 10.0  # seconds


@dataclass(slots=True)
class Figure:
    """A figure of the site: ``values`` by their labels. ``total``: it only ever grows."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    total: bool = False
    values: dict[tuple[str, ...], float] = field(default_factory=dict)


_read: tuple[float, list[Figure]] = (float("-inf"), [])


def figures() -> list[Figure]:
    """All of them. DatabaseError when it does not answer."""
    global _read
    at = time.monotonic()
    if at - _read[0] >= READ_EVERY:
        _read = (at, _look())
    return _read[1]


def _age(at: datetime | None) -> float:
    return 0.0 if at is None else max(0.0, (now() - at).total_seconds())


def _look() -> list[Figure]:
    mails = OutgoingMail.objects.order_by().values_list("state").annotate(count=Count("pk"))
    unsent = OutgoingMail.objects.filter(state=OutgoingMail.State.WAITING).aggregate(at=Min("created_at"))["at"]
    events = WebhookEvent.objects.order_by().values_list("state").annotate(count=Count("pk"))
    sold = Subscription.objects.order_by().values_list("plan__code", "status").annotate(count=Count("pk"))
    changes = SubscriptionChange.objects.order_by().values_list("kind").annotate(count=Count("pk"))
    paid = Payment.objects.order_by().values_list("status").annotate(count=Count("pk"))
    holds = Hold.objects.filter(state__in=[Hold.State.HELD, Hold.State.ORPHANED])
    held = holds.order_by().values_list("state").annotate(count=Count("pk"))
    keys = UpstreamKey.objects.filter(is_configured=True).order_by().values_list("state").annotate(count=Count("pk"))
    today = PlatformCounter.objects.filter(day=now().date()).aggregate(
        used=Sum("used"), held=Sum("held"), limit=Sum("quota_limit")
    )
    check = LedgerCheck.objects.order_by("-at").first()
    return [
        _by("subscriptions", "Subscriptions by plan and status.", ("plan", "status"), sold),
        _by("subscription_changes", "What happened to subscriptions.", ("kind",), changes, total=True),
        _by("payments", "Payments by status.", ("status",), paid),
        _by("webhooks", "Events in the inbox by state.", ("state",), events),
        _one("webhook_oldest_seconds", "How long the oldest event has waited.", _age(inbox.oldest_unhandled())),
        _one(
            "webhook_last_seconds",
            "How long ago an event came in.",
            _age(WebhookEvent.objects.aggregate(at=Max("received_at"))["at"]),
        ),
        _by("mails", "Mails in the outbox by state.", ("state",), mails),
        _one("mail_oldest_seconds", "How long the oldest mail has waited.", _age(unsent)),
        _by("holds", "Calls that hold quota.", ("state",), held),
        _one("hold_silent_seconds", "How long the quietest running call has given no sign.",
             _age(holds.filter(state=Hold.State.HELD).aggregate(at=Min("heartbeat_at"))["at"])),
        _by("upstream_keys", "Our keys at upstreams by state.", ("state",), keys),
        _one("platform_spent_nano_usd", "What today's calls have cost, in nano-USD.", float(today["used"] or 0)),
        _one("platform_held_nano_usd", "What running calls may cost.", float(today["held"] or 0)),
        _one("platform_limit_nano_usd", "What today's calls may cost together.", float(today["limit"] or 0)),
        _one("ledger_differences", "What the last check of it found.", float(check.differences if check else 0)),
        _one("ledger_check_seconds", "How long ago the ledger was checked.", _age(check.at if check else None)),
        _one("billing_differences", "Differences with Razorpay that stand.",
             float(Difference.objects.filter(repaired_at=None).count())),
        _one("users", "People with an account.", float(User.objects.filter(is_active=True).count())),
    ]  # fmt: skip


def _by(name: str, says: str, labels: tuple[str, ...], rows: object, *, total: bool = False) -> Figure:
    values = {tuple(map(str, row[:-1])): float(row[-1]) for row in rows}  # type: ignore[attr-defined]
    return Figure(name, says, labels, total, values)


def _one(name: str, says: str, value: float) -> Figure:
    return Figure(name, says, values={(): value})
