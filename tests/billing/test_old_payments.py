"""A payment that is so old that Razorpay gives nothing of it back: said before, paid in another way, lost by nobody."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import AuditEntry, Role, User
from billing import invoices, refunds, shown, stopping
from billing.models import Difference, Invoice, Payment, Refund, Subscription
from billing.standing import Holder
from tests.accounts import people
from tests.billing import paid
from tests.billing.world import World, spend


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


@pytest.fixture
def yearly(world: World) -> Subscription:
    """A year of Plus, seven months old."""
    paid.seller()
    row = world.subscribed(world.person(), "plus", "year")
    invoices.issue_missing()
    world.pass_time(days=210)
    world.reconcile()
    return Subscription.objects.select_related("plan", "price").get(pk=row.pk)


def test_what_cannot_go_back_as_it_came_is_said_before_and_told_after(world: World, yearly: Subscription) -> None:
    people.make(role=Role.OWNER)
    said = shown.subscription(yearly)
    assert 0 < said["unused_by_hand"] == said["unused"]
    page = signed_in(yearly.user).get("/billing/cancel").content.decode()
    assert "can’t go back the way you paid" in page
    stopping.cancel(Holder(yearly.user_id), "now", "", "her")
    world.reconcile()
    (row,) = Refund.objects.all()
    assert (row.status, row.attempts) == ("to_pay", 0) and abs(row.amount_paise - said["unused"]) < 100
    letter = next(each for each in mail.outbox if "has ended" in each.subject)
    assert "bank account" in letter.body and "5 to 7 working days" not in letter.body
    assert any("refund_to_pay" in each.body for each in mail.outbox)
    assert "to be paid to your bank account" in signed_in(yearly.user).get("/billing").content.decode()
    assert Difference.objects.get(kind="refund_to_pay").repaired_at is None
    yearly.refresh_from_db()
    assert shown.subscription(yearly)["unused_by_hand"] == 0


def test_whose_work_money_is_notes_that_it_was_paid_and_it_has_its_credit_note(
    world: World, yearly: Subscription
) -> None:
    stopping.cancel(Holder(yearly.user_id), "now", "", "her")
    row = Refund.objects.get()
    chosen = {"action": "paid_by_hand", "_selected_action": [str(row.pk)]}
    for role, status in ((Role.SUPPORT, "to_pay"), (Role.FINANCE, "processed"), (Role.OWNER, "processed")):
        signed_in(people.make(role=role)).post("/admin/billing/refund/", chosen, follow=True)
        row.refresh_from_db()
        assert row.status == status
    assert AuditEntry.objects.filter(action="refund.paid_by_hand", target=row.key).count() == 1
    assert Difference.objects.get(kind="refund_to_pay").repaired_at is not None
    payment = Payment.objects.get()
    assert payment.refunded_paise == row.amount_paise
    invoices.issue_missing()
    assert Invoice.objects.get(kind="credit_note").total_paise == row.amount_paise


def test_a_refund_that_grew_too_old_while_it_waited_is_not_lost(world: World, monkeypatch: Any) -> None:
    user = world.person()
    payment = Payment.objects.get(subscription=world.subscribed(user))
    spend(user, 10)
    row = refunds.ask(payment, "waits-for-razorpay", payment.amount_paise)
    assert row is not None
    world.pass_time(days=190)
    world.reconcile()
    row.refresh_from_db()
    assert (row.status, Difference.objects.filter(kind="refund_to_pay").count()) == ("to_pay", 1)
