"""What becomes of an event: its objects are looked at, failures wait and are put aside, and none stops another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from billing import dispatch, handling, inbox
from billing.models import WebhookEvent
from billing.razorpay.errors import BadRequest, NotFound, TooMany, Unauthorised, Unavailable, Unreadable
from oneai.kit.clock import now, travel
from tests.billing.inbox import event, new_id
from tests.billing.looked import AGES, Looked, mails, receive, state

pytestmark = pytest.mark.django_db


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
    for attempt in range(1, 16):
        with travel(row.due_at - start + timedelta(seconds=1)):
            before = now()
            handling.handle_due(seconds=AGES)
            assert row.attempts == attempt - 1
            row.refresh_from_db()
            waits.append(round((row.due_at - before).total_seconds() / 60))
    assert waits[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert waits[11:14] == [1440] * 3
    assert (state(row), row.attempts) == ("dead", 15)
    assert len(looked.at) == 15
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


def test_a_round_begins_nothing_once_its_time_is_over(looked: Looked) -> None:
    row = receive()
    assert handling.handle_due(seconds=-1) == 0
    assert (state(row), row.attempts, looked.at) == ("waiting", 0, [])


def test_a_round_takes_only_so_many_and_the_longest_due_first(looked: Looked) -> None:
    rows = [receive(payment=f"pay_{number}") for number in range(3)]
    WebhookEvent.objects.filter(pk=rows[2].pk).update(due_at=now() - timedelta(hours=1))
    assert handling.handle_due(2, AGES) == 2
    assert [state(row) for row in rows] == ["done", "waiting", "done"]
    assert looked.at == [("payment", "pay_2"), ("payment", "pay_0")]


def test_what_nobody_looks_at_yet_waits_and_is_not_lost(looked: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    row = receive()
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "_effects", {})
        assert handling.handle_due(seconds=AGES) == 0
    assert (state(row), row.last_error) == ("waiting", "NoEffect: nothing looks at a payment")
    with travel(timedelta(minutes=1, seconds=1)):
        assert handling.handle_due(seconds=AGES) == 1
    assert looked.at == [("payment", "pay_1")]


@pytest.mark.django_db(transaction=True)
def test_an_effect_under_which_the_connection_broke_is_tried_again(looked: Looked) -> None:
    ends_it = "pg_terminate_backend(pg_backend_pid())" if connection.vendor == "postgresql" else "no_such_column"

    def breaks() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {ends_it}")

    rows = [receive(payment="pay_1"), receive(payment="pay_2")]
    looked.fails = {"pay_1": breaks}
    assert handling.handle_due(seconds=AGES) == 1
    assert [state(row) for row in rows] == ["waiting", "done"]
    looked.fails = {}
    with travel(timedelta(minutes=1, seconds=1)):
        assert handling.handle_due(seconds=AGES) == 1
    assert state(rows[0]) == "done"


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


def test_a_worker_has_five_minutes_for_an_event(looked: Looked) -> None:
    row, ends = receive(), []
    looked.fails = {"pay_1": lambda: ends.append(WebhookEvent.objects.get(pk=row.pk).lease_until)}
    before = now()
    handling.handle_due(seconds=AGES)
    assert before + timedelta(minutes=5) <= ends[0] <= now() + timedelta(minutes=5)


@pytest.mark.parametrize(("failure", "ends"), [(RuntimeError, "waiting"), (dispatch.NotOurs, "dead")])
def test_a_long_word_of_what_went_wrong_is_kept_in_part(looked: Looked, failure: type[Exception], ends: str) -> None:
    row = receive()
    looked.fails = {"pay_1": failure("x" * 600)}
    handling.handle_due(seconds=AGES)
    assert (state(row), len(row.last_error)) == (ends, 500)


def test_an_event_that_another_worker_takes_meanwhile_is_left_to_it(looked: Looked) -> None:
    rows = [receive(payment=f"pay_{number}") for number in range(3)]

    def takes() -> None:
        WebhookEvent.objects.filter(pk=rows[1].pk).update(leased_by="another", lease_until=now() + handling.LEASE)

    looked.fails = {"pay_0": takes}
    assert handling.handle_due(seconds=AGES) == 2
    assert [state(row) for row in rows] == ["done", "waiting", "done"]
    assert (rows[1].leased_by, rows[1].attempts) == ("another", 0)
    assert looked.at == [("payment", "pay_0"), ("payment", "pay_2")]


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
