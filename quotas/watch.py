"""The scheduled check of the ledger: some accounts a run, all of them in turn; the owner hears of what differs."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from accounts.models import Role, User
from oneai.kit.clock import now
from quotas import invariants
from quotas.invariants import INVARIANTS, Report
from quotas.models import LedgerCheck, QuotaAccount

log = structlog.get_logger("ledger")

EVERY: Final = timedelta(minutes=10)
BUDGET_SECONDS: Final = 20.0
KEPT: Final = timedelta(days=30)
REMIND_AFTER: Final = timedelta(days=1)
_SHOWN: Final = 50


def check_some(budget: float = BUDGET_SECONDS) -> int:
    """Check the accounts that come after the last run's, for ``budget`` seconds, and the platform's sums.

    Returns how many accounts were checked; 0 as well when another worker did it within ``EVERY``.
    """
    at = now()
    last = LedgerCheck.objects.order_by("-at").first()
    if last is not None and last.at > at - EVERY:
        return 0
    began, differences, number = time.monotonic(), invariants.check_platform(at, at.date() - timedelta(days=1)), 0
    reached: UUID | None = None
    for user_id in _after(last.last_account if last is not None else None):
        differences += invariants.check_account(user_id)
        number, reached = number + 1, user_id
        if time.monotonic() - began > budget:
            break
    else:
        reached = None  # from the first again
    _note(Report(number, differences), reached)
    LedgerCheck.objects.filter(at__lt=at - KEPT).delete()
    return number


def _after(user_id: UUID | None) -> list[UUID]:
    accounts = QuotaAccount.objects.filter(entry_seq__gt=0).order_by("pk")
    if user_id is not None:
        accounts = accounts.filter(pk__gt=user_id)
    return list(accounts.values_list("pk", flat=True)[:10_000])


def _note(report: Report, reached: UUID | None) -> None:
    """Write the run down, and mail the owners what is new in it."""
    found = [invariants.as_json(difference) for difference in report.differences[:_SHOWN]]
    for each in found:
        log.error("ledger_differs", **each)
    with transaction.atomic():
        since = now() - REMIND_AFTER
        earlier = LedgerCheck.objects.filter(at__gt=since, differences__gt=0).values_list("found", flat=True)
        said = [each for run in earlier for each in run]
        LedgerCheck.objects.create(
            accounts=report.accounts, last_account=reached, differences=len(report.differences), found=found
        )
        if any(each not in said for each in found):
            _mail(report, found)


def _mail(report: Report, found: list[dict[str, object]]) -> None:
    owners = list(User.objects.filter(role=Role.OWNER, is_active=True).values_list("email", flat=True))
    if not owners:
        return
    lines = [
        f"{each['invariant']}  {each['account_id'] or 'platform'}  {each['what']}  {each['row']}: "
        f"stored {each['stored']}, replayed {each['replayed']}"
        for each in found
    ]
    broken = [f"{number}  {INVARIANTS[number]}" for number in report.broken]
    body = "\n".join(
        [
            f"The scheduled check of the ledger at {settings.SITE_URL} found {len(report.differences)} differences.",
            "Nothing was changed. `python manage.py audit_ledger` shows them all.",
            "",
            *broken,
            "",
            *lines,
        ]
    )
    EmailMessage("The ledger does not add up", body, to=owners).send()
