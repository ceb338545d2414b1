"""A mandate that was charged for the last time: said in time, and followed without a gap."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import OutgoingMail, User
from billing import prices, reminders
from billing.models import Payment, Subscription
from tests.billing.test_subscribing import PLUS
from tests.billing.world import World, tokens


@pytest.fixture(autouse=True)
def _twice(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mandate of two months, whose last one comes soon."""
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    monkeypatch.setitem(prices.CYCLES, "month", 2)


def told(user: User) -> list[str]:
    found = [row.subject for row in OutgoingMail.objects.order_by("created_at", "id") if user.email in row.to]
    return [each for each in found if "confirm how you pay" in each or "renews" in each or "has ended" in each]


def charged_for_the_last_time(world: World, user: User) -> Subscription:
    row = world.subscribed(user)
    world.pass_time(days=31)
    world.hear()
    row.refresh_from_db()
    assert (str(row.status), row.paid_count) == ("completed", 2)
    return row


def page(user: User, path: str = "/billing") -> str:
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser.get(path).content.decode()


def test_it_is_said_with_the_last_charge_and_a_week_before_the_end(world: World) -> None:
    user = world.person()
    charged_for_the_last_time(world, user)
    assert len(told(user)) == 1 and told(user)[0].startswith("Plus runs until")
    assert "does not renew by itself any more" in page(user)
    assert "when what you have paid for ends" in page(user, "/billing/checkout?plan=plus&interval=month")
    reminders.announce()
    world.pass_time(days=24)
    reminders.announce()
    reminders.announce()
    assert len(told(user)) == 2 and tokens(user) == PLUS


def test_confirmed_again_it_goes_on_without_a_gap_and_is_charged_once(world: World) -> None:
    user = world.person()
    old = charged_for_the_last_time(world, user)
    new = world.subscribe(user)
    assert world.subscribe(user).pk == new.pk
    assert new.starts_at == old.allowed_until
    world.pay(new)
    world.hear()
    assert tokens(user) == PLUS and Payment.objects.filter(user=user).exclude(effect_at=None).count() == 2
    world.pass_time(days=24)
    reminders.announce()
    assert len(told(user)) == 1
    world.pass_time(days=8)
    world.hear()
    paid = Payment.objects.filter(user=user).exclude(effect_at=None).order_by("period_start")
    assert [each.refunded_paise for each in paid] == [0, 0, 0]
    assert (paid[2].period_start, tokens(user)) == (paid[1].period_end, PLUS)
    assert not OutgoingMail.objects.filter(subject__startswith="Your plan").exists()  # it is the same one


def test_not_confirmed_it_ends_and_can_be_had_anew(world: World) -> None:
    user = world.person()
    charged_for_the_last_time(world, user)
    world.pass_time(days=32)
    world.reconcile()
    assert tokens(user) == 50_000
    row = world.subscribed(user)
    assert (str(row.status), row.replaces_id, tokens(user)) == ("active", None, PLUS)
