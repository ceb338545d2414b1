"""Four books side by side: Razorpay's, our payments, our invoices, what was given. Each disagreement is a line.

Read where the product's database is: in a test's own process, or by a shell of the site whose database it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import reduce
from typing import Any

from django.db.models import Sum

from adminpanel import revenue
from billing import allowing, cycles, gateway, invoice_export
from billing.invoice_numbers import INDIA
from billing.models import (
    Difference,
    Invoice,
    InvoiceKind,
    InvoiceSeries,
    Payment,
    Price,
    Purchase,
    Refund,
    Subscription,
    WebhookEvent,
)
from billing.razorpay.client import Razorpay
from billing.settling import TOKEN_PAISE
from billing.standing import LIVE
from oneai.kit.clock import now
from quotas import audit, invariants
from quotas.models import Allowance, Grant
from quotas.policy import PLAN_WIDE, TOKENS

PAID = ("captured", "refunded")


def disagreements() -> list[str]:
    """Everything in which two of the books differ; nothing when they agree."""
    razorpay = gateway.razorpay()
    return [
        *subscriptions(razorpay), *payments(razorpay), *refunds(razorpay), *orders(razorpay),
        *papers(), *sums(razorpay), *analytics(razorpay), *given(), *ledger(), *left_over(),
    ]  # fmt: skip


# What Razorpay says -------------------------------------------------------------------------------
def subscriptions(razorpay: Razorpay) -> Iterator[str]:
    """Each of our rows is what a fetch says; a state from which no way leads on stays ours."""
    theirs = {seen.id: seen for seen in razorpay.subscriptions()}
    rows = Subscription.objects.exclude(razorpay_subscription_id=None).select_related("price")
    for row in rows:
        seen = theirs.pop(str(row.razorpay_subscription_id), None)
        if seen is None:
            yield f"subscription {row.pk}: unknown to Razorpay"
            continue
        ours: dict[str, Any] = {
            "status": str(row.status), "paid": row.paid_count, "plan": row.price.razorpay_plan_id,
            "quantity": row.quantity, "end": row.current_period_end, "charge": row.charge_at,
        }  # fmt: skip
        said = {
            "status": seen.status, "paid": seen.paid_count, "plan": seen.plan_id,
            "quantity": seen.quantity, "end": seen.current_end, "charge": seen.charge_at,
        }  # fmt: skip
        wrong = [f"{name} {ours[name]} not {said[name]}" for name in ours if ours[name] != said[name]]
        if wrong:
            yield f"subscription {seen.id}: {', '.join(wrong)}"
    yield from (f"subscription {each}: unknown here" for each in theirs)


def payments(razorpay: Razorpay) -> Iterator[str]:
    """Each payment has a row that says the same; only failed ones and those of mandates need none."""
    known = {row.razorpay_payment_id: row for row in Payment.objects.all()}
    for seen in razorpay.payments():
        row = known.pop(seen.id, None)
        if row is None:
            if seen.status in PAID and seen.amount_refunded < seen.amount:
                yield f"payment {seen.id}: {seen.amount} paise unknown here"
            continue
        ours = (row.status, row.amount_paise, row.refunded_paise, row.currency)
        if ours != (seen.status, seen.amount, seen.amount_refunded, seen.currency):
            yield f"payment {seen.id}: {ours} not {(seen.status, seen.amount, seen.amount_refunded)}"
        if seen.status in PAID and row.effect_at is None and seen.amount_refunded < seen.amount:
            yield f"payment {seen.id}: {seen.amount - seen.amount_refunded} paise kept, and nothing given for them"
        if seen.status not in PAID and row.effect_at is not None:
            yield f"payment {seen.id}: in effect, and {seen.status}"
    yield from (f"payment {each}: unknown to Razorpay" for each in known)


def refunds(razorpay: Razorpay) -> Iterator[str]:
    """Each refund has one row that says the same, but those of mandates and those that are paid by hand."""
    rows = Refund.objects.exclude(status="failed", razorpay_refund_id=None).exclude(status="to_pay")
    known = {row.razorpay_refund_id or row.key: row for row in rows}
    mine = set(Payment.objects.values_list("razorpay_payment_id", flat=True))
    for seen in razorpay.refunds():
        row = known.pop(seen.id, None)
        if row is None:
            if seen.payment_id in mine and seen.amount > TOKEN_PAISE:
                yield f"refund {seen.id}: {seen.amount} paise unknown here"
        elif (row.status, row.amount_paise) != (seen.status, seen.amount):
            yield f"refund {seen.id}: {row.status} {row.amount_paise} not {seen.status} {seen.amount}"
    yield from (f"refund {each}: not at Razorpay, {row.status}" for each, row in known.items())


def orders(razorpay: Razorpay) -> Iterator[str]:
    """Each order of a pack says the same on both sides, and was credited by one payment or by none.

    By none when nobody paid it, or when all of the money had gone back before it was heard of (``payments``).
    """
    theirs = {seen.id: seen for seen in razorpay.orders()}
    for row in Purchase.objects.exclude(razorpay_order_id=None):
        seen = theirs.get(str(row.razorpay_order_id))
        if seen is None:
            yield f"order {row.razorpay_order_id}: unknown to Razorpay"
            continue
        effects = row.payments.exclude(effect_at=None).count()
        if (row.status == "paid") != (seen.status == "paid") or effects != (row.credited_at is not None):
            yield f"order {seen.id}: {seen.status} there, {row.status} here, {effects} payments in effect"


def sums(razorpay: Razorpay) -> Iterator[str]:
    """Payments less refunds, in paise: Razorpay's, ours, invoices less credit notes, and the accountant's table."""
    theirs = sum(seen.amount - seen.amount_refunded for seen in razorpay.payments() if seen.status in PAID)
    mine = Payment.objects.filter(status__in=PAID).aggregate(paid=Sum("amount_paise"), back=Sum("refunded_paise"))
    ours = (mine["paid"] or 0) - (mine["back"] or 0)
    written = sum(
        paise if kind == InvoiceKind.INVOICE else -paise
        for kind, paise in Invoice.objects.values_list("kind", "total_paise")
    )
    total = invoice_export.COLUMNS.index("total")
    exported = sum(int(str(row[total]).replace(".", "")) for row in invoice_export.table(Invoice.objects.all()))
    if not theirs == ours == written == exported:
        yield f"sums: {theirs} paise at Razorpay, {ours} in payments, {written} on invoices, {exported} exported"


def analytics(razorpay: Razorpay) -> Iterator[str]:
    """The owner's figures of all days, by day and by plan, are what Razorpay has and what the papers say."""
    times = [
        *Payment.objects.values_list("created_at", flat=True),
        *Invoice.objects.values_list("issued_at", flat=True),
    ]
    if not times:
        return
    first, last = (at.astimezone(INDIA).date() for at in (min(times) - timedelta(days=2), max(now(), *times)))
    told = revenue.total(first, last)
    days, plans = revenue.by_day(first, last), revenue.by_plan(first, last)
    for name, parts in (("day", days.values()), ("plan", plans.values())):
        added = reduce(revenue.Money.plus, parts, revenue.Money())
        if added != told:
            yield f"analytics: by {name} {added} not {told}"
    theirs = [seen for seen in razorpay.payments() if seen.status in PAID]
    paid = {row.razorpay_payment_id for row in Payment.objects.filter(status__in=PAID)}
    # What went back before it was heard of is no income: it has no row.
    known = [seen for seen in theirs if seen.id in paid]
    tax = papers_tax()
    wanted = {
        "payments": len(known), "paid": sum(seen.amount for seen in known),
        "refunded": sum(seen.amount_refunded for seen in known), "tax": tax,
        "invoiced": sum(seen.amount - seen.amount_refunded for seen in known),
    }  # fmt: skip
    wrong = {name: (getattr(told, name), value) for name, value in wanted.items() if getattr(told, name) != value}
    if wrong:
        yield f"analytics: (told, theirs) {wrong}"


