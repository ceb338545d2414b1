"""A payment that a bank disputes more than once: each time what it bought stops, and comes back or goes for good."""

from __future__ import annotations

import pytest

from billing import gateway, refunds
from billing.models import Difference, Payment
from tests.billing.test_subscribing import PLUS
from tests.billing.test_topups import SMALL, bought, coupon, extra, pay
from tests.billing.world import World, dead, spend, tokens


def opened(world: World) -> str:
    """The dispute that is not over."""
    found = world.sandbox.control("razorpay/objects?kind=disp")["items"]
    (one,) = [each["id"] for each in found if each["status"] == "open"]
    return str(one)


def dispute(world: World, paid: Payment, *states: str) -> None:
    """A dispute that goes on to these states, each of which is heard of."""
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    for status in states:
        world.control(f"dispute/{made['id']}", {"status": status})
        world.hear()


@pytest.mark.parametrize(("end", "has"), [("won", PLUS), ("lost", 50_000)])
def test_a_plan_stops_again_when_its_payment_is_disputed_again(world: World, end: str, has: int) -> None:
    user = world.person()
    paid = Payment.objects.get(subscription=world.subscribed(user))
    dispute(world, paid, "won")
    assert tokens(user) == PLUS
    world.hear(world.sandbox.razorpay_events())
    dispute(world, paid)
    assert tokens(user) == 50_000
    assert Difference.objects.filter(kind="dispute").count() == 2
    (second,) = [
        each for each in world.sandbox.control("razorpay/objects?kind=disp")["items"] if each["status"] == "open"
    ]
    world.control(f"dispute/{second['id']}", {"status": end})
    report = world.reconcile()
    assert tokens(user) == has and any("dispute" in each for each in report.repaired)
    assert not dead() and not world.reconcile().repaired


def test_a_plan_stays_stopped_while_one_of_its_payments_is_disputed(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=31)
    world.hear()
    first, second = Payment.objects.filter(subscription=row).order_by("created_at")
    old = world.control(f"payment/{first.razorpay_payment_id}/dispute", {})
    world.hear()
    dispute(world, second)
    world.control(f"dispute/{old['id']}", {"status": "won"})
    world.hear()
    assert tokens(user) == 50_000


@pytest.mark.parametrize(("end", "left"), [("won", SMALL // 2 - 100_000), ("lost", -100_000)])
def test_what_a_won_dispute_gave_back_of_a_pack_goes_with_the_next_one(world: World, end: str, left: int) -> None:
    user = world.person()
    paid = bought(world, user)
    spend(user, 50_000 + 100_000)
    refunds.ask(paid, "half-of-a-pack", paid.amount_paise // 2)
    world.reconcile()
    dispute(world, paid, "won")
    assert extra(user) == SMALL // 2 - 100_000
    dispute(world, paid)
    assert extra(user) == -100_000
    dispute_ids = [
        each["id"] for each in world.sandbox.control("razorpay/objects?kind=disp")["items"] if each["status"] == "open"
    ]
    world.control(f"dispute/{dispute_ids[0]}", {"status": end})
    world.hear()
    assert extra(user) == left


def test_a_refund_after_a_won_dispute_takes_what_the_pack_has_left(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    refunds.ask(paid, "half-of-a-pack", paid.amount_paise // 2)
    world.reconcile()
    dispute(world, paid, "won")
    paid.refresh_from_db()
    refunds.ask(paid, "rest-of-a-pack", paid.amount_paise)
    world.reconcile()
    assert extra(user) == 0


def test_a_lost_dispute_takes_a_coupons_bonus_with_the_plan(world: World) -> None:
    user = world.person()
    row = world.subscribe(user, coupon=coupon(bonus_tokens=5_000).code)
    world.pay(row)
    world.hear()
    assert extra(user) == 5_000
    dispute(world, Payment.objects.get(subscription=row), "lost")
    assert (tokens(user), extra(user)) == (50_000, 0)


def test_the_end_of_a_dispute_of_what_came_second_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.order(user)
    pay(world, row, times=2)
    world.hear()
    dispute(world, Payment.objects.get(purchase=row, effect_at=None))
    assert extra(user) == SMALL
    world.control(f"dispute/{opened(world)}", {"status": "won"})
    world.hear()
    assert extra(user) == SMALL and not dead()


def test_a_won_dispute_of_what_had_all_gone_back_gives_nothing(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    refunds.ask(paid, "all-of-a-pack", paid.amount_paise)
    world.reconcile()
    dispute(world, paid, "won")
    assert extra(user) == 0 and not dead()


def test_a_refund_by_hand_beside_one_that_waits_takes_all_that_a_won_dispute_gave_back(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    refunds.ask(paid, "half-of-a-pack", paid.amount_paise // 2)
    dispute(world, paid, "won")
    assert extra(user) == SMALL // 2
    world.control(f"payment/{paid.razorpay_payment_id}/refund", {})
    world.hear()
    assert extra(user) == 0 and not dead()


def test_a_dispute_of_a_payment_that_is_none_of_ours_is_told_and_stops_nothing(world: World) -> None:
    user = world.person()
    world.subscribed(user)
    foreign = gateway.razorpay().create_order("a shop elsewhere", amount=14_900)
    (payment,) = world.control(f"order/{foreign.id}/pay", {})["payments"]
    world.forget_events()
    made = world.control(f"payment/{payment['id']}/dispute", {})
    world.hear()
    found = Difference.objects.get(kind="dispute_unknown")
    assert (found.reference, found.theirs) == (made["id"], {"payment": payment["id"], "status": "open"})
    assert tokens(user) == PLUS and len(dead()) == 1


@pytest.mark.parametrize(("end", "left"), [("won", SMALL), ("lost", 0)])
def test_a_dispute_that_is_heard_of_before_its_payment_stops_what_that_bought(
    world: World, end: str, left: int
) -> None:
    user = world.person()
    row = world.order(user)
    (failed,) = pay(world, row, ok=False)
    world.hear()
    world.control(f"payment/{failed['id']}/authorise-late", {})
    unheard = world.events()
    world.forget_events()
    made = world.control(f"payment/{failed['id']}/dispute", {})
    world.hear()
    world.hear(unheard)
    assert extra(user) == 0
    world.control(f"dispute/{made['id']}", {"status": end})
    world.hear()
    assert extra(user) == left and not dead()


def test_a_refund_of_an_earlier_cycle_leaves_the_one_that_runs(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=31)
    world.hear()
    first = Payment.objects.filter(subscription=row).order_by("period_start")[0]
    world.control(f"payment/{first.razorpay_payment_id}/refund", {})
    world.hear()
    first.refresh_from_db()
    assert (first.status, tokens(user)) == ("refunded", PLUS)
    assert not row.changes.filter(kind="refunded").exists()


def test_a_dispute_on_its_way_is_told_once(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    paid = Payment.objects.get(subscription=row)
    dispute(world, paid, "under_review", "action_required")
    assert Difference.objects.filter(kind="dispute").count() == 1
    assert row.changes.filter(kind="disputed").count() == 1
    world.control(f"dispute/{opened(world)}", {"status": "closed"})
    world.hear()
    assert row.changes.filter(kind="dispute_over").count() == 1
    assert tokens(user) == PLUS
