"""Subscribing and paying: what is granted, once, by what Razorpay says, and what becomes of what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from billing import checkout, effects, prices
from billing.models import Difference, Payment, Plan, Price, Subscription
from billing.once_keys import asked
from oneai.kit.errors import Refusal
from quotas.models import Allowance
from sandbox.razorpay.keys import TEST, signed
from tests.billing.world import World, dead, state, tokens

PLUS, PRO, FREE = 2_000_000, 8_000_000, 50_000


def refused(call: Any, *args: Any, **more: Any) -> str:
    """The code that a call is refused with."""
    with pytest.raises(Refusal) as refusal:
        call(*args, **more)
    return refusal.value.code


# The good way -----------------------------------------------------------------------------------
def test_nothing_is_given_before_it_is_paid_and_all_of_it_afterwards(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.hear()
    assert (str(row.status), tokens(user)) == ("created", FREE)
    world.pay(row)
    assert tokens(user) == FREE
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), row.paid_count, tokens(user)) == ("active", 1, PLUS)
    assert state(user)["label"] == ("plus", "active")
    assert not dead() and not Difference.objects.exists()


def test_each_paid_cycle_gives_its_own_quota_and_grace_follows_it(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    row.refresh_from_db()
    first_end = row.current_period_end
    world.pass_time(days=31)
    assert tokens(user) == PLUS // 10  # the renewal has not been heard of yet
    world.hear()
    row.refresh_from_db()
    assert (row.paid_count, tokens(user)) == (2, PLUS)
    assert first_end is not None and row.allowed_until is not None and row.allowed_until > first_end
    paid = Payment.objects.filter(subscription=row).order_by("period_start")
    assert [pay.period_start for pay in paid][1] == first_end


def test_a_year_is_twelve_months_of_quota(world: World) -> None:
    user = world.person()
    world.subscribed(user, interval="year")
    for days in (0, 40, 200, 100):
        world.pass_time(days=days)
        assert tokens(user) == PLUS
    world.pass_time(days=28)
    assert tokens(user) == PLUS // 10


def test_a_failed_renewal_has_grace_and_then_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.walk(row, "works", works=False)
    world.pass_time(days=31)
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("pending", PLUS // 10)
    world.pass_time(days=4)
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("halted", FREE)
    assert state(user)["label"] == ("free", "halted")
    world.walk(row, "change-method", method="card_international")
    world.hear()
    row.refresh_from_db()
    assert str(row.status) == "active"


def test_a_pending_renewal_that_is_paid_at_last_gives_the_cycle(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.walk(row, "outcomes", next=[False, False, True])
    world.pass_time(days=33, hours=12)
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), row.paid_count, tokens(user)) == ("active", 2, PLUS)


# What goes wrong ---------------------------------------------------------------------------------
def test_after_a_failed_first_payment_the_same_subscription_can_be_paid(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row, ok=False)
    world.hear()
    assert tokens(user) == FREE
    failed = Payment.objects.get(subscription=row)
    assert (failed.status, failed.effect_at) == ("failed", None)
    assert row.changes.filter(kind="payment_failed").count() == 1
    assert world.subscribe(user).pk == row.pk
    world.pay(row)
    world.hear()
    assert tokens(user) == PLUS


def test_an_abandoned_one_is_given_out_again_until_it_expires(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    assert world.subscribe(user).pk == row.pk
    assert world.subscribe(user, "pro").pk != row.pk
    world.pass_time(days=2)
    fresh = world.subscribe(user)
    assert fresh.pk != row.pk
    world.reconcile()
    row.refresh_from_db()
    assert str(row.status) == "expired"


def test_a_failed_payment_that_comes_through_beside_another_is_given_back(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    late = world.pay(row, ok=False)
    world.pay(row)
    world.hear()
    world.control(f"payment/{late['id']}/authorise-late", {})
    world.hear()
    world.reconcile()
    world.hear()
    twice = Payment.objects.get(razorpay_payment_id=late["id"])
    assert (twice.refunded_paise, twice.effect_at) == (twice.amount_paise, None)
    refund = twice.refunds.get()
    assert (refund.status, refund.amount_paise) == ("processed", twice.amount_paise)
    assert tokens(user) == PLUS
    assert Allowance.objects.filter(user=user, source__regex=r"^sub:[^:]+:\d+$").count() == 1


def test_two_subscriptions_that_were_both_paid_leave_the_later_one(world: World) -> None:
    user = world.person()
    plus, pro = world.subscribe(user), world.subscribe(user, "pro")
    world.pay(plus)
    world.pay(pro)
    world.hear()
    world.reconcile()
    world.hear()
    plus.refresh_from_db()
    pro.refresh_from_db()
    assert (str(plus.status), str(pro.status), tokens(user)) == ("cancelled", "active", PRO)
    # Hardly a second was used of it, and nothing of its quota.
    back = Payment.objects.get(subscription=plus).refunds.get()
    assert plus.price.amount_paise - 50 <= back.amount_paise <= plus.price.amount_paise


def test_of_two_that_were_both_paid_the_order_of_hearing_makes_no_difference(world: World) -> None:
    user = world.person()
    plus, pro = world.subscribe(user), world.subscribe(user, "pro")
    world.pay(plus)
    of_plus = world.events()
    world.forget_events()
    world.pay(pro)
    world.hear()
    assert tokens(user) == PRO
    world.hear(of_plus)
    world.reconcile()
    world.hear()
    plus.refresh_from_db()
    assert (str(plus.status), tokens(user)) == ("cancelled", PRO)
    assert Payment.objects.get(subscription=plus).refunds.get().amount_paise == plus.price.amount_paise


def test_who_is_subscribed_is_sent_to_a_change(world: World) -> None:
    user = world.person()
    world.subscribed(user)
    assert refused(world.subscribe, user, "pro") == "already_subscribed"


@pytest.mark.parametrize("fault", ["lost-500", "lost-reset", "garbage"])
def test_a_lost_answer_does_not_make_two_subscriptions(world: World, fault: str) -> None:
    user = world.person()
    world.control("fault", {"fault": fault, "method": "POST", "path": "/subscriptions"})
    row = world.subscribe(user)
    assert str(row.status) == "created"
    assert world.control("objects")["sub"] == 1


def test_when_razorpay_fails_the_next_try_goes_on_with_the_same_row(world: World) -> None:
    user = world.person()
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions"})
    assert refused(world.subscribe, user) == "payments_unavailable"
    waiting = Subscription.objects.get(user=user)
    assert str(waiting.status) == "creating"
    world.pass_time(minutes=2)
    row = world.subscribe(user)
    assert (row.pk, str(row.status), world.control("objects")["sub"]) == (waiting.pk, "created", 1)


def test_one_whose_answer_never_came_is_found_by_its_event_or_the_reconciler(world: World) -> None:
    user = world.person()
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/subscriptions"})
    world.control("fault", {"fault": "503", "method": "GET", "path": "/subscriptions"})
    assert refused(world.subscribe, user) == "payments_unavailable"
    world.pass_time(minutes=10)
    world.reconcile()
    row = Subscription.objects.get(user=user)
    assert (str(row.status), world.control("objects")["sub"]) == ("created", 1)


# Keys and prices ---------------------------------------------------------------------------------
def test_the_same_key_gives_the_same_subscription_and_another_body_is_refused(world: World) -> None:
    user = world.person()
    key = asked(user.pk, "a key", "subscription", {"plan": "plus"})
    row = world.subscribe(user, asked=key)
    assert world.subscribe(user, "pro", asked=key).pk == row.pk
    other = asked(user.pk, "a key", "subscription", {"plan": "pro"})
    assert refused(world.subscribe, user, "pro", asked=other) == "idempotency_conflict"


def test_a_new_price_is_for_new_subscriptions_only(world: World) -> None:
    early, late = world.person(), world.person()
    old = world.subscribed(early)
    Plan.objects.filter(code="plus").update(
        price_month_paise=59_900, limits=[{"scope": "*", "unit": "tokens", "limit": 3}]
    )
    assert refused(world.subscribe, late) == "plan_not_for_sale"  # nobody pays another price than the one shown
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/plans"})
    assert prices.sync_due() == 2
    assert prices.sync_due() == 0
    assert world.control("objects")["plan"] == 8
    assert [price.version for price in Price.objects.filter(plan__code="plus", interval="month")] == [1, 2]
    row = world.subscribe(late)
    assert row.price.amount_paise == 59_900
    world.pay(row)
    world.pass_time(days=31)
    world.hear()
    old.refresh_from_db()
    assert (tokens(early), tokens(late)) == (PLUS, 3)
    assert [pay.amount_paise for pay in Payment.objects.filter(subscription=old)] == [49_900, 49_900]


def test_a_dear_plan_is_synced_with_a_warning(world: World) -> None:
    Plan.objects.filter(code="pro").update(price_month_paise=15_000_01)
    from billing import gateway

    warnings = {each.price.plan.code: each.warning for each in prices.sync(gateway.razorpay()) if each.warning}
    assert "₹15,000" in warnings["pro"] and set(warnings) == {"pro"}


# Back from the checkout ----------------------------------------------------------------------------
def test_a_signed_return_is_believed_only_as_far_as_razorpay_confirms_it(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    unpaid = "pay_AAAAAAAAAAAAAA"
    forged = signed(f"{unpaid}|{row.razorpay_subscription_id}", "another secret")
    arguments: tuple[Any, ...] = (user.pk, row.razorpay_subscription_id, unpaid)
    assert refused(checkout.verify_subscription, *arguments, forged) == "invalid_signature"
    good = signed(f"{unpaid}|{row.razorpay_subscription_id}", TEST.secret)
    assert not checkout.verify_subscription(*arguments, good).paid
    assert tokens(user) == FREE
    payment = world.pay(row)["id"]
    good = signed(f"{payment}|{row.razorpay_subscription_id}", TEST.secret)
    assert checkout.verify_subscription(user.pk, row.razorpay_subscription_id or "", payment, good).paid
    assert tokens(user) == PLUS
    stranger = world.person()
    assert (
        refused(checkout.verify_subscription, stranger.pk, row.razorpay_subscription_id, payment, good) == "not_found"
    )


def test_while_razorpay_does_not_answer_a_return_is_pending(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)["id"]
    good = signed(f"{payment}|{row.razorpay_subscription_id}", TEST.secret)
    world.control("fault", {"fault": "503", "times": 1})
    found = checkout.verify_subscription(user.pk, row.razorpay_subscription_id or "", payment, good)
    assert (found.paid, tokens(user)) == (False, FREE)
    assert checkout.verify_subscription(user.pk, row.razorpay_subscription_id or "", payment, good).paid


# Any order, any number ---------------------------------------------------------------------------
def _first_cycle(world: World) -> tuple[User, list[dict[str, Any]]]:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row, ok=False)
    world.pay(row)
    return user, world.events(about=row.razorpay_subscription_id or "") or world.events()


def test_each_single_event_but_those_of_failures_is_enough(world: World) -> None:
    _, events = _first_cycle(world)
    for place in range(len(events)):
        user, mine = _first_cycle(world)
        world.hear([mine[place]])
        assert tokens(user) == PLUS, mine[place]["event"]
        world.forget_events()


def test_a_stale_look_never_overwrites_a_newer_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.person()
    row = world.subscribed(user)
    from billing import observing

    look, looked = observing.look, []

    def slow(*args: Any, **more: Any) -> Any:
        seen = look(*args, **more)
        looked.append(str(seen.subscription.status))
        if len(looked) == 1:  # while this one is on its way, the subscription ends and somebody else sees it
            world.walk(row, "cancel")
            effects.apply_subscription(row.razorpay_subscription_id or "")
        return seen

    monkeypatch.setattr(observing, "look", slow)
    effects.apply_subscription(row.razorpay_subscription_id or "")
    row.refresh_from_db()
    assert looked[0] == "active"
    assert str(row.status) == "cancelled"