def papers_tax() -> int:
    """The tax of invoices less that of credit notes, in paise."""
    rows = Invoice.objects.values_list("kind", "cgst_paise", "sgst_paise", "igst_paise")
    return sum(sum(tax) if kind == InvoiceKind.INVOICE else -sum(tax) for kind, *tax in rows)


# Papers -------------------------------------------------------------------------------------------
def papers() -> Iterator[str]:
    """One invoice for each payment in effect and one credit note for each refund of it; numbers without a gap."""
    for row in Payment.objects.all():
        papers_of = list(Invoice.objects.filter(payment=row, kind=InvoiceKind.INVOICE))
        wanted = [row.amount_paise] if row.effect_at is not None else []
        if [paper.total_paise for paper in papers_of] != wanted:
            yield f"payment {row.razorpay_payment_id}: {len(papers_of)} invoices, {len(wanted)} wanted"
        notes = Invoice.objects.filter(refund__payment=row, kind=InvoiceKind.CREDIT_NOTE)
        credited = notes.aggregate(paise=Sum("total_paise"))["paise"] or 0
        if row.effect_at is not None and credited != row.refunded_paise:
            yield f"payment {row.razorpay_payment_id}: {row.refunded_paise} went back, {credited} credited"
    numbers = Counter(Invoice.objects.values_list("number", flat=True))
    yield from (f"number {number}: {times} times" for number, times in numbers.items() if times > 1)
    for series in InvoiceSeries.objects.all():
        counts = {int(number.rpartition("/")[2]) for number in numbers if number.startswith(f"{series}/")}
        if counts != set(range(1, series.last + 1)):
            yield f"series {series}: up to {series.last} without {set(range(1, series.last + 1)) - counts}"


