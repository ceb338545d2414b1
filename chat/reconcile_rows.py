"""The rows of reconciliation: which day is worked on by whom, how far it is, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, F, Sum

from accounts.owners import tell_owners
from chat.key_spending import first_id
from chat.models import UpstreamFinding, UpstreamReconciliation, UpstreamSpending
from oneai.kit.clock import now
from oneai.kit.money import usd_string
from quotas.models import UsageRecord

Kind = UpstreamFinding.Kind
ALONE: Final = (Kind.MISSING, Kind.NAMELESS, Kind.UNCLEAR)
"""What has no partner, and owners are told of."""

LEASE: Final = timedelta(minutes=2)  # longer than a slice takes of which every look-up is slow
_SHOWN: Final = 30


def begins(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time.min, UTC)


# Whose turn it is -----------------------------------------------------------------------------------
def claim(day: date) -> UpstreamReconciliation | None:
    """The day's row, made when it is missing and kept from others for LEASE; None when somebody has it."""
    at = now()
    row, _ = UpstreamReconciliation.objects.get_or_create(day=day, defaults={"leased_until": at})
    until = at + LEASE
    if not UpstreamReconciliation.objects.filter(pk=row.pk, leased_until__lte=at).update(leased_until=until):
        return None
    row.refresh_from_db()
    return row


def save(row: UpstreamReconciliation, until: datetime) -> bool:
    """Write how far the pass is and keep the row until ``until``; False when it was somebody else's meanwhile."""
    mine = UpstreamReconciliation.objects.filter(pk=row.pk, leased_until=row.leased_until)
    row.leased_until = until
    values = {name: getattr(row, name) for name in ("checked", "matched", "reached", "failures", "finished_at")}
    return bool(mine.update(leased_until=until, **values))


def begin(row: UpstreamReconciliation) -> None:
    """From the first record again; what was found stays until it is found otherwise."""
    row.checked = row.matched = row.failures = 0
    row.reached = row.finished_at = None


def next_records(row: UpstreamReconciliation, until: datetime, most: int) -> list[UsageRecord]:
    """The records of the day that come next, settled before ``until``, in the order of their ids."""
    first, end = begins(row.day), min(begins(row.day + timedelta(days=1)), until)
    found = UsageRecord.objects.filter(at__gte=first, at__lt=end, id__gte=first_id(first))
    if row.reached is not None:
        found = found.filter(id__gt=row.reached)
    return list(found.select_related("hold").order_by("id")[:most])


def sum_up(row: UpstreamReconciliation) -> None:
    """Have the row show the day's findings."""
    found = UpstreamFinding.objects.filter(day=row.day)
    counts = {each["kind"]: each["many"] for each in found.values("kind").annotate(many=Count("id")).order_by()}
    moved = found.filter(kind=Kind.CORRECTED).aggregate(
        tokens=Sum(F("tokens_billed") - F("tokens_before")), nano=Sum(F("nano_usd_billed") - F("nano_usd_before"))
    )
    free = found.filter(kind=Kind.FREE).aggregate(nano=Sum("nano_usd_billed"))["nano"]
    UpstreamReconciliation.objects.filter(pk=row.pk).update(
        **{kind.value: counts.get(kind.value, 0) for kind in Kind},
        tokens_difference=moved["tokens"] or 0,
        nano_usd_difference=moved["nano"] or 0,
        free_nano_usd=free or 0,
    )


# What was found -------------------------------------------------------------------------------------
def note(record: UsageRecord, kind: Kind, billed: tuple[int, int] | None = None) -> None:
    """Write a finding down; what was thought of the record before, and is not so, goes.

    ``billed``: tokens and nano-USD that the upstream says. A second correction keeps what the first one began with.
    """
    forget(record, [each for each in (*ALONE, Kind.FREE) if each != kind])
    said: dict[str, Any] = {}
    if billed is not None:
        said = {"tokens_billed": billed[0], "nano_usd_billed": billed[1]}
    if UpstreamFinding.objects.filter(record_id=record.pk, kind=kind, **said).exists():
        return
    said["changed_at"] = now()
    UpstreamFinding.objects.update_or_create(
        record_id=record.pk,
        kind=kind,
        defaults=said,
        create_defaults={
            "day": record.at.astimezone(UTC).date(),
            "upstream_id": record.upstream_id,
            "model_id": record.model_id,
            "recorded_at": record.at,
            "tokens_before": record.tokens,
            "nano_usd_before": record.nano_usd,
            **said,
        },
    )


