"""Owners hear once that the day's ceiling is nearly or wholly used, and once a day what plans did not cover."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import Sum
from pytest_django.fixtures import Settings

from accounts.models import OutgoingMail, User
from oneai.kit import clock
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from oneai.kit.money import usd_string
from quotas import allowances, ceiling, owner_alerts
from quotas.ledger import Book
from quotas.models import OwnerAlert, PlatformCounter
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
CENT = 10**7


@pytest.fixture(autouse=True)
def owner(db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> User:
    settings.PLATFORM_DAILY_USD = "1"
    monkeypatch.setattr(ceiling, "_seen", None)
    monkeypatch.setattr(ceiling, "_said", (now().date() - timedelta(days=9), 0.0))
    return User.objects.create_user(f"{uuid7()}@example.com", role="owner")


@pytest.fixture
def new_purse(new_purse: Callable[[], Purse]) -> Callable[[], Purse]:
    """People whom no limit of their own keeps from spending the owner's money."""

    def make() -> Purse:
        purse = new_purse()
        with transaction.atomic():
            allowances.set_limit(purse.id, "*", {"tokens": None, "nano_usd": None}, "test", "test")
        return purse

    return make


def spend(purse: Purse, cents: int, tokens: int = 1) -> None:
    (admitted,) = purse.admit()
    purse.settle(admitted, tokens, cents * CENT)


def looked(minutes: float) -> tuple[int, int]:
    with clock.travel(timedelta(minutes=minutes)):
        return owner_alerts.watch_ceiling(), owner_alerts.watch_overrun()


def ceiling_mails(mailoutbox: list[EmailMessage]) -> list[str]:
    return [mail.subject.partition(": ")[2] for mail in mailoutbox if "ceiling" in mail.subject]


def test_each_line_of_the_day_is_told_of_once(purse: Purse, mailoutbox: list[EmailMessage], owner: User) -> None:
    spend(purse, 79)
    assert owner_alerts.watch_ceiling() == 0
    spend(purse, 1)
    assert [owner_alerts.watch_ceiling() for _ in range(3)] == [1, 0, 0]
    spend(purse, 15)
    assert owner_alerts.watch_ceiling() == 0
    spend(purse, 5)
    assert [owner_alerts.watch_ceiling() for _ in range(3)] == [1, 0, 0]
    assert ceiling_mails(mailoutbox) == [
        "80 % of the day's ceiling of $1 are used",
        "the day's ceiling of $1 stops calls",
    ]
    assert mailoutbox[0].to == [owner.email]
    assert "$0.8 of $1; $0 are set aside" in str(mailoutbox[0].body)


def test_what_runs_is_told_of_beside_what_was_used(purse: Purse, mailoutbox: list[EmailMessage]) -> None:
    spend(purse, 79)
    (running,) = purse.admit()
    spend(purse, 2)
    owner_alerts.watch_ceiling()
    assert f"$0.81 of $1; ${usd_string(running.nano_usd)} are set aside" in str(mailoutbox[0].body)


def test_both_lines_at_once_are_one_mail(purse: Purse, mailoutbox: list[EmailMessage]) -> None:
    spend(purse, 120)
    assert owner_alerts.watch_ceiling() == 1
    assert ceiling_mails(mailoutbox) == ["the day's ceiling of $1 stops calls"]


def test_a_call_that_is_refused_for_the_rest_of_the_day_is_the_end_of_it(
    purse: Purse, mailoutbox: list[EmailMessage]
) -> None:
    spend(purse, 70)
    for _ in range(2):
        with transaction.atomic():  # as a batch does it: one's refusal does not undo the others
            book = Book.open([purse.id])
            with pytest.raises(Refusal, match="platform"):
                book.admit(purse.ask(cap=10**6))
            book.close()
    assert (owner_alerts.watch_ceiling(), owner_alerts.watch_ceiling()) == (1, 0)
    assert "$0.7 of $1" in str(mailoutbox[0].body)


def test_the_next_day_and_another_ceiling_begin_anew(
    purse: Purse, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    spend(purse, 85)
    assert owner_alerts.watch_ceiling() == 1
    settings.PLATFORM_DAILY_USD = "2"
    spend(purse, 80)
    assert owner_alerts.watch_ceiling() == 1
    with clock.travel(timedelta(days=2)):
        assert owner_alerts.watch_ceiling() == 0
        spend(purse, 165)
        assert owner_alerts.watch_ceiling() == 1
    assert len(ceiling_mails(mailoutbox)) == 3


def test_nothing_is_said_while_nothing_was_spent(settings: Settings, mailoutbox: list[EmailMessage]) -> None:
    PlatformCounter.objects.create(day=now().date(), shard=0, quota_limit=0)
    assert owner_alerts.watch_ceiling() == 0


def test_overrun_is_one_mail_a_day_with_accounts_and_amounts(
    new_purse: Callable[[], Purse], mailoutbox: list[EmailMessage]
) -> None:
    first, second, modest = new_purse(), new_purse(), new_purse()
    at = now()
    noon = at.replace(hour=12, minute=0) + timedelta(days=1) - at

    def looked_at(minutes: float) -> int:
        with clock.travel(noon + timedelta(minutes=minutes)):
            return owner_alerts.watch_overrun()

    with clock.travel(noon):
        spend(modest, 0)
    assert looked_at(5) == 0
    with clock.travel(noon):
        spend(first, 3, tokens=5000)
        spend(first, 3)
        spend(second, 0, tokens=2000)
    assert looked_at(0.5) == 0, "what is a moment old may still be on its way"
    assert [looked_at(minutes) for minutes in (2, 3, 200)] == [1, 0, 0]
    (mail,) = mailoutbox
    body = str(mail.body)
    held = 1100
    assert f"{first.user.email}: {5000 - held:,} tokens, " in body and "in 2 calls" in body
    assert f"{second.user.email}: {2000 - held:,} tokens, $0, in 1 call" in body
    assert modest.user.email not in body
    with clock.travel(noon + timedelta(hours=3)):
        spend(second, 0, tokens=3000)
    assert [looked_at(minutes) for minutes in (200, 24 * 60, 25 * 60)] == [0, 1, 0]
    body = str(mailoutbox[-1].body)
    assert f"{second.user.email}: {3000 - held:,} tokens" in body
    assert first.user.email not in body, "it was told of before"


def test_a_correction_beyond_the_hold_is_overrun_as_well(purse: Purse, mailoutbox: list[EmailMessage]) -> None:
    (admitted,) = purse.admit()
    purse.settle(admitted, 10, 10)
    with clock.travel(timedelta(hours=1)):
        purse.correct(admitted, 10, admitted.nano_usd + CENT)
    assert looked(65)[1] == 1
    assert mailoutbox[0].subject.endswith("$0.01 beyond what plans cover")
    row = OwnerAlert.objects.get()
    assert (row.kind, row.percent, row.quota_limit) == (OwnerAlert.Kind.OVERRUN, 0, 0), "it is on no line of a limit"


@pytest.mark.django_db(transaction=True)
def test_many_workers_tell_once(purse: Purse, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    spend(purse, 120)

    def look(_: int) -> int:
        try:
            return owner_alerts.watch_ceiling() + owner_alerts.watch_overrun()
        finally:
            connection.close()

    # The clock is the process's: threads that moved it each for themselves would leave it where one of them was.
    with clock.travel(timedelta(minutes=5)), ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(look, range(6))) == 2
    assert OutgoingMail.objects.count() == 2
    assert OwnerAlert.objects.filter(told_at=None).count() == 0
    assert PlatformCounter.objects.aggregate(used=Sum("used"))["used"] == 120 * CENT
