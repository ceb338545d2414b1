"""What the owners hear of by mail: how far the day's ceiling is used, and spend beyond what plans cover.

Both are looked at by any number of workers. A row of ``owner_alerts`` is unique by its day and line, and whoever
marks it as told puts the mail into the outbox in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Sum

from accounts.owners import tell_owners
from oneai.kit import rows
from oneai.kit.clock import now
from quotas.alerts import NEARLY, WHOLLY
from quotas.models import LedgerEntry, OwnerAlert, PlatformCounter, Unit, UsageRecord
from quotas.wording import amount_text

log = structlog.get_logger("owners")

Kind = OwnerAlert.Kind
WRITTEN: Final = timedelta(minutes=1)  # an entry's time is that of its book, which may be committed a little later
_SHOWN: Final = 30


def _usd(nano: int) -> str:
    return amount_text(Unit.NANO_USD, nano)


def _calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


# The day's ceiling ----------------------------------------------------------------------------------
def watch_ceiling() -> int:
    """Note which line today's and yesterday's sums have reached, and tell of what is noted; how many mails."""
    yesterday = now().astimezone(UTC).date() - timedelta(days=1)
    sums = PlatformCounter.objects.filter(day__gte=yesterday).values("day").annotate(
        limit=Sum("quota_limit"), spent=Sum("used")
    )  # fmt: skip
    for row in sums:
        limit, used = int(row["limit"]), int(row["spent"])
        percent = WHOLLY if used >= limit else NEARLY if used * 100 >= limit * NEARLY else 0
        if percent and used:
            OwnerAlert.objects.get_or_create(day=row["day"], kind=Kind.CEILING, percent=percent, quota_limit=limit)
    told = 0
    for alert in OwnerAlert.objects.filter(kind=Kind.CEILING, told_at=None, day__gte=yesterday).order_by("percent"):
        with transaction.atomic():
            # Whoever changes the row has the alert.
            if OwnerAlert.objects.filter(pk=alert.pk, told_at=None).update(told_at=now()):
                _tell_of_ceiling(alert)
                told += 1
    return told


def _tell_of_ceiling(alert: OwnerAlert) -> None:
    sums = PlatformCounter.objects.filter(day=alert.day).aggregate(used=Sum("used"), held=Sum("held"))
    used, held = int(sums["used"] or 0), int(sums["held"] or 0)
    limit = _usd(alert.quota_limit)
    standing = (
        f"On {alert.day} (UTC) all accounts together have used {_usd(used)} of {limit}; {_usd(held)} are set aside "
        "for calls that run."
    )
    if alert.percent == WHOLLY:
        subject = f"the day's ceiling of {limit} stops calls"
        more = (
            "Calls that may cost more than what is left are refused until midnight UTC. To let them through today, "
            "raise PLATFORM_DAILY_USD and renew the processes."
        )
    else:
        subject = f"{alert.percent} % of the day's ceiling of {limit} are used"
        more = "Once all of it is used, calls are refused until midnight UTC. The setting is PLATFORM_DAILY_USD."
    log.warning("ceiling_reached", day=str(alert.day), percent=alert.percent, used=used, limit=alert.quota_limit)
    tell_owners(subject, f"{standing}\n\n{more}")


# Beyond what plans cover ------------------------------------------------------------------------------
def watch_overrun() -> int:
    """Tell of what was used beyond its holds since it was last told of; one mail a day at most, 1 when it is sent."""
    at = now()
    today = at.astimezone(UTC).date()
    past = OwnerAlert.objects.filter(kind=Kind.OVERRUN)
    if past.filter(day=today).exists():
        return 0
    last = past.order_by("-day").values_list("until", flat=True).first()
    since = last or datetime.combine(today - timedelta(days=1), time.min, UTC)
    until = at - WRITTEN
    holds = _overrun(since, until)
    if not holds:
        return 0
    with transaction.atomic():
        _, mine = OwnerAlert.objects.get_or_create(
            day=today, kind=Kind.OVERRUN, percent=0, quota_limit=0, defaults={"until": until, "told_at": at}
        )
        if not mine:
            return 0
        _tell_of_overrun(holds, since)
    return 1


def _overrun(since: datetime, until: datetime) -> Sequence[UUID]:
    """The holds of entries with overrun; letter by letter the condition of the partial index over these few."""
    this = rows.table(LedgerEntry)
    sql = (
        f"SELECT DISTINCT hold_id FROM {this.name} "  # noqa: S608 (a name of ours)
        "WHERE overrun_delta > 0 AND at > %s AND at <= %s AND hold_id IS NOT NULL"
    )
    found = this.decoded(("hold_id",), rows.query(this, sql, [this.to_db("at", since), this.to_db("at", until)]))
    return [row["hold_id"] for row in found]


def _tell_of_overrun(holds: Sequence[UUID], since: datetime) -> None:
    beyond: dict[str, list[int]] = {}
    for record in UsageRecord.objects.filter(hold_id__in=holds).select_related("user", "hold").iterator():
        sums = beyond.setdefault(record.user.email, [0, 0, 0])
        sums[0] += 1
        sums[1] += max(0, record.tokens - record.hold.tokens)
        sums[2] += max(0, record.nano_usd - record.hold.nano_usd)
    in_order = sorted(beyond.items(), key=lambda each: (-each[1][2], -each[1][1], each[0]))
    tokens, nano = (sum(each[index] for each in beyond.values()) for index in (1, 2))
    lines = [
        f"{address}: {amount_text(Unit.TOKENS, sums[1])} tokens, {_usd(sums[2])}, in {_calls(sums[0])}"
        for address, sums in in_order[:_SHOWN]
    ]
    if len(in_order) > _SHOWN:
        lines.append(f"and {len(in_order) - _SHOWN} accounts more")
    log.warning("overrun_told", accounts=len(beyond), tokens=tokens, nano_usd=nano)
    head = (
        f"Since {since:%Y-%m-%d %H:%M} UTC calls have used {amount_text(Unit.TOKENS, tokens)} tokens and cost "
        f"{_usd(nano)} beyond what was set aside for them: plans do not cover it, you pay for it."
    )
    tail = (
        "It comes of models that write past their caps, or that bill more than their prices say. What comes today "
        "after this mail is in the next one, tomorrow at the earliest."
    )
    tell_owners(f"{_usd(nano)} beyond what plans cover", "\n".join([head, "", *lines, "", tail]))
