"""The rows of payments: what is kept of each goes forward only, and which of them pays for the cycle that runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing import payments
from billing.models import Payment, Subscription
from billing.razorpay import wire
from oneai.kit.clock import now
from tests.accounts.people import make
from tests.billing import razorpay_objects as rzp
from tests.billing.rows import paid, subscribed

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Subscription:
    return subscribed(make(), "plus")


def seen(**fields: Any) -> wire.Payment:
    return wire.Payment.read(rzp.payment(**fields))


def test_a_payment_without_a_cause_is_not_kept() -> None:
    with pytest.raises(ValueError, match="cause"):
        payments.write(seen())
    assert not Payment.objects.exists()


def test_what_was_fetched_late_changes_nothing(row: Subscription) -> None:
    kept, before = payments.write(seen(), subscription=row)
    assert (before, kept.status, kept.user_id, kept.subscription) == ("", "captured", row.user_id, row)
    stale = {"amount": 1, "currency": "USD", "method": "upi", "error_code": "LATE", "order_id": "order_other"}
    for status in ("authorized", "created", "failed", "unheard-of"):
        late, before = payments.write(seen(status=status, **stale), subscription=row)
        late.refresh_from_db()
        assert (late.pk, before, late.status, late.amount_paise) == (kept.pk, "captured", "captured", 49_900)
        assert (late.currency, late.method, late.error_code) == ("INR", "card", "")
        assert late.razorpay_order_id == "order_AAAAAAAAAAA01"


def test_what_is_seen_again_in_its_state_is_as_it_was_seen_last(row: Subscription) -> None:
    payments.write(seen(), subscription=row)
    kept, _ = payments.write(seen(method="upi", international=True, amount=49_800), subscription=row)
    kept.refresh_from_db()
    assert (kept.method, kept.international, kept.amount_paise) == ("upi", True, 49_800)


def test_what_has_gone_back_never_gets_less_by_looking(row: Subscription) -> None:
    for status, said, kept in (
        ("captured", 100, 100), ("captured", 30, 100), ("refunded", 49_900, 49_900), ("captured", 0, 49_900),
        ("refunded", 99_999, 49_900),
    ):  # fmt: skip
        found, _ = payments.write(seen(status=status, amount_refunded=said), subscription=row)
        assert found.refunded_paise == kept
    assert found.status == "refunded"


def test_a_failed_payment_that_comes_through_is_paid_from_then_on(row: Subscription) -> None:
    failed = {"status": "failed", "error_code": "BAD_REQUEST_ERROR", "error_description": "Declined."}
    kept, _ = payments.write(seen(**failed), subscription=row)
    assert (kept.paid_at, kept.error_code, kept.error_description) == (None, "BAD_REQUEST_ERROR", "Declined.")
    kept, before = payments.write(seen(), subscription=row)
    assert (before, kept.error_code, kept.error_description) == ("failed", "", "")
    assert kept.paid_at is not None and kept.paid_at.timestamp() == 1_790_000_000


def test_a_payment_that_says_no_time_was_made_when_it_was_heard_of(row: Subscription) -> None:
    before = now()
    kept, _ = payments.write(seen(created_at=None), subscription=row)
    assert kept.paid_at is not None and before <= kept.created_at <= now() and before <= kept.paid_at <= now()


def test_a_failed_refund_gives_the_payment_its_money_again(row: Subscription) -> None:
    kept = paid(row, status="refunded", refunded_paise=49_900)
    payments.unrefund(kept, 10_000)
    kept.refresh_from_db()
    assert (kept.status, kept.refunded_paise) == ("captured", 39_900)
    payments.unrefund(kept, 40_000)
    kept.refresh_from_db()
    assert (kept.status, kept.refunded_paise) == ("captured", 0)


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({}, True),
        ({"refunded_paise": 49_899}, True),
        ({"refunded_paise": 49_900}, False),
        ({"effect_at": None}, False),
        ({"dispute": "lost"}, False),
        ({"dispute": "won"}, True),
        ({"dispute": "open"}, True),
    ],
)
def test_a_cycle_runs_while_something_of_its_payment_is_there(
    row: Subscription, fields: dict[str, Any], runs: bool
) -> None:
    kept = paid(row, **{"effect_at": now()} | fields)
    assert kept.period_start is not None and kept.period_end is not None
    assert payments.running(row) == (kept if runs else None)
    assert payments.running(row, kept.period_start) == (kept if runs else None)
    assert payments.running(row, kept.period_start - timedelta(seconds=1)) is None
    assert payments.running(row, kept.period_end) is None


def test_of_two_cycles_that_overlap_the_later_one_runs(row: Subscription) -> None:
    paid(row, effect_at=now())
    later = paid(row, effect_at=now(), period_start=now() - timedelta(hours=1))
    assert payments.running(row) == later


def test_what_changes_cost_is_that_of_the_same_cycle_and_has_not_gone_back(row: Subscription) -> None:
    cycle = paid(row, effect_at=now())
    assert cycle.period_start is not None and cycle.period_end is not None
    extra: dict[str, Any] = {"period_start": None, "period_end": None, "effect_at": now()}
    last = paid(row, 1_000, **extra)
    first = paid(row, 2_000, **extra | {"paid_at": cycle.period_start})
    for no in (
        {"effect_at": None}, {"refunded_paise": 1_000}, {"paid_at": cycle.period_end},
        {"paid_at": cycle.period_start - timedelta(seconds=1)}, {"period_start": now()},
    ):  # fmt: skip
        paid(row, 1_000, **extra | no)
    assert payments.of_changes(row, cycle) == [first, last]
