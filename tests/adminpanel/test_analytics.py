"""Analytics agree with the books: to the paisa with payments and invoices, to the token with the ledger."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Sum

from accounts.audit import Actor
from accounts.models import User
from adminpanel import analytics, consumption, exchange, revenue
from billing import invoices
from billing.models import Invoice, Payment, Refund
from oneai.kit.clock import add_months, now
from quotas.models import LedgerEntry, QuotaCounter, UsageRecord
from tests.billing import paid
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
OWNER = Actor("owner@example.com")
EVER = (date(2020, 1, 1), date(2029, 1, 1))


def added(lines: list[analytics.Line], name: str) -> int:
    return sum(getattr(line.money, name) for line in lines if line.money)


def some_months_of_business(chance: random.Random) -> None:
    """Payments of plans and packs on many days, with invoices; some go back, in part or whole, and some fail."""
    paid.seller()
    for number in range(25):
        user = paid.person(name="Asha", state_code=chance.choice(["27", "29"]), country="IN")
        at = now() - timedelta(days=chance.randrange(90), hours=chance.randrange(24))
        made = paid.subscribed(user, chance.choice(["plus", "pro"]), at) if number % 3 else paid.topped_up(user)
        Payment.objects.filter(pk=made.pk).update(paid_at=at)
        invoices.issue_for(made)
        if chance.random() < 0.4:
            back = chance.choice([made.amount_paise, made.amount_paise // 3])
            Payment.objects.filter(pk=made.pk).update(refunded_paise=back)
            invoices.credit_note_for(paid.refund(made, back, processed_at=at + timedelta(days=chance.randrange(9))))
        if chance.random() < 0.2:
            cause = {"subscription": made.subscription, "purchase": made.purchase}
            paid.payment(user, 12_345, status="failed", effect_at=None, paid_at=None, **cause)


def test_money_of_all_days_and_of_all_plans_is_that_of_the_books() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    some_months_of_business(random.Random(seed))
    rows = Payment.objects.filter(status__in=("captured", "refunded"))
    books = rows.aggregate(paid=Sum("amount_paise"), back=Sum("refunded_paise"))
    written = sum(
        paise if kind == "invoice" else -paise for kind, paise in Invoice.objects.values_list("kind", "total_paise")
    )
    tax = sum(
        (1 if row.kind == "invoice" else -1) * (row.cgst_paise + row.sgst_paise + row.igst_paise)
        for row in Invoice.objects.all()
    )
    assert tax > 0
    for group in ("day", "plan"):
        lines = analytics.lines(group, *EVER)
        assert added(lines, "paid") == books["paid"]
        assert added(lines, "refunded") == books["back"] == Refund.objects.aggregate(all=Sum("amount_paise"))["all"]
        assert added(lines, "net") == added(lines, "invoiced") == written
        assert added(lines, "tax") == tax
        assert added(lines, "failed") == Payment.objects.filter(status="failed").count()
    assert analytics.total(*EVER).money == revenue.total(*EVER)
    assert {line.value for line in analytics.lines("plan", *EVER)} <= {"plus", "pro", "packs"}
    middle = revenue.today() - timedelta(days=40)
    early, late = revenue.total(EVER[0], middle), revenue.total(middle + timedelta(days=1), EVER[1])
    assert early.plus(late) == revenue.total(*EVER)


def test_usage_of_all_days_models_and_plans_is_that_of_the_ledger(new_purse: Callable[[], Purse]) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    purses = [new_purse() for _ in range(5)]
    User.objects.filter(pk=purses[0].id).update(current_subscription="pro")
    for _ in range(60):
        purse = chance.choice(purses)
        (admitted,) = purse.admit(purse.ask(bound=10, cap=50, model_id=chance.choice(["maker/a", "maker/b"])))
        if chance.random() < 0.2:
            purse.release(admitted)
            continue
        purse.settle(admitted, chance.randrange(60), chance.randrange(31_000))
        if chance.random() < 0.3:
            purse.correct(admitted, chance.randrange(60), chance.randrange(31_000))
    records = UsageRecord.objects.aggregate(tokens=Sum("tokens"), nano=Sum("nano_usd"))
    for group in analytics.GROUPS:
        lines = analytics.lines(group, *EVER)
        assert sum(line.used.sums.tokens for line in lines) == records["tokens"]
        assert sum(line.used.sums.nano_usd for line in lines) == records["nano"]
        assert sum(line.used.sums.calls for line in lines) == UsageRecord.objects.count()
    for unit, name in (("tokens", "tokens"), ("nano_usd", "nano")):
        counters = QuotaCounter.objects.filter(model_id="*", unit=unit).values_list("pk", flat=True)
        entries = LedgerEntry.objects.filter(counter_id__in=counters)
        assert entries.aggregate(used=Sum("used_delta"))["used"] == records[name]
    users = UsageRecord.objects.values("user_id").distinct().count()
    assert consumption.total(*EVER).active == users
    assert (
        "pro" in {line.value for line in analytics.lines("plan", *EVER)}
        or not UsageRecord.objects.filter(user_id=purses[0].id).exists()
    )


def test_what_recurs_and_who_was_lost() -> None:
    today = revenue.today()
    start = now() - timedelta(days=40)
    for name in ("stays", "leaves"):
        first = paid.subscribed(paid.person(name=name), "plus", start)
        if name == "stays":
            again = add_months(start, 1)
            paid.payment(
                first.user, first.amount_paise, subscription=first.subscription, paid_at=again, period_start=again,
                period_end=add_months(start, 2),
            )  # fmt: skip
    new = paid.subscribed(paid.person(name="new"), "pro", now() - timedelta(days=2))
    yearly = paid.payment(
        new.user, 1_200_007, subscription=paid.subscribed(paid.person(name="y"), "plus", start).subscription,
        period_start=start, period_end=add_months(start, 12),
    )  # fmt: skip
    Payment.objects.filter(subscription=yearly.subscription).exclude(pk=yearly.pk).delete()
    found = analytics.standing(today - timedelta(days=29), today)
    plus = Payment.objects.filter(subscription__plan__code="plus").order_by("created_at")[0].amount_paise
    assert found.mrr == plus + new.amount_paise + 100_001
    assert (found.subscribers, found.churn.at_start, found.churn.lost, found.churn.new) == (3, 3, 1, 1)
    assert found.churn.mrr_lost == plus
    assert found.as_json()["churn"] == "0.3333"


def test_one_who_ends_at_once_recurs_no_longer() -> None:
    made = paid.subscribed(paid.person(name="Asha"), "plus", now() - timedelta(days=3))
    assert revenue.mrr() == made.amount_paise
    assert made.subscription is not None
    made.subscription.metadata = {"ended": {"at": now().isoformat(), "why": "asked"}}
    made.subscription.save()
    assert revenue.mrr() == 0
    assert revenue.mrr(now() - timedelta(days=1)) == made.amount_paise


def test_a_margin_needs_a_rate_and_follows_it_by_the_day(purse: Purse) -> None:
    def spend(at: datetime, nano: int) -> None:
        (admitted,) = purse.admit(at=at)
        purse.settle(admitted, 10, nano, at)

    first, second = now() - timedelta(days=4), now()
    spend(first, 2_000_000_000)
    spend(second, 1_000_000_000)
    assert analytics.total(*EVER).margin is None
    exchange.set_rate(OWNER, EVER[0], 8000, "the bank's")
    exchange.set_rate(OWNER, second.date(), 9000, "it has risen")
    whole: Any = analytics.total(*EVER)
    assert (whole.cost_paise, whole.margin) == (2 * 8000 + 9000, -25_000)
    for group in ("day", "plan", "model"):
        assert sum(line.cost_paise or 0 for line in analytics.lines(group, *EVER)) == 25_000
    assert [line.margin for line in analytics.lines("model", *EVER)] == [None]
