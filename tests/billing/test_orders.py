"""Orders of packs that go another way than the good one: nothing is given for what is wrong, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from billing import gateway
from billing.models import Difference, Pack, Payment, Purchase, Refund
from billing.once_keys import asked
from quotas import allowances
from quotas.models import Grant
from tests.billing.test_disputes import dispute
from tests.billing.test_subscribing import refused
from tests.billing.test_topups import SMALL, bought, extra, pay
from tests.billing.world import World, dead


# Ordering ----------------------------------------------------------------------------------------
def test_the_same_key_gives_the_same_order_and_another_body_is_refused(world: World) -> None:
    user = world.person()
    row = world.order(user, asked=asked(user.pk, "a key", "pack", {"pack": "small"}))
    assert world.order(user, asked=asked(user.pk, "a key", "pack", {"pack": "small"})) == row
    other = asked(user.pk, "a key", "pack", {"pack": "large"})
    assert refused(world.order, user, "large", asked=other) == "idempotency_conflict"
    assert world.control("objects")["order"] == 1


def test_when_razorpay_fails_the_same_key_goes_on_with_the_same_order(world: World) -> None:
    user = world.person()
    key = asked(user.pk, "a key", "pack", {"pack": "small"})
    world.control("fault", {"fault": "503", "method": "POST", "path": "/orders"})
    assert refused(world.order, user, asked=key) == "payments_unavailable"
    waiting = Purchase.objects.get()
    assert (waiting.status, waiting.razorpay_order_id) == ("creating", None)
    world.pass_time(minutes=2)
    row = world.order(user, asked=key)
    assert (row.pk, row.status, world.control("objects")["order"]) == (waiting.pk, "created", 1)


# Authorised and not captured ---------------------------------------------------------------------
def uncaptured(world: World, row: Purchase, **how: Any) -> str:
    """A payment of the order that its bank has said yes to and nobody has taken."""
    world.control(f"object/{row.razorpay_order_id}", {"captures": False})
    (payment,) = pay(world, row, **how)
    assert payment["status"] == "authorized"
    return str(payment["id"])


def captured(world: World, payment_id: str) -> bool:
    found = world.control("objects?kind=pay")["items"]
    return next(bool(each["captured"]) for each in found if each["id"] == payment_id)


def test_what_is_authorised_alone_is_captured_and_credited(world: World) -> None:
    user = world.person()
    row = world.order(user)
    payment = uncaptured(world, row)
    world.hear()
    assert (captured(world, payment), extra(user)) == (True, SMALL)
    assert Payment.objects.get().status == "captured" and not dead()


def test_a_payment_that_can_not_be_captured_gives_nothing_until_it_can(world: World) -> None:
    user = world.person()
    row = world.order(user)
    payment = uncaptured(world, row)
    world.control("fault", {"fault": "url-not-found", "method": "POST", "path": "/payments/*/capture"})
    world.hear()
    assert (captured(world, payment), extra(user), dead()) == (False, 0, [])
    assert Payment.objects.get().status == "authorized"
    world.pass_time(minutes=10)
    world.reconcile()
    assert (captured(world, payment), extra(user)) == (True, SMALL)


def test_another_amount_than_the_orders_is_not_captured(world: World) -> None:
    user = world.person()
    payment = uncaptured(world, world.order(user), amount=100)
    world.hear()
    assert (captured(world, payment), extra(user)) == (False, 0)


def test_what_is_authorised_beside_a_payment_is_not_captured_too(world: World) -> None:
    user = world.person()
    row = world.order(user)
    pay(world, row)
    second = uncaptured(world, row)
    world.hear()
    assert (captured(world, second), extra(user)) == (False, SMALL)
    assert not Refund.objects.exists()


# Not as it was ordered ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"notes": {"oneai_key": "another"}}, ["notes"]),
        ({"amount": 14_800}, ["amount"]),
        ({"currency": "USD"}, ["amount"]),
        ({"notes": {}, "amount": 14_800}, ["notes", "amount"]),
    ],
)
def test_an_order_that_is_not_as_it_was_asked_for_gives_nothing(
    world: World, fields: dict[str, Any], wrong: list[str]
) -> None:
    user = world.person()
    row = world.order(user)
    world.control(f"object/{row.razorpay_order_id}", fields)
    pay(world, row)
    world.hear()
    found = Difference.objects.get(kind="order_mismatch")
    assert (extra(user), found.reference, found.theirs["wrong"]) == (0, row.razorpay_order_id, wrong)
    assert found.ours == {"purchase": str(row.pk), "amount_paise": 14_900, "currency": "INR"}
    assert dead()


def test_an_order_of_the_other_mode_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.order(user)
    Purchase.objects.update(mode="live")
    pay(world, row)
    world.hear()
    assert (extra(user), Difference.objects.get(kind="order_mismatch").theirs["wrong"]) == (0, ["mode"])


def test_a_second_order_under_the_key_of_one_that_is_known_gives_nothing(world: World) -> None:
    user = world.person()
    row = world.order(user)
    second = gateway.razorpay().create_order(str(row.pk), amount=row.amount_paise)
    world.control(f"order/{second.id}/pay", {})
    world.hear()
    found = Difference.objects.get(kind="order_mismatch")
    assert (extra(user), found.reference, found.theirs["wrong"]) == (0, second.id, ["id"])
    row.refresh_from_db()
    assert row.razorpay_order_id != second.id


def test_an_order_that_was_never_asked_for_here_gives_nobody_anything(world: World) -> None:
    foreign = gateway.razorpay().create_order("a shop elsewhere", amount=14_900)
    (payment,) = world.control(f"order/{foreign.id}/pay", {})["payments"]
    world.hear()
    assert {each.kind for each in Difference.objects.all()} == {"payment_unknown"}
    assert Difference.objects.get().reference == payment["id"]
    assert not Payment.objects.exists() and not Grant.objects.exclude(kind="plan").exists()
    assert len(dead()) == len(world.sandbox.razorpay_events())


def test_a_payment_of_another_amount_than_the_order_gives_nothing_and_is_told(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (payment,) = pay(world, row, amount=100)
    world.hear()
    found = Difference.objects.get(kind="payment_mismatch")
    assert (extra(user), found.reference, found.ours["amount_paise"]) == (0, payment["id"], 14_900)
    row.refresh_from_db()
    assert (row.status, row.credited_at, Refund.objects.count(), dead()) == ("attempted", None, 0, [])


# What a pack gives -------------------------------------------------------------------------------
def nano(world: World) -> list[int | None]:
    """What top-ups may cost upstream, in nano-dollars."""
    return list(Grant.objects.filter(kind="extra", unit="nano_usd").values_list("amount", flat=True))


def test_a_pack_without_a_cost_of_its_own_has_that_of_the_plan_in_proportion(world: World) -> None:
    Pack.objects.filter(code="small").update(nano_usd=None)
    bought(world, world.person())
    assert nano(world) == [10 * 250_000_000]  # ten times the tokens of the free plan


@pytest.mark.parametrize(("days", "ends"), [(30, True), (None, False)])
def test_where_the_plan_bounds_no_cost_a_pack_has_tokens_alone(world: World, days: int | None, ends: bool) -> None:
    Pack.objects.filter(code="small").update(nano_usd=None, days=days)
    user = world.person()
    allowances.assign(user.pk, "own", [{"scope": "*", "unit": "tokens", "limit": 1000}], {}, ["*"], "test")
    paid = bought(world, user)
    assert (extra(user), nano(world)) == (SMALL, [])
    dispute(world, paid)
    assert extra(user) == 0
    (made,) = world.control("objects?kind=disp")["items"]
    world.control(f"dispute/{made['id']}", {"status": "won"})
    world.hear()
    assert extra(user) == SMALL
    given = Grant.objects.get(source_key=f"pay:{paid.razorpay_payment_id}")
    assert (given.valid_until is not None) is ends
