"""Ordering a subscription and coming back from paying it: twice at once, with a coupon, with what does not fit."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import User
from billing import checkout, effects, gateway, shown
from billing.models import Coupon, Difference, Plan, Purchase, Subscription
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from sandbox.razorpay.keys import TEST, signed
from tests.billing.test_changing import again
from tests.billing.test_subscribing import FREE, PLUS, refused
from tests.billing.test_topups import SMALL, extra, pay
from tests.billing.world import World, tokens


def came_back(user: User, row: Subscription | Purchase, payment: str) -> checkout.Verified:
    """The browser says so, with Razorpay's own signature."""
    if isinstance(row, Purchase):
        signature = signed(f"{row.razorpay_order_id}|{payment}", TEST.secret)
        return checkout.verify_order(user.pk, row.razorpay_order_id or "", payment, signature)
    signature = signed(f"{payment}|{row.razorpay_subscription_id}", TEST.secret)
    return checkout.verify_subscription(user.pk, row.razorpay_subscription_id or "", payment, signature)


# What is ordered -----------------------------------------------------------------------------------
def test_what_checkout_is_opened_with_is_there_until_it_is_paid(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    opened = checkout.checkout_of(row)
    assert opened == checkout.Checkout(TEST.key_id, row.razorpay_subscription_id or "", row.short_url)
    assert opened.url and shown.created(row)["checkout"]["subscription_id"] == row.razorpay_subscription_id
    world.pay(row)
    world.hear()
    assert checkout.checkout_of(again(row)) is None and shown.created(again(row))["checkout"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "seats", "says"),
    [("team", 0, "From 1 to 1000 seats."), ("team", 1001, "From 1 to 1000 seats."), ("plus", 2, "has no seats")],
)
def test_a_number_of_seats_that_a_plan_can_not_have_is_refused_by_name(code: str, seats: int, says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        checkout.check_seats(Plan.objects.get(code=code), seats)
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "seats") and says in refusal.value.text


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "seats"), [("team", 1), ("team", 1000), ("plus", 1)])
def test_a_number_of_seats_that_a_plan_can_have_is_taken(code: str, seats: int) -> None:
    checkout.check_seats(Plan.objects.get(code=code), seats)


def test_an_order_with_seats_that_nobody_sells_leaves_no_row(world: World) -> None:
    user = world.person()
    assert refused(world.subscribe, user, "team", seats=1001) == "invalid_value"
    assert not Subscription.objects.exists()


def test_the_open_one_that_is_given_out_again_is_the_one_with_the_same_coupon(world: World) -> None:
    user = world.person()
    for code in ("ONE", "TWO"):
        Coupon.objects.create(code=code, bonus_tokens=1000)
    plain = world.subscribe(user)
    one, two = world.subscribe(user, coupon="ONE"), world.subscribe(user, coupon="TWO")
    assert len({plain.pk, one.pk, two.pk}) == 3
    assert world.subscribe(user, coupon=" one ").pk == one.pk
    assert world.subscribe(user, coupon="TWO").pk == two.pk
    assert world.subscribe(user).pk == plain.pk
    assert world.control("objects")["sub"] == 3


