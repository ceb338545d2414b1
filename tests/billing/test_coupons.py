"""Coupons: for what they are, how often, what they take off, and what becomes of what was never paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from billing import coupons, stopping
from billing.models import Coupon, CouponUse, Payment, Refund
from billing.standing import Holder
from oneai.kit.clock import now
from tests.billing import paid
from tests.billing.test_changing import again
from tests.billing.test_subscribing import FREE, PLUS, refused
from tests.billing.test_topups import SMALL, coupon, extra, pay
from tests.billing.world import World, tokens

PACK = 14_900


def reserve(user: User, code: str, paise: int = PACK, **more: Any) -> CouponUse:
    with transaction.atomic():
        return coupons.reserve(user.pk, code, paise, **more)


# For what ------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("plans", "plan", "good"),
    [
        ([], "", True), ([], "plus", True), (["packs"], "", True), (["packs"], "plus", False), (["plus"], "", False),
        (["plus"], "plus", True), (["plus"], "pro", False), (["plus", "packs"], "", True),
    ],
)  # fmt: skip
def test_a_coupon_is_for_what_it_names_or_for_all(plans: list[str], plan: str, good: bool) -> None:
    code, user = coupon(bonus_tokens=1000, plans=plans).code, paid.person()
    if good:
        assert reserve(user, code, plan=plan).discount_paise == 0
    else:
        assert refused(reserve, user, code, plan=plan) == "coupon_not_valid"
        assert not CouponUse.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({}, True),
        ({"is_active": False}, False),
        ({"starts_at": timedelta(minutes=1)}, False),
        ({"until": timedelta(minutes=-1)}, False),
        ({"until": timedelta(minutes=1)}, True),
    ],
)
def test_a_coupon_is_good_between_its_days(more: dict[str, Any], good: bool) -> None:
    more = {name: now() + value if isinstance(value, timedelta) else value for name, value in more.items()}
    code, user = coupon(percent=10, **more).code, paid.person()
    if good:
        assert reserve(user, f"  {code.upper()} ").discount_paise == PACK // 10
    else:
        assert refused(reserve, user, code) == "coupon_not_valid"


@pytest.mark.django_db
@pytest.mark.parametrize("off", [{"percent": 10}, {"amount_paise": 500}])
def test_a_plan_is_made_cheaper_only_by_an_offer_of_razorpay(off: dict[str, int]) -> None:
    user = paid.person()
    assert refused(reserve, user, coupon(**off).code, plan="plus") == "coupon_not_valid"
    assert reserve(user, coupon(**off, razorpay_offer_id="offer_1").code, plan="plus").discount_paise > 0
    assert reserve(user, coupon(**off).code).discount_paise > 0


# How much ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("off", "paise", "discount"),
    [
        ({"percent": 20}, 14_900, 2_980),
        ({"percent": 33}, 101, 1),
        ({"percent": 100}, 14_900, 14_800),
        ({"amount_paise": 5_000}, 14_900, 5_000),
        ({"amount_paise": 20_000}, 14_900, 14_800),
        ({"amount_paise": 500}, 60, 0),
        ({"bonus_tokens": 7}, 14_900, 0),
    ],
)
def test_what_a_coupon_takes_off_is_rounded_down_and_leaves_a_rupee_to_pay(
    off: dict[str, int], paise: int, discount: int
) -> None:
    assert coupons.discount(Coupon(**off), paise) == discount


# How often -----------------------------------------------------------------------------------------
def test_while_an_order_with_a_coupon_is_open_the_coupon_is_for_no_other_of_the_person(world: World) -> None:
    user, code = world.person(), coupon(percent=20).code
    first = world.order(user, coupon=code)
    assert refused(world.order, user, coupon=code) == "coupon_not_valid"
    pay(world, first)
    world.hear()
    assert (extra(user), Coupon.objects.get(code=code).uses) == (SMALL, 1)
    assert refused(world.order, user, coupon=code) == "coupon_not_valid"
    assert world.order(world.person(), coupon=code).amount_paise == PACK - 2_980


@pytest.mark.django_db
def test_a_coupon_may_be_for_several_orders_of_a_person_and_for_so_many_in_all() -> None:
    code, asha, ravi = coupon(percent=10, uses_per_user=2, most_uses=3).code, paid.person(), paid.person()
    reserve(asha, code)
    reserve(asha, code)
    assert refused(reserve, asha, code) == "coupon_not_valid"
    reserve(ravi, code)
    assert refused(reserve, ravi, code) == "coupon_not_valid"
    assert (Coupon.objects.get(code=code).uses, CouponUse.objects.count()) == (3, 3)


@pytest.mark.django_db
def test_what_was_used_with_the_coupon_counts_also_when_it_had_been_free_again() -> None:
    code, user = coupon(percent=10).code, paid.person()
    use = reserve(user, code)
    CouponUse.objects.filter(pk=use.pk).update(used_at=now(), released_at=now())
    assert refused(reserve, user, code) == "coupon_not_valid"


# Subscriptions -------------------------------------------------------------------------------------
def test_a_subscription_by_an_offer_uses_the_coupon_and_gives_nothing_beside_the_plan(world: World) -> None:
    user, code = world.person(), coupon(percent=10, razorpay_offer_id="offer_1").code
    row = world.subscribe(user, coupon=code)
    assert CouponUse.objects.get().used_at is None
    world.pay(row)
    world.hear()
    assert (tokens(user), extra(user), CouponUse.objects.get().used_at is not None) == (PLUS, 0, True)


def test_a_bonus_that_was_not_in_the_coupon_when_it_was_paid_is_not_taken_back(world: World) -> None:
    user, code = world.person(), coupon(percent=10, razorpay_offer_id="offer_1").code
    row = world.subscribe(user, coupon=code)
    world.pay(row)
    world.hear()
    Coupon.objects.update(bonus_tokens=9_000)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert (tokens(user), extra(user), Refund.objects.count()) == (FREE, 0, 1)


def test_the_bonus_came_with_the_first_cycle_and_stays_when_a_later_one_goes_back(world: World) -> None:
    user, code = world.person(), coupon(bonus_tokens=9_000).code
    row = world.subscribe(user, coupon=code)
    world.pay(row)
    world.hear()
    world.pass_time(days=31)
    world.hear()
    assert (again(row).paid_count, extra(user)) == (2, 9_000)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert (Refund.objects.count(), extra(user)) == (1, 9_000)
    first = Payment.objects.filter(subscription=row).order_by("period_start").first()
    assert first is not None
    coupons.take_back(again(row), first, "of the first cycle", first.amount_paise)
    assert extra(user) == 0


def test_the_bonus_of_a_coupon_is_good_for_a_year(world: World) -> None:
    user, code = world.person(), coupon(bonus_tokens=9_000).code
    row = world.subscribe(user, coupon=code)
    world.pay(row)
    world.hear()
    for hours, has in ((364 * 24, 9_000), (25, 0)):
        world.pass_time(hours=hours)
        assert extra(user) == has


# Free again ----------------------------------------------------------------------------------------
def test_a_coupon_of_what_was_never_paid_is_freed_once(world: World) -> None:
    code = coupon(bonus_tokens=1000, most_uses=1).code
    first, second = world.person(), world.person()
    row = world.subscribe(first, coupon=code)
    assert refused(world.subscribe, second, coupon=code) == "coupon_not_valid"
    world.pass_time(days=2)
    world.reconcile()
    assert (str(again(row).status), Coupon.objects.get().uses) == ("expired", 0)
    taken = world.subscribe(second, coupon=code)
    coupons.release(again(row))
    assert Coupon.objects.get().uses == 1
    world.pay(taken)
    world.hear()
    coupons.release(again(taken))
    assert (Coupon.objects.get().uses, CouponUse.objects.get(user=second).released_at) == (1, None)


@pytest.mark.parametrize(("hours", "free"), [(71, False), (73, True)])
def test_an_order_keeps_its_coupon_for_three_days(world: World, hours: int, free: bool) -> None:
    code = coupon(percent=20).code
    world.order(world.person(), coupon=code)
    world.pass_time(hours=hours)
    world.reconcile()
    assert (CouponUse.objects.get().released_at is not None, Coupon.objects.get().uses) == (free, 0 if free else 1)
