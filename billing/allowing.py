"""Money into allowance: what a subscription gives goes through ``quotas.allowances``, each piece under its source.

Sources begin with ``sub:{subscription}:``; a paid cycle's go on with the second in which it began. What has been
given under a source is never given again. Everything here runs in the caller's transaction, under the lock of the
payer's money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from billing import cycles, payments
from billing.cycles import Limit, Span
from billing.models import Payment, Subscription
from billing.proration import remaining
from oneai.kit.clock import add_months, now, period_edges, utc_text
from quotas import allowances, grants, reading
from quotas.models import Allowance
from quotas.policy import PLAN_WIDE

Terms = Mapping[str, Any]
Sold = tuple[Terms, int]
"""Terms of a price, and how many of it."""

GRACE = "grace"
PAUSE = "pause"
DISPUTE = "dispute"


def receiver(row: Subscription) -> UUID:
    """The account that what is paid for ``row`` is given to: a team's has the team's id."""
    return row.team_id or row.user_id


def limits_of(terms: Terms, quantity: int) -> list[Limit]:
    """The limits of a month for so many seats."""
    return cycles.times(terms["limits"], quantity)


def cycle_source(row: Subscription, start: datetime) -> str:
    """What a paid cycle's allowance is known by."""
    return f"sub:{row.pk}:{int(start.timestamp())}"


def was_given(row: Subscription, source: str) -> bool:
    """Whether something stands under ``source``, ended or not."""
    return Allowance.objects.filter(user_id=receiver(row), source=source).exists()


def give_cycle(row: Subscription, terms: Terms, quantity: int, start: datetime, end: datetime) -> bool:
    """Give what the cycle [start, end) was paid for; False when it has been given.

    Grace follows it by itself. A cycle that is over when its payment arrives gives its tokens as a top-up of a
    month instead: they were paid for and could not be used.
    """
    source, at = cycle_source(row, start), now()
    limits = limits_of(terms, quantity)
    if end <= at:
        return _give_late(row, source, limits, at)
    if was_given(row, source):
        return False
    end_grace(row)
    row.metadata = {name: value for name, value in row.metadata.items() if name != "stopped"}
    _note_anchor(row, start)
    for span in cycles.spans(start, end, limits):
        _assign(row, terms, span, source, at, anchor=start)
    _assign(row, terms, cycles.grace(start, end, limits), f"{source}:{GRACE}", at)
    row.allowed_until = end
    return True


def _give_late(row: Subscription, source: str, limits: Sequence[Limit], at: datetime) -> bool:
    if was_given(row, source):  # it was given in time, and the fact comes once more
        return False
    amounts = {each["unit"]: each["limit"] for each in limits if each["scope"] == PLAN_WIDE and each["limit"]}
    if not amounts:
        return False
    until = period_edges(at, at)[1]
    return grants.grant(receiver(row), source, amounts, until=until, note="Paid late for an earlier month").new


def give_trial(row: Subscription, start: datetime, end: datetime) -> bool:
    """Give what a trial from ``start`` until ``end`` allows, and grace until its first payment has come."""
    source, at = f"sub:{row.pk}:trial", now()
    if was_given(row, source) or end <= at:
        return False
    span = cycles.trial(start, end, limits_of(row.terms, row.quantity))
    _note_anchor(row, start)
    _assign(row, row.terms, span, source, at, anchor=start)
    _bridge(row, end, span.limits, at)
    row.allowed_until = end
    return True


def _note_anchor(row: Subscription, start: datetime) -> None:
    """Note how the account's months were counted before this subscription began them anew."""
    if "months" not in row.metadata:
        before = allowances.anchor_of(receiver(row)).isoformat()
        row.metadata = row.metadata | {"months": {"before": before, "begun": start.isoformat()}}


def count_as_before(row: Subscription) -> None:
    """Count the account's months as before ``row``, which is ended and paid back: it bought no new month for free."""
    noted = row.metadata.get("months")
    if noted and allowances.anchor_of(receiver(row)) == datetime.fromisoformat(noted["begun"]):
        allowances.count_from(receiver(row), datetime.fromisoformat(noted["before"]), f"sub:{row.pk}")


