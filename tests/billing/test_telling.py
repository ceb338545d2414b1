"""What happens to a subscription is told by mail in the transaction that writes it, once, whoever brought the news."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress

from accounts.models import OutgoingMail, User
from billing import stopping
from billing.models import Plan
from billing.standing import Holder
from tests.billing.world import World


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


@pytest.fixture
def asha(world: World) -> User:
    return world.person()


def told(user: User) -> list[str]:
    """The subjects of what was written to somebody about their plan, without papers and without days."""
    rows = [row for row in OutgoingMail.objects.order_by("created_at", "id") if user.email in row.to]
    return [row.subject.split(" on ")[0] for row in rows if "/" not in row.subject]


def test_a_first_payment_has_no_mail_but_its_receipt(world: World, asha: User) -> None:
    row = world.subscribe(asha)
    world.pay(row, ok=False)
    world.hear()
    world.pay(row)
    world.hear()
    world.reconcile()
    assert told(asha) == []


def test_a_renewal_that_fails_is_told_and_so_is_the_end_of_all_tries(world: World, asha: User) -> None:
    row = world.subscribed(asha)
    world.walk(row, "halt")
    world.hear()
    world.reconcile()
    assert told(asha)[-1] == "Plus has stopped: no payment came through"
    assert set(told(asha)[:-1]) <= {"Your payment for Plus failed"}
    assert told(asha).count("Plus has stopped: no payment came through") == 1


def test_an_end_that_is_taken_back_and_one_at_once_are_told(world: World, asha: User) -> None:
    world.subscribed(asha)
    stopping.cancel(Holder(asha.pk), "cycle_end", "", asha.email)
    stopping.undo(Holder(asha.pk), asha.email)
    stopping.cancel(Holder(asha.pk), "now", "", asha.email)
    world.hear()
    world.reconcile()
    assert told(asha) == ["Plus ends", "Plus goes on", "Plus has ended"]


def test_a_pause_and_its_end_are_told(world: World, asha: User) -> None:
    world.subscribed(asha)
    stopping.pause(Holder(asha.pk))
    stopping.resume(Holder(asha.pk))
    world.hear()
    assert told(asha) == ["Plus is paused", "Plus runs again"]


def test_a_change_in_place_is_told_once_and_the_old_plan_has_no_end_of_its_own(world: World, asha: User) -> None:
    world.subscribed(asha, method="card_international")
    world.change(asha, "pro")
    world.hear()
    world.reconcile()
    assert told(asha) == ["Your plan is now Pro"]


def test_a_change_by_another_mandate_is_told_when_it_is_paid(world: World, asha: User) -> None:
    world.subscribed(asha, method="upi")
    done = world.change(asha, "pro")
    assert told(asha) == []
    world.pay(done.replacement, method="upi")
    world.hear()
    world.reconcile()
    assert told(asha) == ["Your plan is now Pro"]


def test_what_ends_before_it_was_ever_used_is_no_news(world: World, asha: User) -> None:
    world.subscribed(asha, "pro", method="upi")
    done = world.change(asha, "plus")
    world.pay(done.replacement, method="upi")
    world.hear()
    before = told(asha)
    world.walk(done.replacement, "complete")
    world.hear()
    done.replacement.refresh_from_db()
    assert (str(done.replacement.status), told(asha)) == ("completed", before)


def test_one_that_was_never_paid_ends_without_a_word(world: World, asha: User) -> None:
    row = world.subscribe(asha)
    world.pass_time(days=2)
    world.reconcile()
    row.refresh_from_db()
    assert (str(row.status), told(asha)) == ("expired", [])


def test_a_smaller_plan_at_the_end_of_the_cycle_is_told_when_it_is_asked_for_and_when_it_has_come(
    world: World, asha: User
) -> None:
    world.subscribed(asha, "pro", method="card_international")
    world.change(asha, "plus")
    assert told(asha) == ["Your plan changes"]
    world.pass_time(days=31)
    world.hear()
    world.reconcile()
    assert told(asha) == ["Your plan changes", "Your plan is now Plus"]


def test_a_smaller_plan_by_another_mandate_is_told_when_that_stands(world: World, asha: User) -> None:
    world.subscribed(asha, "pro", method="upi")
    done = world.change(asha, "plus")
    assert told(asha) == []
    world.pay(done.replacement, method="upi")
    world.hear()
    world.reconcile()
    assert told(asha) == ["Your plan changes"]


def test_the_end_of_a_trial_before_it_is_paid_for_is_told(world: World, asha: User) -> None:
    Plan.objects.filter(code="plus").update(trial_days=15)
    EmailAddress.objects.create(user=asha, email=asha.email, verified=True, primary=True)
    row = world.subscribe(asha)
    world.pay(row, method="upi")
    world.hear()
    assert told(asha) == []
    world.walk(row, "cancel", by="customer")
    world.hear()
    assert told(asha) == ["Plus has ended"]