# What was given -----------------------------------------------------------------------------------
def given() -> Iterator[str]:
    """Each paid cycle has given its tokens once and each paid pack its own; nothing else was given."""
    explained: set[str] = set()
    for row in Payment.objects.exclude(effect_at=None).select_related("subscription__plan", "purchase"):
        if row.purchase is not None:
            source = f"pay:{row.razorpay_payment_id}"
            grants = list(Grant.objects.filter(source_key=source).values_list("unit", "amount"))
            if grants != [(TOKENS, row.purchase.tokens)]:
                yield f"{source}: gave {grants}, not {row.purchase.tokens}"
            explained.add(source)
        elif row.subscription is not None and row.period_start is not None and row.period_end is not None:
            source = allowing.cycle_source(row.subscription, row.period_start)
            if source in explained:
                yield f"{source}: paid for twice"
            explained.add(source)
            gave, wanted = _gave(source), _tokens_of(row)
            if gave != wanted:
                yield f"{source}: gave {gave} tokens, not {wanted}"
    sources = Allowance.objects.filter(source__regex=r"^sub:[^:]+:[0-9]+$").values_list("source", flat=True)
    topups = Grant.objects.filter(kind="extra").exclude(source_key__contains="#").values_list("source_key", flat=True)
    yield from (f"{each}: given and not paid for" for each in {*sources, *topups} - explained)


def _gave(source: str) -> list[int]:
    """The tokens of a month under a source, by the spans that it was given for."""
    rows = Allowance.objects.filter(source=source).order_by("starts_at", "id")
    found = [_tokens(row.limits) for row in rows]
    late = Grant.objects.filter(source_key=source, unit=TOKENS)
    return found + [int(row.amount or 0) for row in late]


def _tokens(limits: Any) -> int:
    return next(int(each["limit"]) for each in limits if (each["scope"], each["unit"]) == (PLAN_WIDE, TOKENS))


def _tokens_of(row: Payment) -> list[int]:
    """What a payment's amount buys: the tokens of its plan, for as many as it pays, by spans of the cycle."""
    assert row.subscription is not None and row.period_start is not None and row.period_end is not None
    made = row.subscription.metadata.get("earlier", [])
    prices = [(str(row.subscription.price_id), row.subscription.quantity)]
    prices += [(each["price"], each["quantity"]) for each in reversed(made)]
    for key, quantity in prices:
        price = Price.objects.get(pk=key)
        if price.amount_paise * quantity == row.amount_paise:
            limits = allowing.limits_of(price.terms, quantity)
            if Grant.objects.filter(source_key=allowing.cycle_source(row.subscription, row.period_start)).exists():
                return [_tokens(limits)]
            spans = cycles.spans(row.period_start, row.period_end, limits)
            assert row.effect_at is not None
            return [_tokens(span.limits) for span in spans if span.until > row.effect_at]
    return []


def ledger() -> Iterator[str]:
    """The audit of every account."""
    for account in audit.accounts():
        yield from (f"ledger: {invariants.as_json(each)}" for each in invariants.check_account(account))
    yield from (f"ledger: {invariants.as_json(each)}" for each in audit.replay_platform())


def left_over() -> Iterator[str]:
    """Events that were put aside, differences that stand, refunds that were never sent and are nobody's to pay."""
    for event in WebhookEvent.objects.exclude(state__in=("done", "ignored")):
        yield f"event {event.event_type} {event.event_id}: {event.state}, {event.last_error}"
    to_pay = set(Refund.objects.filter(status="to_pay").values_list("key", flat=True))
    told = set(Difference.objects.filter(kind="refund_to_pay", repaired_at=None).values_list("reference", flat=True))
    yield from (f"refund {key}: to pay by hand, and {'not told' if key in to_pay else 'told'}" for key in to_pay ^ told)
    for each in Difference.objects.filter(repaired_at=None).exclude(kind="refund_to_pay"):
        yield f"difference {each.kind} {each.reference}: ours {each.ours}, theirs {each.theirs}"
    for row in Refund.objects.exclude(status__in=("processed", "failed", "to_pay")):
        yield f"refund {row.key}: {row.status}, {row.last_error}"
    for sub in Subscription.objects.filter(status__in=LIVE, metadata__has_key="ended"):
        yield f"subscription {sub.razorpay_subscription_id}: ended here, and {sub.status} there"