def bridge(row: Subscription, start: datetime, before: Subscription) -> None:
    """Give the days of grace from ``start`` on, on which ``row``, which takes over from ``before``, is charged first.

    Nothing of it has been paid for yet, so none of its limits is larger there than that of ``before``.
    """
    if was_given(row, f"sub:{row.pk}:{GRACE}"):
        return
    had = {(each["scope"], each["unit"]): each["limit"] for each in limits_of(before.terms, before.quantity)}
    limits = []
    for each in limits_of(row.terms, row.quantity):
        both = [limit for limit in (each["limit"], had.get((each["scope"], each["unit"]))) if limit is not None]
        limits.append(each | {"limit": min(both, default=None)})
    _bridge(row, start, limits, now())


def _bridge(row: Subscription, start: datetime, limits: Sequence[Limit], at: datetime) -> None:
    span = Span(start, start + timedelta(days=cycles.GRACE_DAYS), cycles.times(limits, 1, cycles.GRACE_SHARE))
    _assign(row, row.terms, span, f"sub:{row.pk}:{GRACE}", at)


def bridge_again(row: Subscription) -> None:
    """Give the days around the first charge again, which a cancellation that was taken back had ended."""
    ended = Allowance.objects.filter(user_id=receiver(row), source=f"sub:{row.pk}:{GRACE}").order_by("-id").first()
    if ended is not None and row.starts_at is not None:
        span = Span(row.starts_at, row.starts_at + timedelta(days=cycles.GRACE_DAYS), ended.limits)
        _assign(row, row.terms, span, ended.source, now())


def raise_now(row: Subscription, cycle: Payment, before: Sold, after: Sold, key: str) -> bool:
    """Raise what the running cycle gives, for the rest of it: the difference in proportion; what was used counts.

    The month of the quota that runs gets its part, the months after it all of the new terms. ``key`` names the
    change: a repetition gives nothing.
    """
    start, end = cycle.period_start, cycle.period_end
    assert start is not None and end is not None
    at, source = now(), f"{cycle_source(row, start)}:{key}"
    if end <= at or was_given(row, source):
        return False
    had, wanted = limits_of(*before), limits_of(*after)
    month_start, month_end = period_edges(start, at)
    limits = cycles.raised(in_force(row) or had, had, wanted, remaining(month_start, month_end, at))
    last = cycles.months_end(start, end)
    edge = month_end if month_end <= last else max(end, at)
    with_grace = _end(row, lambda source: source.endswith(f":{GRACE}")) > 0
    _assign(row, after[0], Span(at, edge, limits), source, at)
    for span in cycles.spans(start, end, wanted):
        if span.until > edge:
            _assign(row, after[0], Span(max(edge, span.start), span.until, span.limits), source, at)
    if with_grace:
        _assign(row, after[0], cycles.grace(start, end, wanted), f"{source}:{GRACE}", at)
    return True


def give_grace_again(row: Subscription, cycle: Payment) -> None:
    """Give the days after the running cycle again, which a cancellation that was taken back had ended."""
    assert cycle.period_start is not None and cycle.period_end is not None
    span = cycles.grace(cycle.period_start, cycle.period_end, limits_of(row.terms, row.quantity))
    _assign(row, row.terms, span, f"{cycle_source(row, cycle.period_start)}:{GRACE}", now())


def in_force(row: Subscription) -> list[Limit]:
    """The limits that the account has now by this subscription; empty when it has none of it."""
    at = now()
    running = Q(until=None) | Q(until__gt=at)
    mine = Allowance.objects.filter(
        running, user_id=receiver(row), source__startswith=f"sub:{row.pk}:", starts_at__lte=at
    )
    newest = mine.order_by("-starts_at", "-id").first()
    return list(newest.limits) if newest else []


def pause(row: Subscription, why: str = PAUSE) -> None:
    """Stop what the subscription gives and remember what of it was left; once until it is resumed.

    Stopped already by its owner's pause it is stopped for ``why`` from now on, so that they can't resume it.
    """
    if "stopped" in row.metadata:
        if why != PAUSE:
            row.metadata = row.metadata | {"stopped": row.metadata["stopped"] | {"why": why}}
        return
    allowances.lock(receiver(row))  # what a call uses meanwhile would be left, too
    at, limits = now(), in_force(row)
    lasts = Allowance.objects.filter(
        user_id=receiver(row), source__startswith=f"sub:{row.pk}:", starts_at__lte=at, until__gt=at
    )
    until = lasts.order_by("-starts_at", "-id").values_list("until", flat=True).first()
    used = _used(row)
    rest = [
        limit | {"limit": None if limit["limit"] is None else max(0, limit["limit"] - used.get(_key(limit), 0))}
        for limit in limits
    ]
    row.metadata = row.metadata | {
        "stopped": {
            "why": why,
            "at": utc_text(at),
            "until": utc_text(until) if until else "",
            "limits": limits,
            "left": rest,
        }
    }
    end_all(row)


