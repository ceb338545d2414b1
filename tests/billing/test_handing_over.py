"""A team that has another owner: who is charged for it, who may stop that, and how the payment changes hands."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import teams
from accounts.models import Membership, OutgoingMail, Team, User
from billing import changing, checkout, payers, stopping
from billing.models import Payment, Refund, Subscription
from billing.standing import Holder
from tests.billing.test_changing import shortly_before_the_end_of
from tests.billing.test_subscribing import refused
from tests.billing.world import World, tokens

SEATS = 3


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


class Circle:
    """A team whose owner before pays for it, by UPI."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.payer, self.heir = world.person(), world.person()
        self.team: Team = teams.create_team(self.payer, "Circle", seats=SEATS)
        Membership.objects.create(team=self.team, user=self.heir)
        self.account = User.objects.get(pk=self.team.pk)
        self.row = checkout.subscribe(self.payer, Holder(self.payer.pk, self.team.pk), "team", "month", seats=SEATS)
        world.pay(self.row, method="upi")
        world.hear()
        teams.transfer(self.payer, self.team.pk, self.heir.pk)
        self.holder = Holder(self.heir.pk, self.team.pk)

    def take_over(self, when: str = "") -> Subscription:
        found = changing.change(self.heir, self.holder, "", "", None, when)
        assert found.replacement is not None
        return found.replacement

    def charges(self, user: User) -> list[int]:
        """What each payment of theirs has left, but for what set up a mandate."""
        paid = Payment.objects.filter(user=user).exclude(effect_at=None).order_by("created_at")
        return [each.amount_paise - each.refunded_paise for each in paid]


@pytest.fixture
def circle(world: World) -> Circle:
    return Circle(world)


def told(user: User) -> list[str]:
    return [row.subject for row in OutgoingMail.objects.order_by("created_at", "id") if user.email in row.to]


def page(user: User, query: str = "") -> str:
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser.get(f"/billing{query}").content.decode()


def test_both_are_told_who_pays(circle: Circle) -> None:
    assert "You still pay for Circle" in told(circle.payer)
    assert "Asha still pays for Circle" in told(circle.heir)
    assert "until they take the payment over or you stop it" in page(circle.payer)
    shown = page(circle.heir, f"?team={circle.team.pk}")
    assert "is paid by Asha, who may stop that at any time" in shown and "Take over the payment" in shown
    assert "Teams that you pay for" not in page(circle.heir)


def test_the_payment_changes_hands_when_the_period_ends_without_a_gap_or_a_second_charge(circle: Circle) -> None:
    world, had = circle.world, tokens(circle.account)
    new = circle.take_over()
    world.pay(new, method="upi")
    world.hear()
    assert any(subject == "You no longer pay for Circle" for subject in told(circle.payer))
    assert (tokens(circle.account), circle.charges(circle.heir)) == (had, [])
    world.pass_until(shortly_before_the_end_of(circle.row))
    world.reconcile()
    world.pass_time(days=4)
    world.hear()
    world.reconcile()
    price = circle.row.price.amount_paise * SEATS
    assert (circle.charges(circle.payer), circle.charges(circle.heir)) == ([price], [price])
    assert tokens(circle.account) == had
    circle.row.refresh_from_db()
    assert str(circle.row.status) == "cancelled" and not payers.for_others(circle.payer)


def test_the_payment_changes_hands_at_once_and_the_rest_goes_back_to_who_paid_it(circle: Circle) -> None:
    world = circle.world
    world.pay(circle.take_over("now"), method="upi")
    world.hear()
    world.reconcile()
    world.hear()
    price = circle.row.price.amount_paise * SEATS
    assert circle.charges(circle.heir) == [price] and circle.charges(circle.payer)[0] < price // 100
    assert any(subject == "You no longer pay for Circle" for subject in told(circle.payer))


def test_whoever_pays_may_stop_and_is_not_charged_again_by_whoever_owns_the_team(circle: Circle) -> None:
    world = circle.world
    browser = Client()
    browser.force_login(circle.payer, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert browser.post(f"/billing/stop-paying/{circle.row.pk}").status_code == 302
    circle.row.refresh_from_db()
    assert circle.row.cancel_at_cycle_end
    for user in (circle.payer, circle.heir):
        assert told(user)[-1].startswith("Team of Circle ends on")
    assert refused(stopping.undo, circle.holder, "the heir") == "permission_denied"
    stranger = Client()
    stranger.force_login(circle.heir, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert stranger.post(f"/billing/stop-paying/{circle.row.pk}").status_code == 404
    world.pay(circle.take_over(), method="upi")
    world.hear()
    world.pass_until(shortly_before_the_end_of(circle.row))
    world.reconcile()
    world.pass_time(days=4)
    world.hear()
    price = circle.row.price.amount_paise * SEATS
    assert (circle.charges(circle.payer), circle.charges(circle.heir)) == ([price], [price])


def test_the_heir_takes_back_no_end_and_resumes_nothing_that_another_pays(circle: Circle) -> None:
    stopping.pause(circle.holder)
    assert refused(stopping.resume, circle.holder) == "permission_denied"


def test_the_heir_takes_back_a_payment_that_they_have_not_taken_over_yet(circle: Circle) -> None:
    new = circle.take_over()
    assert stopping.undo(circle.holder, "the heir").pk == circle.row.pk
    new.refresh_from_db()
    circle.row.refresh_from_db()
    assert (new.replaces_id, circle.row.cancel_at_cycle_end, str(circle.row.status)) == (None, False, "active")


def test_what_has_stopped_ends_at_once_for_whoever_pays_and_is_never_charged_again(circle: Circle) -> None:
    world = circle.world
    world.walk(circle.row, "works", works=False)
    world.pass_time(days=36)
    world.hear()
    circle.row.refresh_from_db()
    assert str(circle.row.status) == "halted"
    assert refused(payers.stop, circle.heir, circle.row.pk) == "not_found"
    payers.stop(circle.payer, circle.row.pk)
    assert refused(payers.stop, circle.payer, circle.row.pk) == "not_found"
    world.reconcile()
    circle.row.refresh_from_db()
    assert (str(circle.row.status), Refund.objects.count()) == ("cancelled", 0)
    assert circle.row.metadata["ended"]["why"] == "asked" and not payers.for_others(circle.payer)


def test_a_team_that_is_gone_has_no_owner(circle: Circle) -> None:
    assert payers.owner_of(circle.row) == circle.heir and payers.team_of(circle.row) == circle.team
    stopping.cancel(circle.holder, "now", "", "the heir")
    teams.delete_team(circle.heir, circle.team.pk)
    assert payers.owner_of(circle.row) is None
    assert payers.owner_of(circle.world.subscribed(circle.payer)) is None  # of nobody but the person


def test_nobody_is_told_when_the_payer_has_the_team_again(circle: Circle) -> None:
    before = len(told(circle.payer)), len(told(circle.heir))
    teams.transfer(circle.heir, circle.team.pk, circle.payer.pk)
    news = told(circle.payer)[before[0] :] + told(circle.heir)[before[1] :]
    assert not [subject for subject in news if "pay" in subject]
    assert not payers.for_others(circle.payer)
