"""Packs, coupons, refunds and disputes: tokens for money once, and back when the money goes back."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from billing import checkout, ending, refunds, stopping
from billing.models import Coupon, CouponUse, Difference, Pack, Payment, Purchase, Refund
from billing.standing import Holder
from oneai.kit import clock
from quotas import reading
from sandbox.razorpay.keys import TEST, signed
from tests.billing.test_subscribing import PLUS, refused
from tests.billing.world import World, dead, spend, tokens

SMALL = 500_000


def extra(user: User) -> int:
    """What top-ups add to the tokens of the person now, less what is owed."""
    limits = reading.standing(user.pk).limits
    return next(each.extra for each in limits if (each.scope, each.unit) == ("*", "tokens"))


def pay(world: World, row: Purchase, **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.control(f"order/{row.razorpay_order_id}/pay", how)["payments"]
    return found


def bought(world: World, user: User, pack: str = "small", **how: Any) -> Payment:
    row = world.order(user, pack)
    (payment,) = pay(world, row, **how)
    world.hear()
    return Payment.objects.get(razorpay_payment_id=payment["id"])


# Buying ------------------------------------------------------------------------------------------
def test_a_pack_is_credited_once_whoever_brings_its_payment(world: World) -> None:
    user = world.person()
    row = world.order(user)
    assert (row.status, extra(user)) == ("created", 0)
    (payment,) = pay(world, row)
    signature = signed(f"{row.razorpay_order_id}|{payment['id']}", TEST.secret)
    assert checkout.verify_order(user.pk, row.razorpay_order_id, payment["id"], signature).paid
    world.hear()
    world.hear(world.sandbox.razorpay_events())
    world.reconcile()
    row.refresh_from_db()
    assert (row.status, extra(user)) == ("paid", SMALL)
    swapped = signed(f"{payment['id']}|{row.razorpay_order_id}", TEST.secret)
    assert refused(checkout.verify_order, user.pk, row.razorpay_order_id, payment["id"], swapped) == "invalid_signature"
    assert not dead()


def test_an_order_that_is_paid_twice_is_credited_once_and_the_second_payment_goes_back(world: World) -> None:
    user = world.person()
    row = world.order(user)
    pay(world, row, times=2)
    world.hear()
    world.reconcile()
    world.hear()
    second = Payment.objects.get(purchase=row, effect_at=None)
    assert (extra(user), second.refunded_paise) == (SMALL, second.amount_paise)
    assert Refund.objects.get().status == "processed"


def test_a_failed_payment_can_be_followed_by_a_good_one_and_one_that_comes_late_counts(world: World) -> None:
    user = world.person()
    row = world.order(user)
    (failed,) = pay(world, row, ok=False)
    world.hear()
    assert extra(user) == 0
    world.control(f"payment/{failed['id']}/authorise-late", {})
    world.forget_events()
    world.reconcile()
    assert extra(user) == SMALL


def test_another_amount_gives_nothing_and_is_told(world: World) -> None:
    user = world.person()
    row = world.order(user)
    world.control(f"object/{row.razorpay_order_id}", {"amount": 100})
    pay(world, row, amount=100)
    world.hear()
    assert (extra(user), Difference.objects.filter(kind="order_mismatch").count()) == (0, 1)
    assert dead()


def test_a_lost_answer_does_not_make_two_orders(world: World) -> None:
    user = world.person()
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/orders"})
    row = world.order(user)
    assert (row.status, world.control("objects")["order"]) == ("created", 1)


def test_a_pack_that_is_not_on_sale_is_not_sold(world: World) -> None:
    Pack.objects.filter(code="small").update(is_active=False)
    assert refused(world.order, world.person()) == "pack_not_found"


# Coupons -----------------------------------------------------------------------------------------
def coupon(**more: Any) -> Coupon:
    return Coupon.objects.create(code=secrets.token_hex(4), **more)


def test_a_coupon_takes_its_part_off_a_pack_and_adds_its_bonus(world: World) -> None:
    user, code = world.person(), coupon(percent=20, bonus_tokens=1000)
    row = world.order(user, coupon=code.code.upper())
    assert (row.amount_paise, row.tokens) == (14_900 - 2_980, SMALL + 1000)
    pay(world, row)
    world.hear()
    assert extra(user) == SMALL + 1000
    assert refused(world.order, user, coupon=code.code) == "coupon_not_valid"


def test_a_coupon_is_used_as_often_as_it_says_and_free_again_when_nothing_was_paid(world: World) -> None:
    code = coupon(amount_paise=5000, most_uses=1)
    first, second = world.person(), world.person()
    world.order(first, coupon=code.code)
    assert refused(world.order, second, coupon=code.code) == "coupon_not_valid"
    world.pass_time(days=4)
    world.reconcile()
    assert CouponUse.objects.get().released_at is not None
    assert world.order(second, coupon=code.code).amount_paise == 14_900 - 5000


def test_a_discount_on_a_subscription_needs_an_offer_of_razorpay(world: World) -> None:
    user = world.person()
    assert refused(world.subscribe, user, coupon=coupon(percent=10).code) == "coupon_not_valid"
    assert refused(world.subscribe, user, coupon="no such") == "coupon_not_valid"
    row = world.subscribe(user, coupon=coupon(bonus_tokens=7000).code)
    world.pay(row)
    world.hear()
    assert (tokens(user), extra(user)) == (PLUS, 7000)


# Going back --------------------------------------------------------------------------------------
def test_a_refund_takes_back_what_is_unspent_and_the_rest_is_owed(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    spend(user, 50_000 + 100_000)
    assert extra(user) == SMALL - 100_000
    refunds.ask(paid, "refund-for-a-test", paid.amount_paise, reason="asked for", actor="staff")
    world.reconcile()
    row = Refund.objects.get()
    assert (row.status, row.taken["tokens"], row.owed["tokens"]) == ("processed", SMALL - 100_000, 100_000)
    assert extra(user) == -100_000


def test_a_refund_whose_answer_is_lost_pays_once(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    refunds.ask(paid, "refund-for-a-test", paid.amount_paise)
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/payments/*/refund"})
    refunds.send_due()
    assert Refund.objects.get().status == "asked"
    world.pass_time(minutes=5)
    world.reconcile()
    assert (Refund.objects.get().status, world.control("objects")["rfnd"]) == ("processed", 1)


def test_a_refund_made_in_the_dashboard_is_found_and_applied(world: World) -> None:
    user, other = world.person(), world.person()
    heard, lost = bought(world, user), bought(world, other)
    world.control(f"payment/{heard.razorpay_payment_id}/refund", {})
    world.hear()
    world.control(f"payment/{lost.razorpay_payment_id}/refund", {"amount": 1_490})
    world.forget_events()
    world.reconcile()
    assert (extra(user), extra(other)) == (0, SMALL - SMALL // 10)
    assert Difference.objects.filter(kind="refund_by_hand").count() == 2


def test_a_refund_of_a_whole_cycle_in_the_dashboard_ends_what_it_gave(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    paid = Payment.objects.get(subscription=row)
    world.control(f"payment/{paid.razorpay_payment_id}/refund", {})
    world.hear()
    assert tokens(user) == 50_000
    world.reconcile()
    assert tokens(user) == 50_000 and not dead()


def test_a_failed_refund_is_told_to_the_owners(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    world.control("habits", {"refunds": "failed"})
    refunds.ask(paid, "refund-for-a-test", paid.amount_paise)
    world.reconcile()
    assert (Refund.objects.get().status, Difference.objects.filter(kind="refund_failed").count()) == ("failed", 1)


# Disputes ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("end", "has"), [("won", True), ("lost", False)])
def test_a_dispute_stops_a_plan_until_it_is_won(world: World, end: str, has: bool) -> None:
    user = world.person()
    row = world.subscribed(user)
    paid = Payment.objects.get(subscription=row)
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    assert tokens(user) == 50_000
    assert Difference.objects.filter(kind="dispute").count() == 1
    world.control(f"dispute/{made['id']}", {"status": end})
    world.hear()
    assert tokens(user) == (PLUS if has else 50_000)
    assert not dead()


def test_what_a_dispute_stops_is_neither_resumed_nor_changed_nor_given_back_by_who_began_it(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="card_international")
    paid = Payment.objects.get(subscription=row)
    world.walk(row, "pause")
    world.hear()
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    world.walk(row, "resume")
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("active", 50_000)
    assert refused(world.change, user, "pro") == "subscription_state"
    assert refused(stopping.pause, Holder(user.pk)) == "subscription_state"
    stopping.cancel(Holder(user.pk), "now", "", "her")
    world.control(f"dispute/{made['id']}", {"status": "lost"})
    world.hear()
    world.reconcile()
    assert (tokens(user), Refund.objects.count()) == (50_000, 0)


def test_a_payment_whose_dispute_was_lost_pays_for_nothing_more(world: World) -> None:
    user = world.person()
    row = world.subscribed(user, method="card_international")
    paid = Payment.objects.get(subscription=row)
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.control(f"dispute/{made['id']}", {"status": "lost"})
    world.hear()
    assert world.change(user, "pro").way == "replaced"  # a part of the price would be paid for a part of nothing
    assert tokens(user) == 50_000
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert ending.unused(row)[0] == 0 and not Refund.objects.exists()


@pytest.mark.parametrize(("end", "left"), [("won", SMALL - 100_000), ("lost", -100_000)])
def test_a_dispute_stops_a_topup_until_it_is_won(world: World, end: str, left: int) -> None:
    user = world.person()
    paid = bought(world, user)
    spend(user, 50_000 + 100_000)
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    assert extra(user) == -100_000
    world.control(f"dispute/{made['id']}", {"status": end})
    world.hear()
    assert extra(user) == left


def test_a_coupon_for_one_order_is_not_had_twice_by_paying_an_old_order_late(world: World) -> None:
    code = coupon(percent=50).code
    user = world.person()
    old = world.order(user, coupon=code)
    world.pass_time(days=4)
    world.reconcile()
    new = world.order(user, coupon=code)
    for row in (new, old):
        pay(world, row)
        world.hear()
    assert refused(world.order, user, coupon=code) == "coupon_not_valid"
    world.reconcile()
    assert extra(user) == SMALL
    back = Refund.objects.get()
    assert (back.payment.purchase_id, back.amount_paise, back.status) == (old.pk, old.amount_paise, "processed")


def test_the_bonus_of_a_coupon_goes_back_with_the_money_of_the_plan(world: World) -> None:
    Coupon.objects.create(code="PRESENT", bonus_tokens=100_000)
    user = world.person()
    row = world.subscribe(user, coupon="PRESENT")
    world.pay(row)
    world.hear()
    assert extra(user) == 100_000
    world.pass_time(days=15)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert 40_000 < extra(user) < 60_000


# Trials ------------------------------------------------------------------------------------------
def test_a_trial_is_given_once_a_person_and_paid_for_when_it_ends(world: World) -> None:
    from allauth.account.models import EmailAddress

    from billing.models import Plan

    Plan.objects.filter(code="plus").update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    row = world.subscribe(user)
    assert row.trial
    world.pay(row, method="upi")
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("authenticated", PLUS // 2)
    world.pass_time(days=16)
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("active", PLUS)
    name, _, domain = user.email.partition("@")
    same = User.objects.create_user(f"{name}+again@{domain}")
    EmailAddress.objects.create(user=same, email=same.email, verified=True, primary=True)
    assert not world.subscribe(same).trial
    assert not world.subscribe(world.person()).trial  # nobody has verified that address
    assert not dead() and not Difference.objects.filter(repaired_at=None).exists()
    assert clock.now() > row.created_at + timedelta(days=15)


def test_of_two_trials_that_were_ordered_before_either_began_one_is_given(world: World) -> None:
    from allauth.account.models import EmailAddress

    from billing.models import Plan

    Plan.objects.filter(code__in=["plus", "pro"]).update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    rows = [world.subscribe(user), world.subscribe(user, "pro"), world.subscribe(user, "pro", "year")]
    assert all(row.trial for row in rows)
    for row in rows:
        world.pay(row, method="upi")
        world.hear()
        assert tokens(user) == PLUS // 2
        if row is rows[0]:
            spend(user, PLUS // 2)
        row.refresh_from_db()
    assert [row.metadata["tried"] for row in rows] == [True, False, False]


def test_who_has_paid_since_a_trial_was_ordered_gets_none(world: World) -> None:
    from allauth.account.models import EmailAddress

    from billing.models import Plan

    Plan.objects.filter(code="pro").update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    trial = world.subscribe(user, "pro")
    row = world.subscribed(user)
    spend(user, PLUS)
    world.pay(trial, method="upi")
    world.hear()
    trial.refresh_from_db()
    assert (trial.metadata["tried"], tokens(user)) == (False, PLUS)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    assert not Refund.objects.filter(payment__subscription=row).exists()


def test_a_plan_of_seats_has_no_trial(world: World) -> None:
    from allauth.account.models import EmailAddress

    from billing.models import Plan

    Plan.objects.filter(code="team").update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    assert not world.subscribe(user, "team", seats=1000).trial
