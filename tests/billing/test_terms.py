"""By which terms something was paid, what a change comes to, and when one that nobody has seen is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing import terms
from billing.models import Coupon, CouponUse, Price, Subscription
from billing.proration import Change
from billing.razorpay.papers import Invoice
from billing.razorpay.wire import Subscription as Seen
from oneai.kit.clock import now, utc_text
from tests.accounts.people import make
from tests.billing import razorpay_objects as rzp
from tests.billing.rows import paid, price_of, subscribed

pytestmark = pytest.mark.django_db

PLUS, PRO, TEAM = 49_900, 149_900, 129_900


@pytest.fixture
def row() -> Subscription:
    return subscribed(make(), "plus")


# By which terms ----------------------------------------------------------------------------------
def test_a_cycle_is_paid_for_by_the_terms_of_now_of_what_comes_or_of_before(row: Subscription) -> None:
    plus, pro, team = price_of("plus"), price_of("pro"), price_of("team")
    assert terms.paid_for(row, PLUS) == (plus, 1)
    assert terms.paid_for(row, PRO) is None
    row.next_price = pro
    assert terms.paid_for(row, PRO) == (pro, 1)
    row.next_quantity = 3
    assert (terms.paid_for(row, PRO), terms.paid_for(row, 3 * PRO)) == (None, (pro, 3))
    older = [
        {"price": str(team.pk), "quantity": 2, "amount_paise": 2 * TEAM},
        {"price": str(pro.pk), "quantity": 1, "amount_paise": 7},
        {"price": str(plus.pk), "quantity": 1, "amount_paise": 7},
    ]
    row.metadata = {"earlier": older}
    assert terms.paid_for(row, 2 * TEAM) == (team, 2)
    assert terms.paid_for(row, 7) == (plus, 1)  # the last of them
    assert terms.paid_for(row, 8) is None


def test_the_first_payment_may_be_less_by_a_coupon_that_was_not_used_yet(row: Subscription) -> None:
    coupon = Coupon.objects.create(code="LESS", amount_paise=5_000)
    row.quantity = 2
    row.coupon_use = CouponUse.objects.create(coupon=coupon, user=row.user, discount_paise=5_000)
    assert terms.paid_for(row, 2 * PLUS - 5_000) == (price_of("plus"), 2)
    assert terms.paid_for(row, 2 * PLUS) == (price_of("plus"), 2)
    assert terms.paid_for(row, 2 * PLUS - 4_999) is None
    row.coupon_use.used_at = now()
    assert terms.paid_for(row, 2 * PLUS - 5_000) is None


# Following ---------------------------------------------------------------------------------------
def asked(when: str, minutes: int) -> dict[str, Any]:
    """A change that Razorpay was asked for so long ago."""
    return {"when": when, "key": "k", "at": utc_text(now() - timedelta(minutes=minutes)), "expected": 5}


def shown(**fields: Any) -> Seen:
    """The subscription as Razorpay shows it: still Plus, unless it says otherwise."""
    return Seen.read(rzp.subscription(**{"plan_id": "plan_plus", "quantity": 1} | fields))


@pytest.mark.parametrize(
    ("change", "scheduled", "stays"),
    [
        (("now", 14), False, True),
        (("now", 15), False, False),
        (("now", 15), True, False),
        (("cycle_end", 14), False, True),
        (("cycle_end", 15), False, False),
        (("cycle_end", 1_000_000), True, True),
        (None, True, False),
    ],
)
def test_a_change_that_razorpay_does_not_show_is_given_up_after_a_while(
    row: Subscription, change: tuple[str, int] | None, scheduled: bool, stays: bool
) -> None:
    row.next_price, row.next_quantity = price_of("pro"), 1
    row.metadata = {"other": 1} | ({"change": asked(*change)} if change else {})
    terms.follow(row, shown(has_scheduled_changes=scheduled))
    assert (row.next_price is not None, row.next_quantity is not None) == (stays, stays)
    assert (row.plan.code, row.metadata["other"], "change" in row.metadata) == ("plus", 1, stays)
    entries = list(row.changes.values_list("kind", "reason"))
    assert entries == ([] if stays else [("change_failed", "Razorpay shows no such change")])


def test_a_change_is_seen_by_plan_and_quantity_together(row: Subscription) -> None:
    pro = price_of("pro")
    Price.objects.filter(pk=pro.pk).update(razorpay_plan_id="plan_pro")
    pro.refresh_from_db()
    row.next_price, row.next_quantity, row.metadata = pro, 2, {"change": asked("cycle_end", 1)}
    for no in ({"plan_id": "plan_pro"}, {"quantity": 2}):
        terms.follow(row, shown(**no))
        assert row.price == price_of("plus") and row.next_price == pro
    terms.follow(row, shown(plan_id="plan_pro", quantity=2))
    assert (row.price, row.plan, row.quantity, row.next_price, row.next_quantity) == (pro, pro.plan, 2, None, None)
    earlier = {"price": str(price_of("plus").pk), "quantity": 1, "amount_paise": PLUS}
    assert row.metadata == {"earlier": [earlier]}
    assert terms.paid_for(row, PLUS) == (price_of("plus"), 1)


def test_a_change_at_once_is_kept_until_its_charge_has_come(row: Subscription) -> None:
    pro = price_of("pro")
    Price.objects.filter(pk=pro.pk).update(razorpay_plan_id="plan_pro")
    pro.refresh_from_db()
    row.next_price, row.next_quantity, row.metadata = pro, 1, {"change": asked("now", 1)}
    assert terms.is_changing(row)
    terms.follow(row, shown(plan_id="plan_pro"))
    assert not terms.is_changing(row) and terms.expected_charge(row) == 5
    assert row.metadata["changed"]["from_paise"] == PLUS
    terms.charged(row)
    assert terms.expected_charge(row) == 0 and list(row.metadata) == ["earlier"]


def test_of_many_changes_the_last_twelve_are_remembered(row: Subscription) -> None:
    prices = [price_of("plus"), price_of("pro")]
    for at, price in enumerate(prices):
        Price.objects.filter(pk=price.pk).update(razorpay_plan_id=f"plan_{at}")
        price.refresh_from_db()
    for turn in range(14):
        row.next_price, row.next_quantity = prices[(turn + 1) % 2], 1
        terms.follow(row, shown(plan_id=f"plan_{(turn + 1) % 2}"))
    assert [each["amount_paise"] for each in row.metadata["earlier"]] == [PLUS, PRO] * 6


# The charge of a change --------------------------------------------------------------------------
def invoice(at: datetime | None, **fields: Any) -> Invoice:
    seconds = int(at.timestamp()) if at else None
    return Invoice.read(
        rzp.invoice(**{"amount": 5, "issued_at": seconds, "created_at": None, "paid_at": None} | fields)
    )


def made(row: Subscription, expected: int = 5) -> datetime:
    """A change at once was made a moment ago; when."""
    at = now().replace(microsecond=0)
    row.metadata = {"changed": {"at": utc_text(at), "expected": expected, "from_paise": PLUS}}
    return at


def test_the_invoice_after_a_change_is_its_charge_and_one_of_before_is_not(row: Subscription) -> None:
    assert not terms.is_charge_of_change(row, invoice(now()))
    at = made(row)
    assert terms.is_charge_of_change(row, invoice(at))
    assert terms.is_charge_of_change(row, invoice(at - timedelta(minutes=5)))
    assert not terms.is_charge_of_change(row, invoice(at - timedelta(minutes=5, seconds=1)))
    assert not terms.is_charge_of_change(row, invoice(None))
    for name in ("created_at", "paid_at"):
        assert terms.is_charge_of_change(row, invoice(None, **{name: int(at.timestamp())}))


def test_what_a_cycle_costs_is_a_change_only_if_it_was_expected_so(row: Subscription) -> None:
    at = made(row)
    assert not terms.is_charge_of_change(row, invoice(at, amount=PLUS))
    at = made(row, PLUS)
    assert terms.is_charge_of_change(row, invoice(at, amount=PLUS))


def test_the_renewal_after_a_change_is_no_charge_of_it(row: Subscription) -> None:
    cycle = paid(row, effect_at=now(), period_end=datetime.fromtimestamp(1_900_000_000, UTC))
    at = made(row)
    assert cycle.period_end is not None
    assert not terms.is_charge_of_change(row, invoice(at, billing_start=1_900_000_000))
    assert terms.is_charge_of_change(row, invoice(at, billing_start=1_900_000_001))


# What a change comes to --------------------------------------------------------------------------
def test_a_change_may_be_charged_otherwise_by_a_day_and_a_paisa(row: Subscription) -> None:
    made(row)
    row.price = price_of("pro")
    assert terms.tolerance(row) == 0  # no cycle runs
    start = now() - timedelta(days=1)
    cycle = paid(row, effect_at=now(), period_start=start, period_end=start + timedelta(days=30))
    assert terms.tolerance(row) == (PRO - PLUS) // 30 + 1
    row.metadata = {}
    assert terms.tolerance(row) == PRO // 30 + 1
    row.price = price_of("plus")
    row.metadata = {"changed": {"from_paise": PRO}}
    assert terms.tolerance(row) == (PRO - PLUS) // 30 + 1
    cycle.period_end = now() + timedelta(hours=1)
    cycle.period_start = now() - timedelta(hours=1)
    cycle.save()
    assert terms.tolerance(row) == PRO - PLUS + 1


def test_while_no_cycle_runs_a_change_costs_and_gives_nothing(row: Subscription) -> None:
    assert terms.proration(row, price_of("pro"), 1) == Change(0, 0, 0)


def test_half_a_cycle_of_a_change_is_half_of_money_and_tokens(row: Subscription) -> None:
    half = timedelta(days=15)
    paid(row, effect_at=now(), period_start=now() - half, period_end=now() + half + timedelta(seconds=30))
    other = [{"scope": "class:x", "unit": "tokens", "limit": 9}, {"scope": "*", "unit": "nano_usd", "limit": 9}]
    row.terms = {"limits": [*other, {"scope": "*", "unit": "tokens", "limit": 2_000_000}]}
    pro = price_of("pro")
    pro.terms = {"limits": [*other, {"scope": "*", "unit": "tokens", "limit": 8_000_000}]}
    found = terms.proration(row, pro, 2)
    assert abs(found.credit - PLUS // 2) <= 2 and abs(found.charge - PRO) <= 4
    assert abs(found.tokens - 7_000_000) <= 200
    for limits in ([], other, [{"scope": "*", "unit": "tokens", "limit": None}]):
        pro.terms = {"limits": limits}
        assert terms.proration(row, pro, 2).tokens == 0
    row.terms = {"limits": []}
    pro.terms = {"limits": [{"scope": "*", "unit": "tokens", "limit": 8_000_000}]}
    assert abs(terms.proration(row, pro, 1).tokens - 4_000_000) <= 200
