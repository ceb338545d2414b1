"""Rows of ours that ought to have moved: found long after they were made, or ended where nobody will ever say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing import ending, gateway, looking, overdue, refunds, standing, stopping
from billing.looking import Report
from billing.models import Coupon, Difference, Payment, Purchase, Subscription
from billing.standing import Holder
from oneai.kit import clock
from oneai.kit.clock import now
from tests.billing.test_changing import INTERNATIONAL, again
from tests.billing.test_subscribing import FREE, PLUS, refused
from tests.billing.test_topups import SMALL, bought, coupon, extra, pay
from tests.billing.world import World, state, tokens

NOTHING_LATELY = timedelta(0)
"""A pass that looks back to nothing: what is found, our own rows have led to."""


def lost(world: World, kind: str) -> None:
    """The next thing of a kind is made at Razorpay, and nothing of it is heard."""
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": f"/{kind}"})
    world.control("fault", {"fault": "503", "method": "GET", "path": f"/{kind}"})


def never_made(world: World, kind: str) -> None:
    world.control("fault", {"fault": "503", "method": "POST", "path": f"/{kind}"})
    world.control("fault", {"fault": "503", "method": "GET", "path": f"/{kind}"})


# Subscriptions that were never heard of ---------------------------------------------------------------
def test_one_that_was_made_unheard_is_found_by_its_row(world: World) -> None:
    user = world.person()
    lost(world, "subscriptions")
    assert refused(world.subscribe, user) == "payments_unavailable"
    world.pass_time(hours=2)
    report = world.reconcile(NOTHING_LATELY)
    row = Subscription.objects.get()
    assert (report.looked_at, report.failed) == (1, [])
    assert (str(row.status), row.razorpay_subscription_id is not None, row.short_url != "") == ("created", True, True)
    world.pay(row)
    world.hear()
    assert tokens(user) == PLUS


def test_a_row_is_not_looked_for_before_razorpay_has_had_its_time(world: World) -> None:
    lost(world, "subscriptions")
    assert refused(world.subscribe, world.person()) == "payments_unavailable"
    for seconds, status in ((4 * 60 + 30, "creating"), (60, "created")):
        world.pass_time(seconds=seconds)
        overdue.see_subscriptions(gateway.razorpay(), now(), Report())
        assert str(Subscription.objects.get().status) == status


def test_one_that_was_never_made_ends_with_its_day_and_frees_its_coupon(world: World) -> None:
    code = coupon(bonus_tokens=1000, most_uses=1).code
    user = world.person()
    never_made(world, "subscriptions")
    assert refused(world.subscribe, user, coupon=code) == "payments_unavailable"
    for hours, status, uses in ((23, "creating", 1), (2, "expired", 0)):
        world.pass_time(hours=hours)
        report = world.reconcile(NOTHING_LATELY)
        row = Subscription.objects.get()
        assert (str(row.status), Coupon.objects.get().uses, report.failed) == (status, uses, [])
    assert row.ended_at is not None
    change = row.changes.get(kind="state")
    assert (change.before, change.after) == ("creating", "expired")


def test_a_row_that_can_not_be_looked_for_keeps_no_other_from_it(world: World) -> None:
    for _ in range(2):
        lost(world, "subscriptions")
        assert refused(world.subscribe, world.person()) == "payments_unavailable"
    world.pass_time(minutes=30)
    world.control("fault", {"fault": "503", "method": "GET", "path": "/subscriptions", "after": 1})
    report = world.reconcile(NOTHING_LATELY)
    first, second = Subscription.objects.order_by("created_at")
    assert len(report.failed) == 1 and report.failed[0].startswith(f"subscription {first.pk}: 503")
    assert (str(first.status), str(second.status)) == ("creating", "created")
    assert not world.reconcile(NOTHING_LATELY).failed
    assert str(again(first).status) == "created"


def test_one_that_razorpay_does_not_show_any_more_expires_all_the_same(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    row = world.change(user, "pro").replacement
    path = f"/subscriptions/{row.razorpay_subscription_id}"
    for hours, status in ((47, "created"), (2, "expired")):
        world.pass_time(hours=hours)
        world.control("fault", {"fault": "503", "method": "GET", "path": path, "times": 2})
        assert world.reconcile(NOTHING_LATELY).failed
        world.control("fault", {"clear": True})
        assert str(again(row).status) == status
    assert again(row).replaces_id is None and again(row).ended_at is not None
    assert (str(again(old).status), tokens(user)) == ("active", PLUS)


def test_one_that_was_paid_in_the_last_moment_does_not_expire(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.person()
    row = world.subscribe(user)
    lock = standing.lock

    def paid_meanwhile(user_id: Any) -> None:
        Subscription.objects.filter(pk=row.pk).update(status="active")
        lock(user_id)

    world.pass_time(days=3)
    world.control("fault", {"fault": "503", "method": "GET", "path": f"/subscriptions/{row.razorpay_subscription_id}"})
    monkeypatch.setattr(standing, "lock", paid_meanwhile)
    world.reconcile(NOTHING_LATELY)
    assert (str(again(row).status), again(row).ended_at) == ("active", None)


# Subscriptions that moved unheard ----------------------------------------------------------------------
@pytest.mark.parametrize("days", [32, 45, 100])
def test_a_charge_that_was_due_is_seen_by_its_time(world: World, days: int) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=days)
    world.forget_events()
    report = world.reconcile(NOTHING_LATELY)
    assert report.repaired == [f"subscription {row.razorpay_subscription_id}"]
    assert (again(row).paid_count, tokens(user)) == (1 + days // 30, PLUS)
    assert not world.reconcile(NOTHING_LATELY).repaired


def test_a_charge_is_seen_though_all_was_looked_at_just_before_and_just_after_it(world: World) -> None:
    row = world.subscribed(world.person(), method="upi")
    world.pass_until(again(row).charge_at)
    for minutes in (-2, 2):
        Subscription.objects.filter(pk=row.pk).update(fetched_at=again(row).charge_at + timedelta(minutes=minutes))
        world.forget_events()
        with clock.travel(timedelta(minutes=6)):
            assert world.reconcile(NOTHING_LATELY).looked_at == 1


def test_what_was_not_looked_at_for_half_a_day_is_looked_at_and_nothing_more_often(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    for hours, looked_at in ((11, 0), (2, 1), (1, 0)):
        world.pass_time(hours=hours)
        assert world.reconcile(NOTHING_LATELY).looked_at == looked_at
    assert str(again(row).status) == "active"


def test_a_cancellation_in_the_app_is_seen_within_half_a_day(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.walk(row, "cancel")
    world.forget_events()
    world.pass_time(hours=13)
    world.reconcile(NOTHING_LATELY)
    assert (str(again(row).status), tokens(user)) == ("cancelled", PLUS)


def test_a_change_whose_answer_was_lost_is_looked_for_until_it_is_seen(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, **INTERNATIONAL)
    world.pass_time(hours=1)
    world.control("fault", {"fault": "lost-500", "method": "PATCH"})
    world.control("fault", {"fault": "503", "method": "GET", "times": 1})
    world.change(user, "pro")
    world.forget_events()
    world.reconcile(NOTHING_LATELY)
    assert again(row).plan.code == "pro"
    assert world.reconcile(NOTHING_LATELY).looked_at == 0


def test_what_razorpay_was_told_to_end_is_looked_at_until_it_says_so(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(hours=1)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert ending.send_due() == [row.razorpay_subscription_id]
    assert str(again(row).status) == "active"
    world.reconcile(NOTHING_LATELY)
    assert str(again(row).status) == "cancelled"


# Orders -----------------------------------------------------------------------------------------------
def test_an_order_that_was_made_unheard_is_found_by_its_row(world: World) -> None:
    user = world.person()
    lost(world, "orders")
    assert refused(world.order, user) == "payments_unavailable"
    (order,) = world.control("objects?kind=order")["items"]
    world.control(f"order/{order['id']}/pay", {})
    world.forget_events()
    for minutes, given in ((4, 0), (2, SMALL)):
        world.pass_time(minutes=minutes)
        overdue.see_purchases(gateway.razorpay(), now(), Report())
        assert extra(user) == given
    assert Purchase.objects.get().razorpay_order_id == order["id"]


def test_an_order_that_was_never_made_is_looked_for_for_four_days_and_stays_as_it_is(world: World) -> None:
    never_made(world, "orders")
    assert refused(world.order, world.person()) == "payments_unavailable"
    for hours, looks in ((95, True), (2, False)):
        world.pass_time(hours=hours)
        world.control("fault", {"fault": "503", "method": "GET", "path": "/orders", "after": 1})
        report = world.reconcile(NOTHING_LATELY)
        world.control("fault", {"clear": True})
        assert bool(report.failed) == looks
        assert not world.reconcile(NOTHING_LATELY).failed
    row = Purchase.objects.get()
    assert (row.status, row.razorpay_order_id) == ("creating", None)


def test_an_order_that_can_not_be_looked_for_keeps_no_other_from_it(world: World) -> None:
    for _ in range(2):
        lost(world, "orders")
        assert refused(world.order, world.person()) == "payments_unavailable"
    world.pass_time(minutes=30)
    world.control("fault", {"fault": "503", "method": "GET", "path": "/orders", "after": 1})
    report = world.reconcile(NOTHING_LATELY)
    assert len(report.failed) == 1 and report.failed[0].startswith("purchase ")
    assert Purchase.objects.filter(razorpay_order_id=None).count() == 1
    world.reconcile(NOTHING_LATELY)
    assert not Purchase.objects.filter(razorpay_order_id=None).exists()


def test_an_attempt_that_came_through_later_is_seen_by_the_order(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (failed,) = pay(world, row, ok=False)
    world.hear()
    row.refresh_from_db()
    assert row.status == "attempted"
    world.control(f"payment/{failed['id']}/authorise-late", {})
    world.forget_events()
    world.pass_time(hours=20)
    assert world.reconcile(NOTHING_LATELY).repaired == [f"order {row.razorpay_order_id}"]
    assert extra(user) == SMALL and not world.reconcile(NOTHING_LATELY).looked_at
    assert Difference.objects.get().kind == "lost_order"


def test_a_payment_that_can_not_be_had_just_now_is_credited_by_its_order(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (payment,) = pay(world, row)
    world.forget_events()
    world.control("fault", {"fault": "503", "method": "GET", "path": f"/payments/{payment['id']}"})
    report = world.reconcile()
    assert [each.split(":")[0] for each in report.failed] == [f"payment {payment['id']}"]
    assert report.repaired == [f"order {row.razorpay_order_id}"]
    assert extra(user) == SMALL
    lost_one = Difference.objects.get()
    assert (lost_one.ours, lost_one.theirs) == (
        {"status": "created", "credited": False}, {"status": "paid", "credited": True},
    )  # fmt: skip


# Refunds and labels -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("end", "back"), [("processed", True), ("failed", False)])
def test_a_refund_that_was_on_its_way_is_asked_for_until_it_has_ended(world: World, end: str, back: bool) -> None:
    user = world.person()
    paid = bought(world, user)
    world.control("habits", {"refunds": "pending"})
    row = refunds.ask(paid, "refund-for-a-test", paid.amount_paise)
    assert row is not None
    world.reconcile()
    row.refresh_from_db()
    assert row.status == "pending"
    world.control(f"refund/{row.razorpay_refund_id}", {"status": end})
    world.forget_events()
    world.pass_time(hours=1)
    assert world.reconcile(NOTHING_LATELY).repaired == [f"refund {row.razorpay_refund_id}"]
    row.refresh_from_db()
    paid.refresh_from_db()
    assert (row.status, paid.refunded_paise == paid.amount_paise) == (end, back)
    assert world.reconcile(NOTHING_LATELY).looked_at == 0


def test_whose_paid_time_is_over_without_an_event_is_called_free_again(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="upi")
    world.walk(row, "cancel")
    world.hear()
    assert state(user)["label"] == ("plus", "cancelled")
    world.pass_until(again(row).allowed_until)
    world.pass_time(hours=25)  # a quota's month may end a day after Razorpay's
    overdue.see_labels(now() - timedelta(hours=26))
    assert state(user)["label"] == ("plus", "cancelled")
    overdue.see_labels(now())
    assert (state(user)["label"], tokens(user)) == (("free", "cancelled"), FREE)


# Looking ----------------------------------------------------------------------------------------------
def test_what_changed_nothing_is_no_difference_and_what_is_none_of_ours_no_failure(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    paid = Payment.objects.get(subscription=row)
    report = Report()
    looking.subscription(report, row.razorpay_subscription_id or "")
    plan = world.control("objects?kind=plan")["items"][0]["id"]
    looking.subscription(report, world.control("subscription", {"plan_id": plan, "total_count": 3})["id"])
    looking.order(report, paid.razorpay_order_id)
    assert (report.looked_at, report.repaired, report.failed) == (3, [], [])
    assert [each.kind for each in Difference.objects.all()] == ["subscription_unknown"]
    looking.refund(report, "rfnd_AAAAAAAAAAAAAA")
    assert len(report.failed) == 1 and report.failed[0].startswith("refund rfnd_AAAAAAAAAAAAAA: ")
