"""Signed events about what is not ours, or not as it was ordered: nothing is granted, and the owners hear of it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Role, User
from billing.models import Difference, Payment, Subscription
from quotas.models import Allowance, Grant
from tests.billing.world import World, dead, tokens

FREE, PLUS = 50_000, 2_000_000


def granted() -> int:
    """How many allowances and top-ups anybody has of a payment."""
    topups = Grant.objects.exclude(kind="plan").count()
    return Allowance.objects.filter(source__startswith="sub:").count() + topups


def falsified(world: World, key: str, **fields: Any) -> None:
    world.control(f"object/{key}", fields)


def paid_but_unheard(world: World) -> tuple[User, Subscription, dict[str, Any]]:
    user = world.person()
    row = world.subscribe(user)
    return user, row, world.pay(row)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"amount": 100}, "payment"),
        ({"currency": "USD"}, "payment"),
        ({"amount": 100}, "invoice"),
        ({"quantity": 9}, "subscription"),
        ({"notes": {"oneai_key": "0198c0de-0000-7000-8000-000000000000"}}, "subscription"),
        ({"notes": {}}, "subscription"),
    ],
)
def test_what_is_fetched_has_to_be_what_was_ordered(world: World, changes: dict[str, Any], what: str) -> None:
    user, row, payment = paid_but_unheard(world)
    key = {"payment": payment["id"], "invoice": payment["invoice_id"], "subscription": row.razorpay_subscription_id}[
        what
    ]
    falsified(world, str(key), **changes)
    world.hear()
    world.reconcile()
    assert (tokens(user), granted()) == (FREE, 0)
    assert Difference.objects.filter(repaired_at=None).count() == 1


def test_another_plan_at_razorpay_gives_nothing(world: World) -> None:
    user, row, _ = paid_but_unheard(world)
    world.hear()
    before = granted()
    other = world.person()
    wrong = world.subscribe(other, "pro")
    Subscription.objects.filter(pk=wrong.pk).update(price=row.price)
    world.pay(wrong)
    world.hear()
    assert (tokens(other), granted(), tokens(user)) == (FREE, before, PLUS)
    assert Difference.objects.get(kind="subscription_mismatch").theirs["wrong"] == ["plan"]


def test_somebody_elses_subscription_is_never_this_persons(world: World) -> None:
    alice, row, _ = paid_but_unheard(world)
    bob = world.person()
    mine = world.subscribe(bob)
    Subscription.objects.filter(pk=row.pk).update(razorpay_subscription_id=None, status="creating")
    Subscription.objects.filter(pk=mine.pk).update(razorpay_subscription_id=row.razorpay_subscription_id)
    world.hear()
    assert (tokens(bob), granted()) == (FREE, 0)
    assert tokens(alice) == FREE


def test_an_event_says_nothing_by_itself(world: World) -> None:
    """Amounts, states and ids in a body are names of what to look at, whatever signature they have."""
    user = world.person()
    row = world.subscribe(user)
    other, paid, payment = paid_but_unheard(world)
    event = next(each for each in world.events() if each["event"] == "subscription.charged")
    world.forget_events()
    for changes in (
        {"payload.subscription.entity.id": row.razorpay_subscription_id},
        {"payload.subscription.entity.id": "sub_AAAAAAAAAAAAAA", "payload.payment.entity.id": "pay_AAAAAAAAAAAAAA"},
        {"payload.payment.entity.amount": 1},
        {"account_id": "acc_AAAAAAAAAAAAAA"},
    ):
        world.control("forge", {"like": event["id"], "changes": changes})
    world.hear()
    assert tokens(user) == FREE
    assert (tokens(other), Allowance.objects.filter(user=other, source__regex=r"^sub:[^:]+:\d+$").count()) == (PLUS, 1)
    assert {payment["id"]} == set(Payment.objects.values_list("razorpay_payment_id", flat=True))
    assert len(dead()) == 2 and str(paid.user_id) == str(other.pk)


def test_a_replay_under_a_new_id_gives_nothing_more(world: World) -> None:
    user, _, _ = paid_but_unheard(world)
    world.hear()
    before = granted()
    for event in world.sandbox.razorpay_events():
        world.control("forge", {"like": event["id"]})
    assert world.hear() > 5
    assert (tokens(user), granted()) == (PLUS, before)


def test_one_of_the_other_mode_does_not_exist(world: World) -> None:
    found = world.sandbox.control("razorpay/subscription?mode=live", _live_plan(world))
    body = {
        "entity": "event", "account_id": "acc_SandboxTest001", "event": "subscription.charged",
        "contains": ["subscription"], "payload": {"subscription": {"entity": {"id": found["id"], "status": "active"}}},
    }  # fmt: skip
    world.control("forge", {"body": body})
    world.hear()
    assert granted() == 0 and len(dead()) == 1


def _live_plan(world: World) -> dict[str, Any]:
    import httpx

    from sandbox.razorpay.keys import LIVE

    plan = {"period": "monthly", "interval": 1, "item": {"name": "x", "amount": 100, "currency": "INR"}}
    made = httpx.post(f"{world.sandbox.url}/razorpay/v1/plans", json=plan, auth=(LIVE.key_id, LIVE.secret))
    return {"plan_id": made.json()["id"], "total_count": 2}


def test_what_only_razorpay_knows_is_told_to_the_owners_once(world: World, mailoutbox: list[Any]) -> None:
    User.objects.create_user("owner@example.com", role=Role.OWNER)
    plan = world.control("objects?kind=plan")["items"][0]["id"]
    made = world.control("subscription", {"plan_id": plan, "total_count": 3})
    world.control(f"subscription/{made['id']}/authenticate", {})
    world.hear()
    world.reconcile()
    world.reconcile()
    world.reconcile()
    assert granted() == 0
    assert Difference.objects.filter(kind="subscription_unknown", reference=made["id"]).count() == 1
    assert len([mail for mail in mailoutbox if "differences" in mail.subject and made["id"] in mail.body]) == 1