def test_one_whose_link_is_about_to_end_is_not_given_out_again(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pass_time(hours=23, minutes=29)
    assert world.subscribe(user).pk == row.pk
    world.pass_time(minutes=2)
    assert world.subscribe(user).pk != row.pk


@pytest.mark.parametrize(("minutes", "waits"), [(16, True), (14, False)])
def test_what_follows_a_last_cycle_begins_at_once_when_there_is_no_time_left_to_pay_it_before(
    world: World, minutes: int, waits: bool
) -> None:
    user = world.person()
    old = world.subscribed(user)
    world.walk(old, "complete")
    world.hear()
    end = again(old).current_period_end
    assert end is not None
    world.pass_until(end - timedelta(minutes=minutes))
    row = world.subscribe(user)
    assert (row.replaces_id, row.starts_at) == (old.pk, end if waits else None)


def test_of_two_orders_that_would_follow_a_last_cycle_the_last_one_does(world: World) -> None:
    user = world.person()
    old = world.subscribed(user)
    world.walk(old, "complete")
    world.hear()
    first = world.subscribe(user)
    assert world.subscribe(user).pk == first.pk
    second = world.subscribe(user, "pro")
    assert (again(first).replaces_id, again(second).replaces_id) == (None, old.pk)


# Twice at once -------------------------------------------------------------------------------------
@pytest.fixture
def in_hand(world: World) -> Subscription:
    """A row that another process is having made at Razorpay."""
    user = world.person()
    world.control("fault", {"fault": "429", "method": "POST", "path": "/subscriptions"})
    assert refused(world.subscribe, user) == "payments_unavailable"
    row = Subscription.objects.get(user=user)
    assert row.fetched_at is None  # nothing can have been made: nobody need wait
    Subscription.objects.filter(pk=row.pk).update(fetched_at=now())
    return row


def test_a_second_click_gets_what_the_first_one_has_made(
    world: World, in_hand: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def meanwhile(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            Subscription.objects.filter(pk=in_hand.pk).update(fetched_at=None)
            checkout.ask_razorpay(gateway.razorpay(), again(in_hand))

    monkeypatch.setattr(checkout, "time", SimpleNamespace(sleep=meanwhile))
    row = world.subscribe(in_hand.user)
    assert (row.pk, str(row.status), world.control("objects")["sub"]) == (in_hand.pk, "created", 1)


def test_a_second_click_while_the_first_one_takes_too_long_is_told_to_come_again(
    world: World, in_hand: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(checkout, "time", SimpleNamespace(sleep=waits.append))
    with pytest.raises(Refusal) as refusal:
        world.subscribe(in_hand.user)
    assert (refusal.value.code, refusal.value.retry_after) == ("payments_unavailable", 2)
    assert 7.9 < sum(waits) < 8.1
    assert (str(again(in_hand).status), world.control("objects")["sub"]) == ("creating", 0)


def test_who_had_it_in_hand_and_died_keeps_nobody_from_it_for_long(world: World, in_hand: Subscription) -> None:
    world.pass_time(seconds=60)
    row = world.subscribe(in_hand.user)
    assert (row.pk, str(row.status), world.control("objects")["sub"]) == (in_hand.pk, "created", 1)


def test_an_event_that_comes_before_the_answer_has_the_row_written_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_there = checkout._make_at_razorpay

    def slowly(*args: Any, **more: Any) -> Any:
        seen = made_there(*args, **more)
        effects.apply_subscription(seen.id)
        return seen

    monkeypatch.setattr(checkout, "_make_at_razorpay", slowly)
    row = world.subscribe(world.person())
    assert (str(row.status), row.changes.filter(kind="created").count()) == ("created", 1)
    assert row.razorpay_subscription_id is not None and row.short_url


# Back from it --------------------------------------------------------------------------------------
def test_a_subscription_that_is_not_as_it_was_ordered_is_a_mismatch_and_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)["id"]
    world.control(f"object/{row.razorpay_subscription_id}", {"quantity": 5})
    assert refused(came_back, user, row, payment) == "payment_mismatch"
    assert (tokens(user), Difference.objects.get().kind) == (FREE, "subscription_mismatch")


def test_an_order_that_is_not_as_it_was_ordered_is_a_mismatch_and_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (payment,) = pay(world, row)
    world.control(f"object/{row.razorpay_order_id}", {"amount": 100})
    assert refused(came_back, user, row, payment["id"]) == "payment_mismatch"
    assert (extra(user), Difference.objects.get().kind) == (0, "order_mismatch")


def test_while_razorpay_does_not_answer_an_order_is_pending_and_paid_afterwards(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (payment,) = pay(world, row)
    world.control("fault", {"fault": "503", "times": 1})
    found = came_back(user, row, payment["id"])
    assert (found.paid, found.row.pk, extra(user)) == (False, row.pk, 0)
    assert came_back(user, row, payment["id"]).paid and extra(user) == SMALL


def test_a_subscription_is_paid_by_that_payment_and_not_by_its_state_alone(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    failed, good = world.pay(row, ok=False)["id"], world.pay(row)["id"]
    assert not came_back(user, row, failed).paid
    assert came_back(user, row, good).paid and tokens(user) == PLUS
    world.walk(row, "cancel")
    found = came_back(user, row, good)
    assert (found.paid, str(found.row.status)) == (False, "cancelled")


@pytest.mark.parametrize("kind", ["subscription", "order"])
def test_what_is_another_persons_or_was_signed_by_another_is_not_looked_at(world: World, kind: str) -> None:
    user, stranger = world.person(), world.person()
    row: Any = world.subscribe(user) if kind == "subscription" else world.order(user)
    payment = world.pay(row)["id"] if kind == "subscription" else pay(world, row)[0]["id"]
    assert refused(came_back, stranger, row, payment) == "not_found"
    call = checkout.verify_subscription if kind == "subscription" else checkout.verify_order
    key = row.razorpay_subscription_id if kind == "subscription" else row.razorpay_order_id
    with pytest.raises(Refusal) as refusal:
        call(user.pk, key, payment, signed(f"{payment}|{key}", "another secret"))
    assert (refusal.value.code, refusal.value.param) == ("invalid_signature", "razorpay_signature")
    assert (tokens(user), extra(user)) == (FREE, 0)
