"""What came in, went back and recurs, out of billing's own rows: payments, refunds, invoices. Amounts are paise.

Days are those of India, as on invoices. A payment counts on the day it was made, a refund on the day that it was
processed, tax on the day of its paper. All days together are what the books say, to the paisa.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, CharField, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, TruncDate

from billing import payments, refunds
from billing.invoice_numbers import INDIA
from billing.models import Invoice, InvoiceKind, Payment, Refund
from oneai.kit.clock import now

PACKS: Final = "packs"
"""Stands for a plan where a pack of tokens was bought."""
OTHER: Final = "other"
_A_DAY: Final = timedelta(days=1)
_ZONE: Final = timezone(INDIA.utcoffset(None))  # without its name, which databases take for another's
_LONG: Final = timedelta(days=60)  # no month is as long, and every year is longer
_MADE: Final = Coalesce("processed_at", "created_at")


@dataclass(frozen=True, slots=True)
class Money:
    """What happened to money in some days, in paise; ``tax`` is within what was paid, less what went back with it."""

    payments: int = 0
    paid: int = 0
    refunds: int = 0
    refunded: int = 0
    invoiced: int = 0
    tax: int = 0
    failed: int = 0
    failed_paise: int = 0

    @property
    def net(self) -> int:
        """What is kept, tax included."""
        return self.paid - self.refunded

    def plus(self, other: Money) -> Money:
        return Money(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES: Final = tuple(field.name for field in fields(Money))


@dataclass(frozen=True, slots=True)
class Recurring:
    """One holder's running cycle: what it comes to by the month, in paise."""

    plan: str
    paise: int


@dataclass(frozen=True, slots=True)
class Churn:
    """Who paid at the beginning of some days and no longer does at their end."""

    at_start: int
    lost: int
    mrr_at_start: int
    mrr_lost: int
    new: int


Holder = tuple[UUID, UUID | None]


def moments(first: date, last: date) -> tuple[datetime, datetime]:
    """The first moment of ``first``, and the first after ``last``, in India."""
    return datetime.combine(first, time.min, INDIA), datetime.combine(last + _A_DAY, time.min, INDIA)


def today() -> date:
    """Today in India."""
    return now().astimezone(INDIA).date()


# Added up -----------------------------------------------------------------------------------------
def total(first: date, last: date) -> Money:
    """All of it, from ``first`` to ``last``, both included."""
    found = Money()
    for each in by_plan(first, last).values():
        found = found.plus(each)
    return found


def by_day(first: date, last: date) -> dict[date, Money]:
    """By day; days without anything are not there."""
    return _collect(
        (rows.annotate(of=TruncDate(when, tzinfo=_ZONE)), sums) for rows, when, sums in _sources(first, last)
    )


def by_plan(first: date, last: date) -> dict[str, Money]:
    """By the plan that its subscription has now; packs of tokens are ``packs``."""
    return _collect(
        (rows.annotate(of=_plan_of(links)), sums)
        for (rows, _, sums), links in zip(_sources(first, last), _LINKS, strict=True)
    )


_LINKS: Final = (
    ("",), ("payment__",), ("payment__", "refund__payment__", "corrects__payment__", "replaces__payment__"), ("",),
)  # fmt: skip
"""For each source, by which ways its rows lead to a payment."""


def _plan_of(links: Iterable[str]) -> Any:
    ways = tuple(links)
    plan = [F(f"{way}subscription__plan__code") for way in ways]
    packs = Q()
    for way in ways:
        packs |= Q(**{f"{way}purchase__isnull": False})
    rest = Case(When(packs, then=Value(PACKS)), default=Value(OTHER), output_field=CharField())
    return Coalesce(*plan, rest, output_field=CharField())


Source = tuple[QuerySet[Any], Any, dict[str, Any]]


