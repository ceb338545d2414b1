"""Looking at an object of Razorpay: what leads to it, who else may be writing, and what is none of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from billing import checkout, effects, gateway, observing
from billing.models import Difference, Payment, Purchase, Subscription
from billing.razorpay.once import NOTE
from oneai.kit.clock import now
from tests.billing.test_changing import again
from tests.billing.test_checkout import came_back
from tests.billing.test_subscribing import FREE, PLUS, PRO, refused
from tests.billing.test_topups import SMALL, extra, pay
from tests.billing.world import World, dead, tokens


def key_of(row: Subscription) -> str:
    assert row.razorpay_subscription_id is not None
    return row.razorpay_subscription_id


# Others write meanwhile ----------------------------------------------------------------------------
@pytest.fixture
def written_by_others(monkeypatch: pytest.MonkeyPatch) -> Callable[[Subscription, int], list[int]]:
    """Lets somebody else write a row during so many looks; the list grows by one for each look."""

    def begin(row: Subscription, times: int) -> list[int]:
        look = observing.look
        looks: list[int] = []

        def slow(*args: Any, **more: Any) -> Any:
            seen = look(*args, **more)
            looks.append(len(looks))
            if len(looks) <= times:  # what they saw is older than our look
                Subscription.objects.filter(pk=row.pk).update(fetched_at=now() - timedelta(hours=len(looks)))
            return seen

        monkeypatch.setattr(observing, "look", slow)
        return looks

    return begin


def test_what_somebody_else_wrote_meanwhile_is_looked_at_again(world: World, written_by_others: Any) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row)
    looks = written_by_others(row, 11)
    assert str(effects.apply_subscription(key_of(row)).status) == "active"
    assert (len(looks), tokens(user)) == (12, PLUS)


def test_what_others_keep_writing_is_left_to_the_next_look(world: World, written_by_others: Any) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)["id"]
    looks = written_by_others(row, 12)
    with pytest.raises(effects.Contended):
        effects.apply_subscription(key_of(row))
    assert (len(looks), tokens(user), str(again(row).status)) == (12, FREE, "created")
    assert came_back(user, row, payment).paid and tokens(user) == PLUS


def test_a_return_and_a_pass_wait_for_what_others_keep_writing(world: World, written_by_others: Any) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)["id"]
    written_by_others(row, 100)
    assert not came_back(user, row, payment).paid
    report = world.reconcile()
    assert len(report.failed) >= 1 and all(key_of(row) in each or payment in each for each in report.failed)
    assert tokens(user) == FREE


# Not of ours ---------------------------------------------------------------------------------------
def test_a_second_subscription_that_names_the_same_row_grants_nothing(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    fields = {"plan_id": row.price.razorpay_plan_id, "total_count": 120, "notes": {NOTE: str(row.pk)}}
    twin = world.control("subscription", fields)["id"]
    world.control(f"subscription/{twin}/authenticate", {})
    world.hear()
    found = Difference.objects.get(kind="subscription_twice")
    assert (found.reference, found.ours) == (twin, {"subscription": key_of(row)})
    assert (again(row).razorpay_subscription_id, str(again(row).status)) == (row.razorpay_subscription_id, "created")
    assert tokens(user) == FREE and dead()
    world.pay(row)
    world.hear()
    assert tokens(user) == PLUS


@pytest.mark.parametrize("notes", [{}, {NOTE: "not a row"}, {NOTE: "0190b8e0-0000-7000-8000-000000000000"}])
def test_a_subscription_that_was_not_asked_for_here_grants_nothing_and_is_told(
    world: World, notes: dict[str, str]
) -> None:
    plan = world.control("objects?kind=plan")["items"][0]["id"]
    stranger = world.control("subscription", {"plan_id": plan, "total_count": 3, "notes": notes})["id"]
    world.control(f"subscription/{stranger}/authenticate", {})
    world.hear()
    found = Difference.objects.get(kind="subscription_unknown")
    assert (found.reference, found.theirs["plan"]) == (stranger, plan)
    assert not Payment.objects.exists() and dead()


def test_money_for_what_was_not_ordered_here_is_told_and_buys_nothing(world: World) -> None:
    made = gateway.razorpay().create_order("an order of somebody else", amount=5_000, currency="INR", receipt="r")
    paid = world.control(f"order/{made.id}/pay", {})["payments"][0]["id"]
    world.hear()
    found = Difference.objects.get(kind="payment_unknown")
    assert (found.reference, found.theirs["amount_paise"], found.theirs["order"]) == (paid, 5_000, made.id)
    assert not Payment.objects.exists() and not Purchase.objects.exists()
    assert {each.event_type for each in dead()} >= {"payment.captured", "order.paid"}


@pytest.mark.parametrize("what", ["failed", "given back", "a token"])
def test_money_that_does_not_stay_is_nobodys_business(world: World, what: str) -> None:
    amount = 500 if what == "a token" else 5_000
    made = gateway.razorpay().create_order("an order of somebody else", amount=amount, currency="INR", receipt="r")
    paid = world.control(f"order/{made.id}/pay", {"ok": what != "failed"})["payments"][0]["id"]
    if what == "given back":
        world.control(f"payment/{paid}/refund", {})
    world.hear()
    assert not Difference.objects.exists() and not Payment.objects.exists() and not dead()


def test_a_payment_of_an_invoice_without_a_subscription_is_for_nothing_that_was_ordered(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)
    world.control(f"object/{payment['invoice_id']}", {"subscription_id": ""})
    world.hear(world.events(event="payment.captured"))
    assert (Difference.objects.get().kind, tokens(user)) == ("payment_unknown", FREE)


# What leads where ----------------------------------------------------------------------------------
def _paid_though_its_answer_was_lost(world: World) -> tuple[User, str]:
    """Somebody's order that Razorpay made and was paid for, and of which we know nothing."""
    user = world.person()
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/orders"})
    world.control("fault", {"fault": "503", "method": "GET", "path": "/orders"})
    assert refused(world.order, user) == "payments_unavailable"
    (order,) = world.control("objects?kind=order")["items"]
    world.control(f"order/{order['id']}/pay", {})
    return user, order["id"]