def forget(record: UsageRecord, kinds: Sequence[Kind] = (*ALONE, Kind.FREE)) -> None:
    """Nothing of ``kinds`` is so any more."""
    UpstreamFinding.objects.filter(record_id=record.pk, kind__in=kinds).delete()


def as_json(finding: UpstreamFinding) -> dict[str, Any]:
    """A finding for programs; amounts in tokens and nano-USD, null where the upstream says nothing."""
    return {
        "day": finding.day.isoformat(),
        "kind": finding.kind,
        "record_id": str(finding.record_id),
        "upstream_id": finding.upstream_id or None,
        "model": finding.model_id,
        "tokens_before": finding.tokens_before,
        "tokens_billed": finding.tokens_billed,
        "nano_usd_before": finding.nano_usd_before,
        "nano_usd_billed": finding.nano_usd_billed,
    }


def line(finding: UpstreamFinding) -> str:
    """A finding for people."""
    said = f"we have {finding.tokens_before} tokens, ${usd_string(finding.nano_usd_before)}"
    if finding.tokens_billed is not None and finding.nano_usd_billed is not None:
        said += f"; billed {finding.tokens_billed} tokens, ${usd_string(finding.nano_usd_billed)}"
    name = finding.upstream_id or f"record {finding.record_id}"
    return f"{finding.day}  {finding.kind}  {finding.model_id}  {name}: {said}"


# Who hears of it ------------------------------------------------------------------------------------
def tell() -> bool:
    """Mail the owners what has no partner and was not told of; whether there was anything."""
    at = now()
    with transaction.atomic():
        # Whoever holds the rows tells of them.
        findings = UpstreamFinding.objects.filter(kind__in=ALONE, told_at=None).order_by("id")
        fresh = list(findings.select_for_update(skip_locked=True))
        spendings = UpstreamSpending.objects.filter(told_at=None).exclude(unexplained_nano_usd=None)
        spent = list(spendings.exclude(unexplained_nano_usd=0).order_by("at").select_for_update(skip_locked=True))
        if not fresh and not spent:
            return False
        UpstreamFinding.objects.filter(pk__in=[each.pk for each in fresh]).update(told_at=at)
        UpstreamSpending.objects.filter(pk__in=[each.pk for each in spent]).update(told_at=at)
        lines = ["Our records and the upstream's were compared, and something has no partner.", ""]
        lines += [spending_line(each) for each in spent]
        lines += [line(each) for each in fresh[:_SHOWN]]
        if len(fresh) > _SHOWN:
            lines.append(f"and {len(fresh) - _SHOWN} more")
        lines += [
            "",
            "Nothing of this was changed. `python manage.py reconcile` shows all, and so does the staff desk.",
        ]
        tell_owners("the upstream's books are not ours", "\n".join(lines))
    return True


def spending_line(spending: UpstreamSpending) -> str:
    """What the keys say, for people."""
    billed, recorded, unexplained = (
        spending.billed_nano_usd, spending.recorded_nano_usd, spending.unexplained_nano_usd
    )  # fmt: skip
    if billed is None or recorded is None or unexplained is None or spending.since is None:
        return "The keys' spending was noted; it is compared at the next look."
    what = "nothing is unexplained"
    if unexplained > 0:
        what = f"${usd_string(unexplained)} at least are billed and not recorded"
    elif unexplained < 0:
        what = f"${usd_string(-unexplained)} at least are recorded and not billed"
    span = f"From {spending.since:%Y-%m-%d %H:%M} to {spending.at:%Y-%m-%d %H:%M} UTC"
    return f"{span} the keys used ${usd_string(billed)}; our records of the time say ${usd_string(recorded)}: {what}."
