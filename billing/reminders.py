"""What customers are told of without a deed: a charge in a week, a plan that runs out then, the end of a trial
in three days, and refunds that have no paper to go with.

Duties of any number of workers; ``billing.emails`` sees to it that each is told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts import notifications
from billing import emails, ending, standing
from billing.models import Notice, Refund, Subscription, SubscriptionStatus
from oneai.kit.clock import now

RENEWAL_AHEAD: Final = timedelta(days=7)
TRIAL_AHEAD: Final = timedelta(days=3)
LOOKS_BACK: Final = timedelta(days=7)


def _not_told(kind: str, since: str, ahead: timedelta) -> QuerySet[Subscription]:
    """Running ones whose ``since`` lies ahead and of which nothing was told since that came near."""
    told = Notice.objects.filter(user=OuterRef("user"), kind=kind, created_at__gte=OuterRef(since) - ahead)
    near = {f"{since}__gt": now(), f"{since}__lte": now() + ahead, "cancel_at_cycle_end": False}
    rows = Subscription.objects.filter(~Exists(told), **near, user__is_active=True)
    return rows.select_related("user", "plan", "price__plan", "next_price__plan").order_by(F(since))


def announce(most: int = 100) -> int:
    """Write the reminders whose time has come, ``most`` at a time; returns how many."""
    told = 0
    for new in _written():
        told += new
        if told >= most:
            break
    return told


def _written() -> Iterator[bool]:
    """Write one reminder after the other; whether each was new."""
    renewing = _not_told("renewal_ahead", "current_period_end", RENEWAL_AHEAD)
    renewing = renewing.filter(Q(total_count=0) | Q(paid_count__lt=F("total_count")))
    for row in renewing.filter(status=SubscriptionStatus.ACTIVE).iterator():
        if notifications.wanted(row.user, notifications.RENEWALS):
            yield emails.renewal_ahead(row)
    for row in _not_told("runs_out", "allowed_until", RENEWAL_AHEAD).filter(status=SubscriptionStatus.COMPLETED):
        if ending.running_out(standing.holder_of(row)) == row:
            yield emails.runs_out(row)
    beginning = _not_told("trial_ends", "starts_at", TRIAL_AHEAD)
    for row in beginning.filter(status=SubscriptionStatus.AUTHENTICATED, trial=True):
        yield emails.trial_ends(row)
    for refund in _without_paper():
        yield emails.refund_made(refund)


def _without_paper() -> QuerySet[Refund]:
    """Refunds of payments that bought nothing: they have no invoice, and so no credit note that would tell of them."""
    told = Notice.objects.filter(
        user=OuterRef("payment__user"), kind="refund_made", created_at__gte=OuterRef("created_at")
    )
    rows = Refund.objects.filter(
        created_at__gt=now() - LOOKS_BACK, payment__effect_at=None, payment__user__is_active=True
    )
    told_of = (
        "payment__user",
        "payment__subscription__plan",
        "payment__subscription__price",
        "payment__purchase__pack",
    )
    return rows.exclude(status="failed").filter(~Exists(told)).select_related(*told_of).order_by("created_at")
