"""A settled call is charged anew when its upstream says later what it was: once, everywhere, to the unit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from oneai.kit import clock
from oneai.kit.clock import now
from quotas import allowances, grants, invariants, pockets
from quotas.ledger import Admitted, Book, Charge
from quotas.models import Grant, LedgerEntry, PlatformCounter, QuotaAlert, UsageDaily, UsageRecord
from quotas.policy import NANO_USD, TOKENS
from tests.quotas.using import FREE, Purse, charge

pytestmark = pytest.mark.django_db


def limit(purse: Purse, tokens: int) -> None:
    with transaction.atomic():
        allowances.set_limit(purse.id, "*", {TOKENS: tokens}, "test", "test")


def settled(purse: Purse, tokens: int, nano_usd: int = 0, **ask: object) -> Admitted:
    (admitted,) = purse.admit(purse.ask(**ask))
    assert purse.settle(admitted, tokens, nano_usd)
    return admitted


def corrections(admitted: Admitted) -> list[tuple[int, int, str]]:
    entries = LedgerEntry.objects.filter(kind="reconcile", hold_id=admitted.hold_id).order_by("seq")
    return list(entries.values_list("used_delta", "overrun_delta", "source_key"))


def assert_sound(purse: Purse) -> None:
    assert invariants.check([purse.id]).differences == []


@pytest.mark.parametrize(("tokens", "nano"), [(700, 90), (100, 10), (0, 0), (500, 60), (5000, 10**9)])
def test_everything_that_counts_the_call_is_moved_by_the_difference(purse: Purse, tokens: int, nano: int) -> None:
    admitted = settled(purse, 500, 50)
    assert purse.correct(admitted, tokens, nano)
    assert (purse.counter().tokens_used, purse.counter(unit=NANO_USD).tokens_used) == (tokens, nano)
    assert purse.counter().overrun == max(0, tokens - admitted.tokens)
    assert purse.counter(unit=NANO_USD).overrun == max(0, nano - admitted.nano_usd)
    record = UsageRecord.objects.get(hold_id=admitted.hold_id)
    assert (record.tokens, record.nano_usd, record.corrections) == (tokens, nano, 1)
    days = UsageDaily.objects.filter(user_id=purse.id, part="model").aggregate(
        tokens=Sum("tokens"), nano=Sum("nano_usd"), calls=Sum("calls")
    )
    assert days == {"tokens": tokens, "nano": nano, "calls": 1}
    assert PlatformCounter.objects.aggregate(used=Sum("used"))["used"] == nano
    assert_sound(purse)


def test_a_repetition_changes_nothing_and_another_figure_is_another_correction(purse: Purse) -> None:
    admitted = settled(purse, 500)
    assert purse.correct(admitted, 600)
    assert not purse.correct(admitted, 600)
    assert purse.correct(admitted, 200)
    first, second = f"correction:{admitted.hold_id}:1", f"correction:{admitted.hold_id}:2"
    assert corrections(admitted) == [(100, 0, first), (-400, 0, second)]
    assert purse.counter().tokens_used == 200
    assert_sound(purse)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_corrects(purse: Purse) -> None:
    admitted = settled(purse, 500)

    def correct(_: int) -> bool:
        try:
            return purse.correct(admitted, 900)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(correct, range(6))) == 1
    assert len(corrections(admitted)) == 1
    assert_sound(purse)


def test_the_database_itself_takes_a_correction_once(purse: Purse) -> None:
    admitted = settled(purse, 500)
    purse.correct(admitted, 600)
    entry = LedgerEntry.objects.get(kind="reconcile", hold_id=admitted.hold_id)
    entry.pk, entry.seq = clock.uuid7(), entry.seq + 1
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)


def test_only_what_was_settled_is_corrected(purse: Purse) -> None:
    running, released = purse.admit(purse.ask(), purse.ask())
    purse.release(released)
    assert not purse.correct(running, 5)
    assert not purse.correct(released, 5)
    assert not purse.correct(Admitted(clock.uuid7(), 1, 1, 1, now(), running.rate, None), 5)
    assert_sound(purse)


def test_an_estimate_that_was_right_is_one_no_more(purse: Purse) -> None:
    (admitted,) = purse.admit()
    estimate = Charge(400, 30, 100, 300, UsageRecord.Source.LOCAL_ESTIMATE)
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        book.settle(admitted.hold_id, estimate)
        book.close()
    assert UsageDaily.objects.filter(user_id=purse.id, part="model").get().estimated_nano_usd == 30
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        assert book.correct(admitted.hold_id, Charge(400, 30, 100, 300, UsageRecord.Source.GENERATION_API))
        book.close()
    assert UsageRecord.objects.get(hold_id=admitted.hold_id).source == "generation_api"
    assert UsageDaily.objects.filter(user_id=purse.id, part="model").get().estimated_calls == 0
    assert corrections(admitted) == []
    assert_sound(purse)


def test_a_correction_belongs_to_the_period_of_the_admission(purse: Purse) -> None:
    admitted = settled(purse, 500)
    with clock.travel(timedelta(days=40)):
        settled(purse, 7)
        assert purse.correct(admitted, 800)
        assert purse.counter().tokens_used == 7
    assert purse.counter().tokens_used == 800
    assert_sound(purse)


def test_what_is_given_back_goes_to_the_top_up_first_and_what_comes_to_it_to_the_plan(purse: Purse) -> None:
    limit(purse, 300)
    grants.grant(purse.id, "pay:1", {TOKENS: 5000})
    admitted = settled(purse, 700)
    top_up = Grant.objects.get(source_key="pay:1")
    assert (purse.counter().tokens_used, top_up.consumed) == (300, 400)
    for tokens, plan, extra in ((500, 300, 200), (250, 250, 0), (600, 300, 300), (1100, 300, 800), (0, 0, 0)):
        assert purse.correct(admitted, tokens)
        top_up.refresh_from_db()
        assert (purse.counter().tokens_used, top_up.consumed) == (plan, extra)
        assert_sound(purse)
    assert purse.correct(admitted, admitted.tokens + 50)
    assert purse.counter().overrun == 50
    assert_sound(purse)


def test_a_top_up_that_was_used_by_others_meanwhile_is_not_overdrawn(purse: Purse) -> None:
    limit(purse, 300)
    grants.grant(purse.id, "pay:1", {TOKENS: 1500})
    admitted = settled(purse, 400, cap=1000)
    (other,) = purse.admit(purse.ask(cap=1200))
    purse.settle(other, 1300)
    assert purse.correct(admitted, 1000)
    top_up = Grant.objects.get(source_key="pay:1")
    assert (top_up.consumed, purse.counter().tokens_used) == (1500, 800)
    assert purse.counter().overrun == 0
    assert_sound(purse)


def test_a_call_without_a_price_that_was_billed_counts_on_the_day_it_was_settled(purse: Purse) -> None:
    admitted = settled(purse, 100, price=FREE)
    with clock.travel(timedelta(days=3)):
        assert purse.correct(admitted, 100, 77)
    used = PlatformCounter.objects.exclude(used=0).values_list("day", "shard", "used")
    assert list(used) == [(UsageRecord.objects.get(hold_id=admitted.hold_id).at.date(), 0, 77)]
    assert PlatformCounter.objects.get(used=77).overrun == 77
    assert_sound(purse)


def test_the_day_of_the_admission_has_it(purse: Purse) -> None:
    (admitted,) = purse.admit()
    with clock.travel(timedelta(days=1)):
        purse.settle(admitted, 100, 10)
    with clock.travel(timedelta(days=2)):
        assert purse.correct(admitted, 100, 25)
        day: date = PlatformCounter.objects.exclude(used=0).get().day
        assert day == UsageRecord.objects.get(hold_id=admitted.hold_id).asked_at.date() != now().date()
    assert_sound(purse)


def test_a_correction_over_a_line_is_told_of(purse: Purse) -> None:
    limit(purse, 2000)
    admitted = settled(purse, 500)
    purse.correct(admitted, 1700)
    assert QuotaAlert.objects.get(user_id=purse.id).percent == 80


def test_a_second_correction_in_one_book_is_a_mistake(new_purse: Callable[[], Purse]) -> None:
    purse = new_purse()
    admitted = settled(purse, 500)
    with pytest.raises(ValueError), transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        book.correct(admitted.hold_id, charge(600))
        book.correct(admitted.hold_id, charge(700))


def test_a_forged_correction_shows_in_the_audit(purse: Purse) -> None:
    admitted = settled(purse, 500)
    purse.correct(admitted, 600)
    UsageRecord.objects.filter(hold_id=admitted.hold_id).update(tokens=500, completion_tokens=500)
    assert "usage.used" in {each.what for each in purse.differences()}


def test_without_a_limit_the_plan_takes_all() -> None:
    assert pockets.recharged(100, 900, 500, None, []) == (800, 400, [])
    assert pockets.recharged(900, 100, 500, None, []) == (-800, -400, [])
    assert pockets.recharged(900, 700, 500, 0, []) == (-200, -200, [])
