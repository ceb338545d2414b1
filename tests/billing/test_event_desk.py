"""Events on the staff desk: seen, handled again by an owner, and emptied when they are old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from billing import dispatch, handling, inbox
from billing.models import WebhookEvent
from oneai.kit.clock import now
from tests.accounts import people
from tests.billing.looked import AGES, Looked, receive, state

pytestmark = pytest.mark.django_db


def desk(user: User) -> Client:
    browser = people.browser()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def replay(browser: Client, *rows: WebhookEvent) -> Any:
    chosen = {"action": "replay", "_selected_action": [str(row.pk) for row in rows]}
    return browser.post("/admin/billing/webhookevent/", chosen, follow=True)


def test_staff_see_events_with_their_bodies_and_an_owner_has_one_handled_again(looked: Looked, owner: User) -> None:
    looked.fails = {"pay_1": dispatch.NotOurs("the amount <b>differs</b>")}
    row = receive()
    handling.handle_due(seconds=AGES)
    page = desk(owner).get("/admin/billing/webhookevent/?state__exact=dead").content.decode()
    assert row.event_id in page and "the amount &lt;b&gt;differs&lt;/b&gt;" in page
    shown = desk(owner).get(f"/admin/billing/webhookevent/{row.pk}/change/").content.decode()
    assert "payment.captured" in shown and "pay_1" in shown
    looked.fails = {}
    assert replay(desk(owner), row).status_code == 200
    assert (state(row), row.attempts, row.last_error) == ("waiting", 0, "")
    entry = AuditEntry.objects.get(action="webhook.replayed")
    assert (entry.actor_label, entry.target, entry.details["was"]) == (owner.email, str(row.pk), "dead")
    handling.handle_due(seconds=AGES)
    assert state(row) == "done"


def test_an_event_of_another_account_that_an_owner_lets_in_makes_that_account_known(
    looked: Looked, owner: User
) -> None:
    receive(payment="pay_1")
    handling.handle_due(seconds=AGES)
    moved = receive(payment="pay_2", account_id="acc_Another")
    handling.handle_due(seconds=AGES)
    replay(desk(owner), moved)
    later = receive(payment="pay_3", account_id="acc_Another")
    handling.handle_due(seconds=AGES)
    assert [state(row) for row in (moved, later)] == ["done", "done"]


def test_only_an_owner_may_have_an_event_handled_again(looked: Looked) -> None:
    row = receive()
    handling.handle_due(seconds=AGES)
    staff = people.make(role=Role.SUPPORT)
    browser = desk(staff)
    assert browser.get("/admin/billing/webhookevent/").status_code == 200
    replay(browser, row)
    assert state(row) == "done"
    assert not AuditEntry.objects.filter(action="webhook.replayed").exists()


@pytest.mark.parametrize(("role", "sees"), [(Role.SUPPORT, False), (Role.FINANCE, True), (Role.OWNER, True)])
def test_bodies_are_read_and_searched_by_whose_work_money_is(looked: Looked, role: Role, sees: bool) -> None:
    row = receive(payment="pay_OfSomebody")
    browser = desk(people.make(role=role))
    page = browser.get(f"/admin/billing/webhookevent/{row.pk}/change/").content.decode()
    found = browser.get("/admin/billing/webhookevent/?q=pay_OfSomebody").content.decode()
    assert row.event_id in page
    assert ("pay_OfSomebody" in page, row.event_id in found) == (sees, sees)


def test_what_is_at_work_or_has_lost_its_body_is_not_handled_again(looked: Looked) -> None:
    busy, empty = receive(), receive()
    WebhookEvent.objects.filter(pk=busy.pk).update(lease_until=now() + handling.LEASE, leased_by="a")
    WebhookEvent.objects.filter(pk=empty.pk).update(body="", state="dead")
    assert inbox.replay([busy.pk, empty.pk]) == []


def test_bodies_are_emptied_after_ninety_days_and_the_rows_stay() -> None:
    old, young = receive(), receive()
    WebhookEvent.objects.filter(pk=old.pk).update(received_at=now() - timedelta(days=90, minutes=1))
    WebhookEvent.objects.filter(pk=young.pk).update(received_at=now() - timedelta(days=89))
    assert inbox.tidy() == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.body, bool(young.body)) == ("", True)
    assert inbox.tidy() == 0


def test_the_oldest_unhandled_is_the_one_that_waits(looked: Looked) -> None:
    assert inbox.oldest_unhandled() is None
    done, waits = receive(payment="pay_1"), receive(payment="pay_2")
    looked.fails = {"pay_2": RuntimeError("no")}
    handling.handle_due(seconds=AGES)
    assert state(done) == "done"
    assert inbox.oldest_unhandled() == waits.received_at
