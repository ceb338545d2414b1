"""Razorpay against our rows: whatever was not heard of is found in one pass, done once, and reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import User
from billing import reconciling, refunds, stopping
from billing.models import Difference, Payment, Purchase, Subscription
from billing.standing import Holder
from oneai.kit import clock
from tests.billing.test_changing import again
from tests.billing.test_subscribing import refused
from tests.billing.test_topups import SMALL, bought, extra, pay
from tests.billing.world import World, state, tokens

FREE, PLUS, PRO = 50_000, 2_000_000, 8_000_000

Happening = Callable[[World, Subscription], Any]


def _halt(world: World, row: Subscription) -> None:
    world.walk(row, "works", works=False)
    world.pass_time(days=36)


HAPPENED: dict[str, tuple[Happening, str, int]] = {
    "a renewal": (lambda world, row: world.pass_time(days=31), "active", PLUS),
    "three renewals": (lambda world, row: world.pass_time(days=92), "active", PLUS),
    "a cancellation in the app": (lambda world, row: world.walk(row, "cancel"), "cancelled", PLUS),
    "a pause in the app": (lambda world, row: world.walk(row, "pause"), "paused", FREE),
    "failed charges": (_halt, "halted", FREE),
    "the last cycle": (lambda world, row: world.walk(row, "complete"), "completed", PLUS),
}


@pytest.mark.parametrize("what", HAPPENED)
def test_what_happened_unheard_is_found_in_one_pass(world: World, what: str) -> None:
    happen, status, limit = HAPPENED[what]
    user = world.person()
    row = world.subscribed(user, method="upi")
    happen(world, row)
    world.forget_events()
    report = world.reconcile()
    assert (str(again(row).status), tokens(user)) == (status, limit)
    assert report.repaired and not report.failed
    found = state(user)
    assert not world.reconcile().repaired
    assert state(user) == found


def test_what_both_sides_know_alike_is_not_looked_at_again(world: World) -> None:
    user = world.person()
    world.subscribed(user)
    failed = world.subscribe(world.person())
    world.pay(failed, ok=False)
    paid = bought(world, world.person())
    part = bought(world, world.person())
    for payment, paise in ((paid, paid.amount_paise), (part, 100)):
        refunds.ask(payment, f"refund-{payment.pk}", paise)
    refunds.send_due()
    world.hear()
    world.pass_time(hours=1)
    assert (world.reconcile().looked_at, Difference.objects.count()) == (0, 0)


def test_the_workers_own_pass_sees_a_renewal_that_is_overdue(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=45)
    world.forget_events()
    assert reconciling.reconcile_due() > 0
    assert (again(row).paid_count, tokens(user)) == (2, PLUS)


def test_one_that_nobody_paid_expires_here_too_and_its_place_is_free(world: World) -> None:
    user = world.person()
    old = world.subscribed(user, method="upi")
    waiting = world.change(user, "pro").replacement
    world.pass_time(days=2)
    world.reconcile()
    assert (str(again(waiting).status), again(waiting).replaces_id) == ("expired", None)
    assert world.change(user, "pro").replacement.pk != waiting.pk
    assert str(again(old).status) == "active"


def test_an_order_that_was_paid_unheard_is_credited(world: World) -> None:
    user = world.person()
    row = world.order(user)
    pay(world, row)
    world.forget_events()
    world.reconcile()
    world.reconcile()
    assert extra(user) == SMALL


def test_a_refund_of_an_old_payment_that_was_not_heard_of_is_written_into_the_payment(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    world.pass_time(days=20)
    refunds.ask(paid, "refund-for-a-test", paid.amount_paise)
    refunds.send_due()
    world.forget_events()
    report = reconciling.reconcile()
    paid.refresh_from_db()
    assert (paid.status, paid.refunded_paise) == ("refunded", paid.amount_paise)
    assert report.repaired and not reconciling.reconcile().repaired


def test_a_dispute_that_was_not_heard_of_is_found(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    made = world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.forget_events()
    world.reconcile()
    assert extra(user) == 0
    assert Difference.objects.filter(kind="dispute", reference=made["id"]).exists()


def test_one_object_that_fails_keeps_no_other_from_being_looked_at(world: World) -> None:
    people = [world.person() for _ in range(3)]
    rows = [world.subscribe(user) for user in people]
    for row in rows:
        world.pay(row)
    world.forget_events()
    world.control(
        "fault", {"fault": "500", "method": "GET", "path": f"/subscriptions/{rows[1].razorpay_subscription_id}"}
    )
    report = world.reconcile()
    assert len(report.failed) == 1
    assert [tokens(user) for user in people] == [PLUS] * 3  # its payment led to it all the same


def test_the_command_says_what_it_found_and_what_stands(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    user = world.person()
    row = world.subscribe(user)
    world.pay(row)
    plan = world.control("objects?kind=plan")["items"][0]["id"]
    stranger = world.control("subscription", {"plan_id": plan, "total_count": 3})
    world.forget_events()
    since = (clock.now()).date().isoformat()
    call_command("reconcile", "--only", "razorpay", "--since", since, "--json")
    said = json.loads(capsys.readouterr().out)["razorpay"]
    assert f"subscription {row.razorpay_subscription_id}" in said["repaired"]
    assert [(each["kind"], each["reference"]) for each in said["open"]] == [("subscription_unknown", stranger["id"])]
    assert tokens(user) == PLUS
    call_command("reconcile", "--only", "razorpay", "--since", since)
    assert "0 repaired, 0 failed" in capsys.readouterr().out


def test_while_payments_are_off_nothing_is_compared(world: World, settings: Any) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=31)
    world.forget_events()
    key, settings.RAZORPAY_KEY_ID = settings.RAZORPAY_KEY_ID, ""
    assert (reconciling.reconcile_due(), again(row).paid_count) == (0, 1)
    settings.RAZORPAY_KEY_ID = key
    assert reconciling.reconcile_due() > 0 and again(row).paid_count == 2


def test_a_pass_that_can_not_read_razorpay_says_so(world: World) -> None:
    world.control("fault", {"fault": "503", "method": "GET", "path": "/payments"})
    assert refused(reconciling.reconcile) == "payments_unavailable"
    world.control("fault", {"fault": "401", "method": "GET", "path": "/refunds"})
    assert refused(reconciling.reconcile) == "payments_unconfigured"


def test_an_account_that_has_no_list_of_disputes_is_compared_all_the_same(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.pass_time(days=31)
    world.forget_events()
    world.control("fault", {"fault": "url-not-found", "method": "GET", "path": "/disputes"})
    report = world.reconcile()
    assert (report.failed, again(row).paid_count, tokens(user)) == ([], 2, PLUS)


def test_an_order_whose_answer_never_came_is_found_by_its_notes(world: World) -> None:
    user = world.person()
    world.control("fault", {"fault": "lost-500", "method": "POST", "path": "/orders"})
    world.control("fault", {"fault": "503", "method": "GET", "path": "/orders"})
    assert refused(world.order, user) == "payments_unavailable"
    row = Purchase.objects.get()
    assert row.razorpay_order_id is None
    report = world.reconcile()
    row.refresh_from_db()
    assert (row.status, report.repaired) == ("created", [f"order {row.razorpay_order_id}"])
    assert world.control("objects")["order"] == 1
    assert not world.reconcile().repaired
    pay(world, row)
    world.hear()
    assert extra(user) == SMALL


def test_an_end_that_razorpay_was_told_of_is_not_told_again_while_it_can_not_be_seen(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/subscriptions/*/cancel"})
    stopping.cancel(Holder(user.pk), "now", "", "her")
    world.control("fault", {"fault": "503", "method": "GET", "path": "/subscriptions/*"})
    assert reconciling.send_due() == 2  # its refund, and its end
    assert str(again(row).status) == "active" and again(row).cancel_sent_at is not None
    assert reconciling.send_due() == 0
    world.reconcile()
    assert str(again(row).status) == "cancelled"


def test_a_payment_that_is_refunded_meanwhile_is_looked_at_again(world: World) -> None:
    user = world.person()
    paid = bought(world, user)
    assert not world.reconcile().repaired
    world.control(f"payment/{paid.razorpay_payment_id}/refund", {"amount": 1_490})
    world.forget_events()
    report = reconciling.reconcile()
    paid.refresh_from_db()
    assert paid.refunded_paise == 1_490 and any("refund" in each for each in report.repaired)


def test_payments_of_a_closed_account_are_still_followed(world: World) -> None:
    user = world.person()
    row = world.subscribed(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    world.pass_time(days=31)
    world.hear()
    assert Payment.objects.filter(subscription=row).exclude(effect_at=None).count() == 2
