"""Refunds on their way to Razorpay: each is made once, waits while it can't be made, and is told of if it never is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from billing import gateway, refunds
from billing.models import Difference, Payment, Refund
from oneai.kit import clock
from tests.billing.test_topups import SMALL, bought, extra
from tests.billing.world import World

KEY = "refund-for-a-test"


@pytest.fixture
def user(world: World) -> User:
    return world.person()


@pytest.fixture
def paid(world: World, user: User) -> Payment:
    return bought(world, user)


def asked(paid: Payment, key: str = KEY) -> Refund:
    """A refund of all of it, which waits to be sent."""
    row = refunds.ask(paid, key, paid.amount_paise)
    assert row is not None
    return row


def test_less_than_a_rupee_does_not_go_back_and_takes_nothing(user: User, paid: Payment) -> None:
    assert refunds.ask(paid, KEY, 99) is None
    assert (Refund.objects.count(), extra(user)) == (0, SMALL)
    row = refunds.ask(paid, KEY, 100)
    assert row is not None and row.amount_paise == 100
    assert extra(user) == SMALL - SMALL * 100 // paid.amount_paise


def test_what_is_asked_for_twice_is_one_refund_and_never_more_than_was_paid(user: User, paid: Payment) -> None:
    row = refunds.ask(paid, KEY, paid.amount_paise + 1)
    assert row is not None and row.amount_paise == paid.amount_paise
    assert refunds.ask(paid, KEY, 100) == row
    assert refunds.ask(paid, "another-refund", 100) is None
    assert (Refund.objects.count(), extra(user)) == (1, 0)


def test_while_payments_are_off_a_refund_waits(world: World, paid: Payment, settings: Any) -> None:
    row = asked(paid)
    key, settings.RAZORPAY_KEY_ID = settings.RAZORPAY_KEY_ID, ""
    assert refunds.send_due() == 0
    settings.RAZORPAY_KEY_ID = key
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("asked", 0)
    assert refunds.send_due() == 1
    row.refresh_from_db()
    assert (row.status, row.attempts, row.due_at) == ("processed", 1, None)


def test_a_refund_of_the_other_mode_is_not_asked_for_with_this_key(world: World, paid: Payment) -> None:
    asked(paid)
    Payment.objects.update(mode="live")
    assert (refunds.send_due(), world.control("objects")["rfnd"]) == (0, 0)


def test_what_another_worker_has_in_hand_is_left_to_it(
    world: World, paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asked(paid), asked(bought(world, world.person()), "another-refund")
    send, held = refunds.send, list[int]()

    def slow(*args: Any) -> bool:  # meanwhile another worker begins with the second
        first.refresh_from_db()
        assert first.due_at is not None
        held.append(round((first.due_at - clock.now()) / timedelta(minutes=1)))
        Refund.objects.filter(pk=second.pk).update(due_at=clock.now() + refunds.LEASE, attempts=1)
        return send(*args)

    monkeypatch.setattr(refunds, "send", slow)
    assert refunds.send_due() == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status, second.attempts, held) == ("processed", "asked", 1, [2])
    assert world.control("objects")["rfnd"] == 1


def test_a_refund_that_another_process_is_making_waits_and_is_not_given_up(
    world: World, user: User, paid: Payment
) -> None:
    other = bought(world, world.person())
    gateway.razorpay().create_refund(KEY, other.razorpay_payment_id, amount=100)  # its key is in use
    row = asked(paid)
    assert refunds.send_due() == 0
    row.refresh_from_db()
    assert (row.status, row.attempts, row.last_error[:4]) == ("asked", 1, "409:")
    assert row.due_at is not None and row.due_at > clock.now()
    assert not Difference.objects.exists()


def test_a_refund_waits_longer_each_time_and_at_most_six_hours(world: World, paid: Payment) -> None:
    row = asked(paid)
    world.control("fault", {"fault": "503", "method": "POST", "path": "/payments/*/refund", "times": 11})
    waits = []
    for _ in range(11):
        assert refunds.send_due() == 0
        row.refresh_from_db()
        assert row.due_at is not None
        waits.append(round((row.due_at - clock.now()) / timedelta(minutes=1)))
        world.pass_time(minutes=waits[-1] + 1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert refunds.send_due() == 1
    row.refresh_from_db()
    assert (row.status, row.attempts, row.last_error) == ("processed", 12, "")


def test_the_first_that_has_no_answer_ends_the_round(world: World, paid: Payment) -> None:
    rows = [asked(paid), asked(bought(world, world.person()), "another-refund")]
    world.control("fault", {"fault": "503", "method": "POST", "path": "/payments/*/refund"})
    assert refunds.send_due() == 0
    for row in rows:
        row.refresh_from_db()
    assert [row.attempts for row in rows] == [1, 0]


def test_one_that_was_made_though_its_key_is_forgotten_is_found_by_its_notes(
    world: World, user: User, paid: Payment
) -> None:
    made = world.control(f"payment/{paid.razorpay_payment_id}/refund", {})
    world.control(f"object/{made['id']}", {"notes": {"oneai_key": KEY}})
    row = asked(paid)
    assert refunds.send_due() == 1
    row.refresh_from_db()
    assert (row.status, row.razorpay_refund_id, extra(user)) == ("processed", made["id"], 0)
    assert row.processed_at is not None
    world.hear()
    assert Refund.objects.count() == 1 and not Difference.objects.exists()


def test_a_refund_that_razorpay_refuses_for_good_is_told_to_the_owners_once(
    world: World, user: User, paid: Payment
) -> None:
    world.control(f"payment/{paid.razorpay_payment_id}/refund", {})
    row = asked(paid)
    assert (refunds.send_due(), refunds.send_due()) == (0, 0)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.due_at) == ("failed", 1, None)
    assert "fully refunded" in row.last_error
    found = Difference.objects.get(kind="refund_refused")
    assert (found.reference, found.ours) == (
        KEY,
        {"payment": paid.razorpay_payment_id, "amount_paise": paid.amount_paise},
    )
    assert found.theirs == {"said": row.last_error}
    world.hear()  # what was given back by hand is all that goes back
    paid.refresh_from_db()
    assert (paid.refunded_paise, refunds.left_of(paid), extra(user)) == (paid.amount_paise, 0, 0)


@pytest.mark.parametrize(("days", "status"), [(149, "failed"), (150, "to_pay")])
def test_a_refund_of_an_old_payment_that_is_refused_is_paid_by_hand(
    world: World, paid: Payment, days: int, status: str
) -> None:
    world.pass_time(days=days)
    row = asked(paid)
    world.control("fault", {"fault": "url-not-found", "method": "POST", "path": "/payments/*/refund"})
    assert refunds.send_due() == 0
    row.refresh_from_db()
    assert (row.status, row.due_at, bool(row.last_error)) == (status, None, True)
    kind = "refund_to_pay" if status == "to_pay" else "refund_refused"
    assert Difference.objects.get().kind == kind
    assert refunds.paid_by_hand(row) is (status == "to_pay")
    assert refunds.paid_by_hand(row) is False
    paid.refresh_from_db()
    assert paid.refunded_paise == (paid.amount_paise if status == "to_pay" else 0)


@pytest.mark.parametrize(
    ("age", "old"), [(timedelta(days=179, minutes=-1), False), (timedelta(days=179, seconds=1), True)]
)
def test_a_payment_is_too_old_a_day_before_razorpay_says_so(paid: Payment, age: timedelta, old: bool) -> None:
    paid.paid_at = clock.now() - age
    assert refunds.is_too_old(paid) is old
    paid.paid_at, paid.created_at = None, clock.now() - age
    assert refunds.is_too_old(paid) is old


def test_nothing_goes_back_of_what_a_bank_may_take(world: World, user: User, paid: Payment) -> None:
    world.control(f"payment/{paid.razorpay_payment_id}/dispute", {})
    world.hear()
    paid.refresh_from_db()
    assert (refunds.left_of(paid), refunds.ask(paid, KEY, paid.amount_paise)) == (0, None)


def test_a_failed_refund_leaves_the_payment_with_its_money(world: World, paid: Payment) -> None:
    world.control("habits", {"refunds": "pending"})
    row = asked(paid)
    assert refunds.send_due() == 1
    world.hear()
    row.refresh_from_db()
    paid.refresh_from_db()
    assert (row.status, paid.status, refunds.made_of(paid)) == ("pending", "refunded", paid.amount_paise)
    world.control(f"refund/{row.razorpay_refund_id}", {"status": "failed"})
    world.hear()
    row.refresh_from_db()
    paid.refresh_from_db()
    assert (row.status, paid.status, paid.refunded_paise) == ("failed", "captured", 0)
    assert (refunds.left_of(paid), refunds.made_of(paid)) == (paid.amount_paise, 0)
    assert Difference.objects.get(kind="refund_failed").reference == row.razorpay_refund_id
