"""The platform's daily ceiling within one process: shards, borrowing, days and changed settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from pytest_django import Settings

from oneai.kit.errors import Refusal
from quotas import ceiling
from quotas.audit import replay_platform
from quotas.ceiling import Ceiling
from quotas.ledger import Book
from quotas.models import PlatformCounter
from tests.quotas.using import FREE, Purse

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
NANO = 10**9


@pytest.fixture
def five_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ceiling.SHARDS, connection.vendor, 5)


def limits() -> int:
    total: int = PlatformCounter.objects.filter(day=AT.date()).aggregate(all=Sum("quota_limit"))["all"]
    return total


def take(nano: int, at: datetime = AT) -> tuple[object, int]:
    with transaction.atomic():
        day = Ceiling(at)
        key = day.take(nano)
        day.write()
    return key


@pytest.mark.usefixtures("five_shards")
def test_calls_larger_than_a_shard_borrow_from_the_others_to_the_last_nano(settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "10"
    for _ in range(3):
        take(3 * NANO)
    with pytest.raises(Refusal) as caught:
        take(NANO + 1)
    assert caught.value.code == "platform_limit_reached"
    assert caught.value.status == 503
    assert caught.value.retry_after == 6 * 3600
    take(NANO)
    assert limits() == 10 * NANO
    assert all(shard.held <= shard.quota_limit for shard in PlatformCounter.objects.all())
    with pytest.raises(Refusal):
        take(1)


@pytest.mark.usefixtures("five_shards")
def test_what_goes_beyond_its_hold_is_the_whole_day_s(settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "10"
    key = take(NANO)
    with transaction.atomic():
        day = Ceiling(AT, [key])  # type: ignore[list-item]
        day.close(key, NANO, 7 * NANO)  # type: ignore[arg-type]
        day.write()
    assert limits() == 10 * NANO
    with pytest.raises(Refusal):
        take(3 * NANO + 1)
    take(3 * NANO)


@pytest.mark.usefixtures("five_shards")
def test_one_batch_spans_the_shards(settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "10"
    with transaction.atomic():
        day = Ceiling(AT)
        for _ in range(10):
            day.take(NANO)
        with pytest.raises(Refusal):
            day.take(1)
        day.write()
    assert PlatformCounter.objects.aggregate(all=Sum("held"))["all"] == 10 * NANO
    assert limits() == 10 * NANO


@pytest.mark.usefixtures("five_shards")
def test_another_setting_holds_from_the_next_admission_on(settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "1"
    take(NANO)
    settings.PLATFORM_DAILY_USD = "3"
    take(2 * NANO)
    assert limits() == 3 * NANO
    settings.PLATFORM_DAILY_USD = "2"
    with pytest.raises(Refusal):
        take(1)


def test_the_next_day_has_its_own_limit(settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "1"
    take(NANO)
    with pytest.raises(Refusal):
        take(1, AT + timedelta(hours=5, minutes=59))
    take(NANO, AT + timedelta(hours=6))


def test_a_call_settles_on_the_day_that_it_was_admitted(purse: Purse, settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "1"
    evening = AT + timedelta(hours=5, minutes=59)
    (admitted,) = purse.admit(at=evening)
    purse.settle(admitted, 100, 5000, at=evening + timedelta(minutes=5))
    (shard,) = PlatformCounter.objects.filter(used__gt=0)
    assert (shard.day, shard.held, shard.used) == (evening.date(), 0, 5000)
    assert replay_platform() == []


def test_free_calls_never_touch_the_ceiling(purse: Purse, settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "0"
    assert purse.admit(purse.ask(price=FREE))
    assert not PlatformCounter.objects.exists()
    with pytest.raises(Refusal) as caught:
        purse.admit()
    assert caught.value.code == "platform_limit_reached"


def test_a_free_call_that_was_billed_is_counted_against_the_day(purse: Purse) -> None:
    (admitted,) = purse.admit(purse.ask(price=FREE))
    purse.settle(admitted, 100, 700)
    assert PlatformCounter.objects.aggregate(used=Sum("used"), over=Sum("overrun")) == {"used": 700, "over": 700}
    assert replay_platform() == []


def test_a_full_ceiling_refuses_one_of_a_batch_and_no_other(new_purse: Callable[[], Purse], settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "0.001"
    first, second, third = new_purse(), new_purse(), new_purse()
    with transaction.atomic():
        book = Book.open([first.id, second.id, third.id])
        book.admit(first.ask())
        with pytest.raises(Refusal) as caught:
            book.admit(second.ask(cap=2000))
        book.admit(third.ask(cap=500))
        book.close()
    assert caught.value.code == "platform_limit_reached"
    assert second.differences() == []
    assert replay_platform() == []