def test_the_payment_of_an_order_whose_answer_was_lost_leads_to_it(world: World) -> None:
    user, order_id = _paid_though_its_answer_was_lost(world)
    world.hear(world.events(event="payment.captured"))
    row = Purchase.objects.get()
    assert (row.razorpay_order_id, row.status, extra(user)) == (order_id, "paid", SMALL)
    assert not dead() and not Difference.objects.exists()


def test_the_event_of_an_order_whose_answer_was_lost_is_enough(world: World) -> None:
    user, order_id = _paid_though_its_answer_was_lost(world)
    found = effects.apply_order(order_id)
    assert found is not None and (found.pk, extra(user)) == (Purchase.objects.get().pk, SMALL)


def test_an_order_that_razorpay_made_for_a_cycle_leads_to_its_subscription(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)
    assert effects.apply_order(payment["order_id"]) is None
    assert (str(again(row).status), tokens(user)) == ("active", PLUS)


def test_what_sets_up_a_mandate_for_later_leads_to_it_once_it_is_known(world: World) -> None:
    user = world.person()
    world.subscribed(user, "pro", method="upi")
    new = world.change(user, "plus").replacement
    failed = world.pay(new, method="upi", ok=False)["id"]
    assert not came_back(user, new, failed).paid
    assert (Payment.objects.get(razorpay_payment_id=failed).status, str(again(new).status)) == ("failed", "created")
    world.control(f"payment/{failed}/authorise-late", {})
    world.hear(world.events(event="payment.captured", about=failed))
    kept = Payment.objects.get(razorpay_payment_id=failed)
    assert (str(again(new).status), kept.refunded_paise, kept.effect_at) == ("authenticated", kept.amount_paise, None)
    assert tokens(user) == PRO and not Difference.objects.exists() and not dead()


def test_a_refund_leads_to_a_payment_that_was_not_heard_of(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (payment,) = pay(world, row)
    made = world.control(f"payment/{payment['id']}/refund", {"amount": 1_490})
    effects.apply_refund(made["id"])
    kept = Payment.objects.get()
    assert (kept.refunded_paise, kept.refunds.get().amount_paise) == (1_490, 1_490)
    assert extra(user) == SMALL - SMALL // 10
    effects.apply_refund(made["id"])
    assert (kept.refunds.count(), extra(user)) == (1, SMALL - SMALL // 10)


def test_a_payment_that_is_looked_at_beside_its_subscription_is_as_new_as_the_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.person()
    row = world.subscribe(user)
    failed, good = world.pay(row, ok=False)["id"], world.pay(row)["id"]
    look, looks = observing.look, []

    def slow(*args: Any, **more: Any) -> Any:
        seen = look(*args, **more)
        looks.append(args)
        if len(looks) == 1:  # somebody else sees the subscription, and not the payment that failed
            effects.apply_subscription(key_of(row))
        return seen

    monkeypatch.setattr(observing, "look", slow)
    effects.apply_subscription(key_of(row), [failed])
    assert len(looks) == 3
    assert {each.razorpay_payment_id for each in Payment.objects.all()} == {failed, good}
    looks.clear()
    effects.apply_subscription(key_of(row))
    assert len(looks) == 2  # what the other wrote is as new as this look


def test_a_return_is_told_of_a_subscription_that_is_none_of_ours(world: World) -> None:
    user = world.person()
    row = world.subscribe(user)
    payment = world.pay(row)["id"]
    world.control(f"object/{row.razorpay_subscription_id}", {"notes": {NOTE: "somebody else's"}})
    assert refused(came_back, user, row, payment) == "payment_mismatch"
    assert checkout.checkout_of(again(row)) is not None and tokens(user) == FREE
