"""What our keys have used against what we have recorded: whatever was billed without a record of ours shows here.

An ordinary key can't list its calls. But it says what it has used since it was made, and between two looks that
must be what our records of the time add up to, and what free calls cost the owner.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db.models import Q, QuerySet, Sum

from chat import upstream_keys
from chat.models import UpstreamFinding, UpstreamSpending
from chat.upstreams import Upstream, key_name
from oneai.kit.clock import now
from quotas.models import Hold, UsageRecord
from quotas.rollup import ESTIMATES

log = structlog.get_logger("reconciling")

LONGEST_CALL: Final = timedelta(hours=1)


def first_id(at: datetime) -> UUID:
    """Below all ids that were made at ``at`` or later, for ids sort by time; an hour of leave for clocks."""
    return UUID(int=max(0, int((at - LONGEST_CALL).timestamp() * 1000)) << 80)


def look(upstream: Upstream, grace: timedelta, checked_to: datetime) -> UpstreamSpending | None:
    """Write down what the keys have used and compare it with the look before; None when a key does not say.

    ``grace``: how long the upstream may take to count a call. Records up to ``checked_to`` have been compared.
    """
    used: dict[str, int] = {}
    for key in upstream.keys:
        seen = upstream_keys.look(upstream, key)
        if seen is None or seen.used is None:
            log.warning("spending_not_seen", upstream=upstream.name, key=key_name(key))
            return None
        used[key_name(key)] = seen.used
    at = now()
    found = UpstreamSpending(at=at, keys=used, running_nano_usd=_running(at, grace))
    last = UpstreamSpending.objects.order_by("-at").first()
    if last is not None and last.keys.keys() == used.keys():
        _compare(found, last, checked_to)
    found.save(force_insert=True)
    return found


def _records(since: datetime, until: datetime) -> QuerySet[UsageRecord]:
    return UsageRecord.objects.filter(id__gte=first_id(since), at__gt=since, at__lte=until)


def _running(at: datetime, grace: timedelta) -> int:
    """What the calls may cost that the upstream may count without us, or we without the upstream."""
    there = Q(state__in=["held", "orphaned"]) | Q(closed_at__gt=at)
    holds = Hold.objects.filter(there, id__gte=first_id(at), created_at__lte=at)
    recent = _records(at - grace, at)
    return sum(int(each.aggregate(sum=Sum("nano_usd"))["sum"] or 0) for each in (holds, recent))


def _compare(found: UpstreamSpending, last: UpstreamSpending, checked_to: datetime) -> None:
    recorded = _records(last.at, found.at).aggregate(sum=Sum("nano_usd"))["sum"] or 0
    records = _records(last.at, found.at).count()
    findings = UpstreamFinding.objects.filter(kind__in=["free", "corrected"])
    free = findings.filter(kind="free", recorded_at__gt=last.at, recorded_at__lte=found.at)
    explained = int(recorded) + int(free.aggregate(sum=Sum("nano_usd_billed"))["sum"] or 0)
    # Nobody has compared these yet: they may have cost what they held.
    open_question = Q(source__in=ESTIMATES) | Q(tokens=0, nano_usd=0)
    unsure = _records(max(last.at, checked_to), found.at).filter(open_question)
    held = unsure.aggregate(sum=Sum("hold__nano_usd"))["sum"] or 0
    # An older call may have been billed anew since, or only be known for what it was.
    older = findings.filter(recorded_at__lte=last.at, changed_at__gt=last.at)
    moved = sum(abs((each.nano_usd_billed or 0) - each.nano_usd_before) for each in older)
    billed = sum(found.keys.values()) - sum(last.keys.values())
    # Each record is rounded up to the nano.
    slack = last.running_nano_usd + found.running_nano_usd + int(held) + moved + records
    difference = billed - explained
    found.since = last.at
    found.billed_nano_usd, found.recorded_nano_usd, found.slack_nano_usd = billed, explained, slack
    found.unexplained_nano_usd = max(0, difference - slack) + min(0, difference + slack)
