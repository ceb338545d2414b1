"""Trials: whom they are for, that each is had once, and what becomes of one that is ended or whose token stays."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from billing import checkout, stopping, trials
from billing.models import Difference, Plan, Refund, Subscription, Trial
from billing.standing import Holder
from sandbox.razorpay.keys import TEST, signed
from tests.billing.test_subscribing import FREE, PLUS
from tests.billing.world import World, dead, tokens


@pytest.fixture
def user(world: World) -> User:
    """Somebody who may try Plus for fifteen days."""
    Plan.objects.filter(code="plus").update(trial_days=15)
    user = world.person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def begun(world: World, user: User) -> Subscription:
    row = world.subscribe(user)
    assert row.trial
    world.pay(row, method="upi")
    world.hear()
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(
    ("email", "plain"),
    [
        ("Asha.Rao+news@GoogleMail.com", "asharao@gmail.com"),
        ("a.s.h.a@gmail.com", "asha@gmail.com"),
        (" Asha.Rao+news+more@Example.com ", "asha.rao@example.com"),
        ('"a@b"@example.com', '"a@b"@example.com'),
    ],
)
def test_an_address_is_known_without_its_variants(email: str, plain: str) -> None:
    assert trials.plain_address(email) == plain


def test_a_trial_that_is_heard_of_again_is_given_and_noted_once(world: World, user: User) -> None:
    row = begun(world, user)
    world.hear(world.sandbox.razorpay_events())
    world.reconcile()
    assert [row.changes.filter(kind=kind).count() for kind in ("trial_begun", "trial_refused")] == [1, 0]
    assert (row.metadata["tried"], tokens(user), Trial.objects.count()) == (True, PLUS // 2, 1)


def test_a_google_account_that_has_tried_tries_no_more_by_another_address(world: World, user: User) -> None:
    User.objects.filter(pk=user.pk).update(google_id="1234")
    user.refresh_from_db()
    assert trials.may_try(user)
    begun(world, user)
    assert Trial.objects.count() == 2
    User.objects.filter(pk=user.pk).update(google_id=None)
    same = world.person()
    same.google_id = "1234"
    assert not trials.may_try(same)
    same.google_id = "5678"
    assert trials.may_try(same)  # Google says who they are: no address of theirs has to be verified


def test_the_token_of_a_mandate_that_stays_for_a_while_is_no_payment_of_the_plan(world: World, user: User) -> None:
    row = world.subscribe(user)
    payment = world.pay(row, method="upi")
    world.control(f"object/{payment['id']}", {"amount_refunded": 0, "status": "captured"})
    signature = signed(f"{payment['id']}|{row.razorpay_subscription_id}", TEST.secret)
    assert checkout.verify_subscription(user.pk, row.razorpay_subscription_id or "", payment["id"], signature).paid
    assert tokens(user) == PLUS // 2
    assert not Difference.objects.exists() and not Refund.objects.exists()
    world.hear()
    assert not Difference.objects.exists() and not dead()


def test_a_trial_that_is_ended_in_the_app_lasts_as_long_as_it_was_given(world: World, user: User) -> None:
    row = begun(world, user)
    world.walk(row, "cancel", by="customer")
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), tokens(user)) == ("cancelled", PLUS // 2)
    world.pass_time(days=16)
    assert tokens(user) == FREE and not trials.may_try(user)


def test_a_trial_that_is_ended_at_once_is_over_and_nothing_goes_back(world: World, user: User) -> None:
    row = begun(world, user)
    stopping.cancel(Holder(user.pk), "now", "", "her")
    row.refresh_from_db()
    assert (str(row.status), tokens(user), Refund.objects.count()) == ("cancelled", FREE, 0)


def test_an_offer_of_a_trial_that_is_authorised_after_its_end_gives_none(world: World, user: User) -> None:
    row = world.subscribe(user)
    Subscription.objects.filter(pk=row.pk).update(starts_at=row.created_at)
    row.refresh_from_db()
    assert trials.begin(row) is False
    assert not Trial.objects.exists() and trials.may_try(user)
