"""The mail outbox: written with its cause, sent once, tried again when the server refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.core.mail import EmailMultiAlternatives, send_mail
from django.db import transaction

from accounts import outbox
from accounts.models import OutgoingMail
from oneai.kit import clock
from tests.servers.process import free_port
from tests.servers.sandbox import Sandbox

pytestmark = pytest.mark.django_db
State = OutgoingMail.State


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    """Django's test runner puts a mailbox of its own in place of the outbox."""
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


@pytest.fixture
def mailbox(sandbox: Sandbox, settings: Any) -> Sandbox:
    settings.EMAIL_URL = f"smtp://127.0.0.1:{sandbox.smtp_port}"
    httpx.post(f"{sandbox.url}/_control/mail-fault", json={"times": 0}).raise_for_status()
    return sandbox


def write(to: str = "asha@example.com", subject: str = "Your code") -> OutgoingMail:
    message = EmailMultiAlternatives(subject, "The code is AAAA-BBBB.\n\u0928\u092e\u0938\u094d\u0924\u0947", to=[to])
    message.attach_alternative("<p>The code is AAAA-BBBB.</p>", "text/html")
    message.send()
    return OutgoingMail.objects.order_by("-created_at", "-id")[0]


def arrived(sandbox: Sandbox, to: str) -> list[dict[str, Any]]:
    return httpx.get(f"{sandbox.url}/_control/mail", params={"to": to}).json()["messages"]


def test_mail_is_part_of_the_transaction_that_causes_it() -> None:
    with transaction.atomic():
        send_mail("Subject", "Body", None, ["asha@example.com"])
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()


def test_mail_arrives_as_written_and_its_body_is_not_kept(mailbox: Sandbox) -> None:
    mail = write("once@example.com")
    assert outbox.due() is not None
    assert outbox.deliver() == 1
    (message,) = arrived(mailbox, "once@example.com")
    assert message["subject"] == "Your code"
    assert "The code is AAAA-BBBB.\n\u0928\u092e\u0938\u094d\u0924\u0947" in message["text"].replace("\r\n", "\n")
    mail.refresh_from_db()
    assert (mail.state, bytes(mail.message)) == (State.SENT, b"")
    assert mail.sent_at is not None
    assert outbox.deliver() == 0 and outbox.due() is None
    assert len(arrived(mailbox, "once@example.com")) == 1


def test_refused_mail_is_tried_again_later_and_arrives_once(mailbox: Sandbox) -> None:
    mail = write("again@example.com")
    httpx.post(f"{mailbox.url}/_control/mail-fault", json={"times": 2}).raise_for_status()
    assert outbox.deliver() == 0
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.lease_until) == (State.WAITING, 1, None)
    assert "451" in mail.last_error or "Refused" in mail.last_error
    assert "AAAA" not in mail.last_error
    assert outbox.deliver() == 0, "not due yet"
    with clock.travel(timedelta(seconds=11)):
        assert outbox.deliver() == 0
    with clock.travel(timedelta(seconds=40)):
        assert outbox.deliver() == 1
    with clock.travel(timedelta(hours=7)):
        assert outbox.deliver() == 0
    assert len(arrived(mailbox, "again@example.com")) == 1


def test_one_refused_message_does_not_hold_up_the_others(mailbox: Sandbox) -> None:
    write("first@example.com")
    write("second@example.com")
    httpx.post(f"{mailbox.url}/_control/mail-fault", json={"times": 1}).raise_for_status()
    assert outbox.deliver() == 1
    assert len(arrived(mailbox, "second@example.com")) == 1


def test_a_server_that_is_not_there_ends_the_round(settings: Any) -> None:
    settings.EMAIL_URL = f"smtp://127.0.0.1:{free_port()}"
    write()
    write()
    assert outbox.deliver() == 0
    assert sorted(OutgoingMail.objects.values_list("attempts", flat=True)) == [0, 1]


def test_a_leased_message_is_left_alone_until_its_lease_ends(mailbox: Sandbox) -> None:
    mail = write("leased@example.com")
    assert outbox._claim(mail.pk, clock.now()) is not None
    assert outbox._claim(mail.pk, clock.now()) is None
    assert outbox.deliver() == 0
    due = outbox.due()
    assert due is not None and due > clock.now() + timedelta(minutes=2)
    with clock.travel(outbox.LEASE + timedelta(seconds=1)):
        assert outbox.deliver() == 1
    assert len(arrived(mailbox, "leased@example.com")) == 1


def test_after_twelve_failures_a_message_is_given_up(settings: Any) -> None:
    settings.EMAIL_URL = f"smtp://127.0.0.1:{free_port()}"
    mail = write()
    for attempt in range(outbox.MOST_ATTEMPTS):
        with clock.travel(timedelta(hours=7) * attempt):
            outbox.deliver()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == (State.DEAD, 12)
    with clock.travel(timedelta(days=30)):
        assert outbox.deliver() == 0 and outbox.due() is None


def test_waits_grow_from_ten_seconds_to_six_hours() -> None:
    waits = [outbox.wait_after(attempts).total_seconds() for attempts in range(1, 13)]
    assert waits[:3] == [10, 20, 40] and waits[-1] == 10 * 2**11
    assert outbox.wait_after(20) == timedelta(hours=6)


def test_without_a_mail_server_mail_waits(settings: Any) -> None:
    settings.EMAIL_URL = ""
    write()
    assert outbox.deliver() == 0 and outbox.due() is None
    assert OutgoingMail.objects.get().attempts == 0


def test_what_is_long_done_is_cleared_away(mailbox: Sandbox) -> None:
    write()
    outbox.deliver()
    waiting = write()
    with clock.travel(timedelta(days=31)):
        assert outbox.tidy() == 1
    assert OutgoingMail.objects.get() == waiting


def test_no_line_of_the_log_holds_a_body(mailbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    write("quiet@example.com")
    httpx.post(f"{mailbox.url}/_control/mail-fault", json={"times": 1}).raise_for_status()
    with caplog.at_level("DEBUG"):
        outbox.deliver()
        with clock.travel(timedelta(minutes=1)):
            assert outbox.deliver() == 1
    assert caplog.records
    assert "AAAA" not in caplog.text and "quiet@" not in caplog.text