def _sources(first: date, last: date) -> list[Source]:
    """The rows of those days, what gives their day, and what of them is added up, by the names of ``Money``."""
    begin, end = moments(first, last)
    paid = Payment.objects.filter(status__in=payments.PAID, paid_at__gte=begin, paid_at__lt=end)
    back = Refund.objects.exclude(status=refunds.FAILED).exclude(razorpay_refund_id=None).annotate(made=_MADE)
    papers = Invoice.objects.filter(issued_at__gte=begin, issued_at__lt=end)
    failed = Payment.objects.filter(status="failed", created_at__gte=begin, created_at__lt=end)
    tax = F("cgst_paise") + F("sgst_paise") + F("igst_paise")
    written, taken = Q(kind=InvoiceKind.INVOICE), Q(kind=InvoiceKind.CREDIT_NOTE)

    def less(what: Any) -> Any:
        return Coalesce(Sum(what, filter=written), 0) - Coalesce(Sum(what, filter=taken), 0)

    return [
        (paid, "paid_at", {"payments": Count("pk"), "paid": Sum("amount_paise")}),
        (back.filter(made__gte=begin, made__lt=end), "made",
         {"refunds": Count("pk"), "refunded": Sum("amount_paise")}),
        (papers, "issued_at", {"invoiced": less("total_paise"), "tax": less(tax)}),
        (failed, "created_at", {"failed": Count("pk"), "failed_paise": Sum("amount_paise")}),
    ]  # fmt: skip


def _collect(parts: Iterable[tuple[QuerySet[Any], Mapping[str, Any]]]) -> dict[Any, Money]:
    found: dict[Any, Money] = {}
    for rows, sums in parts:
        named = {f"sum_{name}": value for name, value in sums.items()}
        for row in rows.order_by().values("of").annotate(**named):
            part = Money(**{name: int(row[f"sum_{name}"] or 0) for name in sums})
            found[row["of"]] = found.get(row["of"], Money()).plus(part)
    return found


# What recurs --------------------------------------------------------------------------------------
def recurring(at: datetime) -> dict[Holder, Recurring]:
    """By who pays: what the paid cycles that run at ``at`` come to by the month, refunds taken off."""
    cycles = Payment.objects.filter(
        subscription__isnull=False, period_start__lte=at, period_end__gt=at, effect_at__isnull=False
    ).exclude(dispute=payments.LOST)
    found: dict[Holder, Recurring] = {}
    running: dict[UUID, tuple[Holder, str, datetime, datetime]] = {}
    worth: dict[UUID, int] = {}
    for row in cycles.select_related("subscription__plan").order_by("period_start", "pk").iterator(chunk_size=2000):
        bought = row.subscription
        if bought is None or row.period_start is None or row.period_end is None or _has_ended(bought, at):
            continue
        running[bought.pk] = ((bought.user_id, bought.team_id), bought.plan.code, row.period_start, row.period_end)
        worth[bought.pk] = row.amount_paise - row.refunded_paise
    changes = Payment.objects.filter(subscription__isnull=False, period_start=None, effect_at__isnull=False)
    recent = changes.filter(paid_at__lte=at, paid_at__gt=at - timedelta(days=367)).exclude(dispute=payments.LOST)
    for key, paid_at, paise, back in recent.values_list("subscription_id", "paid_at", "amount_paise", "refunded_paise"):
        if key in running and paid_at is not None and running[key][2] <= paid_at:
            worth[key] += paise - back
    for key, (holder, plan, start, end) in running.items():
        months = 12 if end - start > _LONG else 1
        paise = (2 * worth[key] + months) // (2 * months)
        if paise > 0:
            before = found.get(holder)
            found[holder] = Recurring(plan, paise + (before.paise if before else 0))
    return found


def _has_ended(row: Any, at: datetime) -> bool:
    asked = row.metadata.get("ended") or {}
    said = datetime.fromisoformat(asked["at"]) if asked.get("at") else row.ended_at
    return said is not None and said <= at


def mrr(at: datetime | None = None) -> int:
    """What recurs by the month, in paise."""
    return sum(each.paise for each in recurring(at or now()).values())


def churn(first: date, last: date) -> Churn:
    """Who was lost between the beginning of ``first`` and the end of ``last``, or now."""
    begin, end = moments(first, last)
    before, after = recurring(begin), recurring(min(end, now()))
    gone = before.keys() - after.keys()
    return Churn(
        len(before),
        len(gone),
        sum(each.paise for each in before.values()),
        sum(before[holder].paise for holder in gone),
        len(after.keys() - before.keys()),
    )
