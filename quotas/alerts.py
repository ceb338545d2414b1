"""Mails about limits that are nearly or wholly used: noted with the settlement that crossed the line.

``note`` runs under the account's lock, in the transaction that moves the counters; ``tell`` is a duty of
any number of workers. A limit and period has each alert once; a limit that was changed is another limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from accounts import notifications, teams
from accounts.models import User
from accounts.team_ids import is_team_id
from oneai.kit import rows
from oneai.kit.clock import now, uuid7
from quotas.admission import FLOOR
from quotas.days import zone_of
from quotas.models import QuotaAlert
from quotas.policy import TOKENS
from quotas.wording import amount_text, scope_text

if TYPE_CHECKING:
    from quotas.holding import Counter

log = structlog.get_logger("alerts")

NEARLY: Final = 80
WHOLLY: Final = 100


def reached(unit: str, limit: int | None, used: int) -> int:
    """80 or 100, the percentage of the limit that was reached, else 0.

    All of it is used when no answer fits any more: fewer tokens are left than an answer must have.
    """
    if not limit or used <= 0:
        return 0
    if limit - used < (FLOOR if unit == TOKENS else 1):
        return WHOLLY
    return NEARLY if used >= limit - limit // 5 else 0


def note(counters: Iterable[Counter], at: datetime) -> None:
    """Write down which of the counters crossed a line since they were read."""
    found = []
    for counter in counters:
        percent = reached(counter.unit, counter.limit, counter.used)
        if percent > counter.seen:
            found.append(
                {
                    "id": uuid7(),
                    "user_id": counter.user_id,
                    "counter_id": counter.id,
                    "percent": percent,
                    "scope": counter.scope,
                    "unit": counter.unit,
                    "quota_limit": counter.limit,
                    "used": counter.used,
                    "reset_at": counter.reset_at,
                    "created_at": at,
                    "told_at": None,
                }
            )
        counter.seen = percent
    rows.insert(QuotaAlert, found, ignore_conflicts=True)


def tell(most: int = 20) -> int:
    """Put the mails of up to ``most`` alerts into the outbox; returns how many alerts were dealt with."""
    told = 0
    for alert_id in QuotaAlert.objects.filter(told_at=None).order_by("created_at").values_list("pk", flat=True)[:most]:
        try:
            with transaction.atomic():
                # Whoever changes the row has the alert: the mail is written in the same transaction.
                if not QuotaAlert.objects.filter(pk=alert_id, told_at=None).update(told_at=now()):
                    continue
                _send(QuotaAlert.objects.select_related("user").get(pk=alert_id))
            told += 1
        except Exception:
            log.exception("alert_failed", alert=str(alert_id))
    return told


def _wanted(user: User) -> bool:
    return user.is_active and notifications.wanted(user, notifications.QUOTA)


def _send(alert: QuotaAlert) -> None:
    """To the person; of a team's quota its owner and admins hear."""
    if alert.reset_at <= now():
        return
    people = teams.stewards_of(alert.user_id) if is_team_id(alert.user_id) else [alert.user]
    for user in people:
        if _wanted(user):
            _tell(alert, user)


def _tell(alert: QuotaAlert, user: User) -> None:
    tokens = alert.unit == TOKENS
    context = {
        "name": user.name,
        "wholly": alert.percent == WHOLLY,
        "what": "tokens" if tokens else "budget",
        "whose": scope_text(alert.scope, team=is_team_id(alert.user_id)),
        "used": amount_text(alert.unit, alert.used),
        "limit": amount_text(alert.unit, alert.quota_limit),
        "left": amount_text(alert.unit, alert.quota_limit - alert.used),
        "reset": alert.reset_at.astimezone(zone_of(user.timezone)),
        "zone": str(zone_of(user.timezone)),
        "site_url": settings.SITE_URL,
        "current_site": {"name": settings.SITE_NAME},
    }
    subject = render_to_string("quotas/email/alert_subject.txt", context)
    mail = EmailMultiAlternatives(
        " ".join(subject.split()), render_to_string("quotas/email/alert_message.txt", context), to=[user.email]
    )
    mail.attach_alternative(render_to_string("quotas/email/alert_message.html", context), "text/html")
    mail.send()
