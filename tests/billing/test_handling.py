"""What becomes of an event: its objects are looked at, failures wait and are put aside, and none stops another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test import Client

from accounts.models import AuditEntry, Role, User
from billing import dispatch, handling, inbox
from billing.models import WebhookEvent
from billing.razorpay.errors import BadRequest, NotFound, TooMany, Unauthorised, Unavailable, Unreadable
from oneai.kit.clock import now, travel
from tests.accounts import people
from tests.billing.inbox import event, new_id

pytestmark = pytest.mark.django_db
AGES = 600.0  # seconds: a round takes all that is due, however slow the machine is


class Looked:
    """Effects that note what they are asked to look at; ``fails`` maps an id to what it raises."""

    def __init__(self) -> None:
        self.at: list[tuple[str, str]] = []
        self.fails: dict[str, BaseException | Callable[[], None]] = {}

    def effect(self, kind: str) -> dispatch.Effect:
        def look(entity_id: str) -> None:
            self.at.append((kind, entity_id))
            failure = self.fails.get(entity_id)
            if isinstance(failure, BaseException):
                raise failure
            if failure is not None:
                failure()

        return look


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    found = Looked()
    monkeypatch.setattr(dispatch, "_effects", {})
    dispatch.connect(**{kind: found.effect(kind) for kind in ("subscription", "payment", "order", "refund", "dispute")})
    return found


@pytest.fixture
def owner() -> User:
    return people.make(role=Role.OWNER)


def receive(kind: str = "payment.captured", payment: str = "pay_1", **fields: Any) -> WebhookEvent:
    payload = fields.pop("payload", {"payment": {"entity": {"id": payment}}})
    kept = inbox.incoming(event(kind, payload=payload, **fields), new_id())
    inbox.store(kept)
    return WebhookEvent.objects.get(event_id=kept.event_id)


def state(row: WebhookEvent) -> str:
    row.refresh_from_db()
    return str(row.state)


def mails() -> list[str]:
    return [sent.subject for sent in mail.outbox if "put aside" in sent.subject]


def test_an_event_has_its_objects_looked_at_and_is_done(looked: Looked) -> None:
    row = receive("subscription.charged", payload={"payment": {"entity": {"id": "pay_1"}},
                  "subscription": {"entity": {"id": "sub_1", "status": "never believed"}}})  # fmt: skip
    assert handling.handle_due(seconds=AGES) == 1
    assert looked.at == [("subscription", "sub_1"), ("payment", "pay_1")]
    assert (state(row), row.attempts, row.leased_by, row.last_error) == ("done", 1, "", "")
    assert row.handled_at is not None
    assert handling.handle_due(seconds=AGES) == 0


@pytest.mark.parametrize(
    ("kind", "payload", "looks"),
    [
        ("payment.dispute.lost", {"payment": "pay_1", "dispute": "disp_1"}, [("dispute", "disp_1")]),
        ("refund.processed", {"payment": "pay_1", "refund": "rfnd_1"}, [("refund", "rfnd_1")]),
        ("order.paid", {"payment": "pay_1", "order": "order_1"}, [("order", "order_1"), ("payment", "pay_1")]),
        ("payment_link.paid", {"payment_link": "plink_1", "payment": "pay_1"}, [("payment", "pay_1")]),
        ("subscription.pending", {"subscription": "sub_1"}, [("subscription", "sub_1")]),
        ("invoice.paid", {"invoice": "inv_1", "payment": "pay_1"}, [("payment", "pay_1")]),
    ],
)
def test_each_kind_of_event_leads_to_its_objects(
    looked: Looked, kind: str, payload: dict[str, str], looks: Any
) -> None:
    row = receive(kind, payload={name: {"entity": {"id": one}} for name, one in payload.items()})
    handling.handle_due(seconds=AGES)
    assert (looked.at, state(row)) == (looks, "done")


@pytest.mark.parametrize("kind", ["payment.downtime.started", "payment_link.cancelled", "invented.tomorrow"])
def test_an_event_that_nobody_knows_is_kept_and_ignored(looked: Looked, kind: str) -> None:
    row = receive(kind)
    handling.handle_due(seconds=AGES)
    assert (looked.at, state(row)) == ([], "ignored")
    assert kind in row.body


def test_an_exception_in_one_event_never_stops_another(looked: Looked) -> None:
    rows = [receive(payment=f"pay_{number}") for number in range(9)]
    looked.fails = {
        "pay_1": RuntimeError("a bug"), "pay_3": Unreadable("odd", 200), "pay_4": BadRequest("no", 400),
        "pay_6": KeyError("id"),
    }  # fmt: skip
    assert handling.handle_due(seconds=AGES) == 5
    assert [state(row) for row in rows] == [
        "done",
        "waiting",
        "done",
        "waiting",
        "waiting",
        "done",
        "waiting",
        "done",
        "done",
    ]
    assert len(looked.at) == 9
    assert rows[1].last_error == "RuntimeError: a bug"


def test_an_effect_that_broke_its_transaction_is_tried_again(looked: Looked) -> None:
    def breaks() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM webhook_events")

    rows = [receive(payment="pay_1"), receive(payment="pay_2")]
    looked.fails = {"pay_1": breaks}
    handling.handle_due(seconds=AGES)
    assert [state(row) for row in rows] == ["waiting", "done"]
    assert "no_such_column" in rows[0].last_error
    looked.fails = {}
    with travel(timedelta(minutes=1, seconds=1)):
        handling.handle_due(seconds=AGES)
    assert state(rows[0]) == "done"


def test_waits_grow_from_a_minute_to_a_day_and_then_the_event_is_put_aside(looked: Looked, owner: User) -> None:
    row = receive()
    looked.fails = {"pay_1": RuntimeError("always")}
    waits = []
    start = now()
    row.refresh_from_db()
    for attempt in range(1, handling.MOST_ATTEMPTS + 1):
        with travel(row.due_at - start + timedelta(seconds=1)):
            before = now()
            handling.handle_due(seconds=AGES)
            assert row.attempts == attempt - 1
            row.refresh_from_db()
            waits.append(round((row.due_at - before).total_seconds() / 60))
    assert waits[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert waits[11:14] == [1440] * 3
    assert (state(row), row.attempts) == ("dead", handling.MOST_ATTEMPTS)
    assert len(looked.at) == handling.MOST_ATTEMPTS
    assert len(mails()) == 1
    assert handling.handle_due(seconds=AGES) == 0


@pytest.mark.parametrize("failure", [Unavailable("502", 502), TooMany("slow", 429), Unauthorised("key", 401)])
def test_a_razorpay_that_has_no_answer_costs_one_event_an_attempt_and_the_others_nothing(
    looked: Looked, failure: BaseException
) -> None:
    rows = [receive(payment=f"pay_{number}") for number in range(4)]
    looked.fails = {f"pay_{number}": failure for number in range(4)}
    assert handling.handle_due(seconds=AGES) == 0
    for row in rows:
        row.refresh_from_db()
    assert [row.attempts for row in rows] == [1, 0, 0, 0]


def test_razorpay_says_when_to_come_back(looked: Looked) -> None:
    row = receive()
    looked.fails = {"pay_1": TooMany("slow", 429, retry_after=3600)}
    handling.handle_due(seconds=AGES)
    row.refresh_from_db()
    assert timedelta(minutes=59) < row.due_at - now() <= timedelta(hours=1)


# What is not ours --------------------------------------------------------------------------------
def test_an_object_that_our_key_does_not_know_is_put_aside_at_once_and_told_of(looked: Looked, owner: User) -> None:
    looked.fails = {"pay_1": NotFound("The id provided does not exist", 400)}
    row = receive()
    handling.handle_due(seconds=AGES)
    assert (state(row), row.attempts) == ("dead", 1)
    assert "another account or mode" in row.last_error
    assert len(mails()) == 1


def test_an_effect_may_say_that_an_event_is_not_ours(looked: Looked, owner: User) -> None:
    looked.fails = {"pay_1": dispatch.NotOurs("the amount is not that of the order")}
    row = receive()
    handling.handle_due(seconds=AGES)
    assert (state(row), row.last_error) == ("dead", "payment pay_1: the amount is not that of the order")
    assert len(mails()) == 1


def test_an_event_of_another_account_is_put_aside_unseen(looked: Looked, owner: User) -> None:
    ours = receive(payment="pay_1")
    handling.handle_due(seconds=AGES)
    foreign, without = receive(payment="pay_2", account_id="acc_Another"), receive(payment="pay_3", account_id=None)
    handling.handle_due(seconds=AGES)
    assert [state(row) for row in (ours, foreign, without)] == ["done", "dead", "done"]
    assert looked.at == [("payment", "pay_1"), ("payment", "pay_3")]
    assert "another account" in foreign.last_error
    assert len(mails()) == 1


def test_the_first_account_is_believed_only_once_its_objects_were_found(looked: Looked) -> None:
    looked.fails = {"pay_1": NotFound("The id provided does not exist", 400)}
    receive(payment="pay_1", account_id="acc_Another")
    handling.handle_due(seconds=AGES)
    ours = receive(payment="pay_2")
    handling.handle_due(seconds=AGES)
    assert state(ours) == "done"


def test_owners_get_one_mail_an_hour(looked: Looked, owner: User) -> None:
    looked.fails = {f"pay_{number}": dispatch.NotOurs("no") for number in range(5)}
    for number in range(4):
        receive(payment=f"pay_{number}")
    handling.handle_due(seconds=AGES)
    assert len(mails()) == 1
    with travel(timedelta(hours=1, minutes=1)):
        receive(payment="pay_4")
        handling.handle_due(seconds=AGES)
    assert len(mails()) == 2


@pytest.mark.parametrize("body", [b"{", b"{}", event("payment.captured", payload={})])
def test_what_names_nothing_is_put_aside(looked: Looked, body: bytes) -> None:
    inbox.store(inbox.incoming(body, new_id()))
    handling.handle_due(seconds=AGES)
    row = WebhookEvent.objects.get()
    assert (state(row), looked.at) == ("dead", [])


# Leases ------------------------------------------------------------------------------------------
def test_an_event_under_a_lease_is_left_alone_until_the_lease_is_over(looked: Looked) -> None:
    row = receive()
    WebhookEvent.objects.update(lease_until=now() + handling.LEASE, leased_by="another", attempts=1)
    assert handling.handle_due(seconds=AGES) == 0
    with travel(handling.LEASE + timedelta(seconds=1)):
        assert handling.handle_due(seconds=AGES) == 1
    assert (state(row), row.attempts) == ("done", 2)


def test_a_worker_whose_lease_is_over_says_nothing_about_the_event_any_more(looked: Looked) -> None:
    row = receive()

    def taken_over() -> None:
        WebhookEvent.objects.filter(pk=row.pk).update(leased_by="another", lease_until=now() + handling.LEASE)

    looked.fails = {"pay_1": taken_over}
    assert handling.handle_due(seconds=AGES) == 0
    assert (state(row), row.leased_by) == ("waiting", "another")


def test_an_event_that_ends_every_worker_is_put_aside(looked: Looked, owner: User) -> None:
    row = receive()
    WebhookEvent.objects.update(attempts=handling.MOST_ATTEMPTS, lease_until=now(), leased_by="dead")
    handling.handle_due(seconds=AGES)
    assert (state(row), looked.at) == ("dead", [])
    assert len(mails()) == 1


# Staff and upkeep --------------------------------------------------------------------------------
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