def stopped_for(row: Subscription) -> str:
    """Why what the subscription gives is stopped; empty when it is not."""
    return str((row.metadata.get("stopped") or {}).get("why", ""))


def resume(row: Subscription) -> None:
    """Give back what was stopped: until the paid end what there was, after it what was left, for the time left.

    Only for what is stopped (``stopped_for``).
    """
    stopped = row.metadata["stopped"]
    row.metadata = {name: value for name, value in row.metadata.items() if name != "stopped"}
    if not stopped["until"]:
        return
    at, until = now(), datetime.fromisoformat(stopped["until"])
    source = f"sub:{row.pk}:resumed:{int(at.timestamp())}"
    if until > at:
        _assign(row, row.terms, Span(at, until, stopped["limits"]), source, at)
    else:
        rest = until - datetime.fromisoformat(stopped["at"])
        _assign(row, row.terms, Span(at, at + rest, stopped["left"]), source, at, anchor=at)


def _assign(
    row: Subscription, terms: Terms, span: Span, source: str, at: datetime, anchor: datetime | None = None
) -> None:
    if span.until <= max(at, span.start):
        return
    allowances.assign(
        receiver(row),
        terms["plan"],
        span.limits,
        terms["rates"],
        terms["model_patterns"],
        source=source,
        anchor=anchor if span.start <= at else None,
        until=span.until,
        starts=span.start if span.start > at else None,
    )


def end_grace(row: Subscription) -> int:
    """End the days that were to bridge a renewal."""
    return _end(row, lambda source: source.endswith(f":{GRACE}"))


def end_all(row: Subscription) -> int:
    """End everything that the subscription gives now or later; what was used stays used."""
    return _end(row, lambda _: True)


def _end(row: Subscription, chosen: Callable[[str], bool]) -> int:
    lasts = Q(until=None) | Q(until__gt=now()) & Q(until__gt=F("starts_at"))
    mine = Allowance.objects.filter(lasts, user_id=receiver(row), source__startswith=f"sub:{row.pk}:")
    sources = sorted({source for source in mine.values_list("source", flat=True) if chosen(source)})
    return sum(allowances.end(receiver(row), source) for source in sources)


def quota_left(row: Subscription, cycle: Payment) -> list[tuple[int, int]]:
    """What is left of each limited plan-wide quota of a paid cycle, all its months together: (left, of)."""
    start, end = cycle.period_start, cycle.period_end
    assert start is not None and end is not None
    at = now()
    last = cycles.months_end(start, end)
    whole = max(1, _months(start, last))
    later = max(0, whole - 1 - _months(start, period_edges(start, at)[0]))
    stopped = row.metadata.get("stopped")
    held = {_key(each): each["limit"] for each in (stopped["left"] if stopped else in_force(row))}
    used = {} if stopped else _used(row)
    changed = bool(payments.of_changes(row, cycle))
    found = []
    for each in limits_of(row.terms, row.quantity):
        limit = each["limit"]
        if each["scope"] != PLAN_WIDE or limit is None:
            continue
        has = held.get(_key(each), 0)
        left = limit if has is None else max(0, min(limit, has - used.get(_key(each), 0)))
        # A month whose plan was changed in its middle has a part of the new limits: it is all that was sold.
        month = min(limit, has) if has and changed else limit
        found.append((left + later * limit, month + (whole - 1) * limit))
    return found


def _used(row: Subscription) -> dict[tuple[str, str], int]:
    """What has been used and is held of each limit of the account's own period, whoever pays for its calls now."""
    own = reading.payer(receiver(row)).caller
    return {key: counter.used + counter.held for key, counter in own.counters.items()}


def _key(limit: Mapping[str, Any]) -> tuple[str, str]:
    return limit["scope"], limit["unit"]


def _months(start: datetime, end: datetime) -> int:
    """Whole months from ``start`` to ``end``, which lies on an edge of the months counted from ``start``."""
    months = (end.year - start.year) * 12 + end.month - start.month
    return max(0, months - (add_months(start, months) > end))
