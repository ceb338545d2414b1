"""Usage by day is what the records add up to: at every commit, in any zone, whenever a call is settled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F, Sum

from oneai.kit import clock, rows
from oneai.kit.clock import now, uuid7
from quotas import rollup
from quotas.ledger import Admitted, Book, Charge, KeyLimits
from quotas.models import QuotaAccount, UsageDaily, UsageRecord
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
LATE = datetime(2026, 3, 10, 23, 30, tzinfo=UTC)  # in Kolkata it is the 11th already
LONG_AGO = datetime(2025, 11, 30, 12, tzinfo=UTC)
ESTIMATE = UsageRecord.Source.LOCAL_ESTIMATE


@pytest.fixture
def old_purse(new_purse: Callable[[], Purse]) -> Purse:
    """Somebody who signed up on 30 November 2025, at noon."""
    purse = new_purse()
    QuotaAccount.objects.filter(pk=purse.id).update(anchor=LONG_AGO)
    return purse


def spend(purse: Purse, tokens: int, *, at: datetime, later: timedelta = timedelta(), **more: Any) -> Admitted:
    """A call of ``tokens`` tokens, settled ``later`` than it was admitted; ``more`` is of the charge or the ask."""
    of_charge = {name: more.pop(name) for name in ("source", "conversation_id", "nano_usd") if name in more}
    (admitted,) = purse.admit(purse.ask(bound=tokens, **more), at=at)
    charge = Charge(
        **(
            {
                "tokens": tokens,
                "nano_usd": 10 * tokens,
                "prompt_tokens": max(0, tokens - 3),
                "completion_tokens": 3,
                "reasoning_tokens": 2,
                "cached_tokens": 1,
                "source": UsageRecord.Source.UPSTREAM_FINAL,
            }
            | of_charge
        )
    )
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id], at + later)
        assert book.settle(admitted.hold_id, charge)
        book.close()
    return admitted


def by_day(purse: Purse, column: str = "tokens") -> dict[date, int]:
    found = UsageDaily.objects.filter(user_id=purse.id, part="model").values("day").annotate(sum=Sum(column))
    return {row["day"]: row["sum"] for row in found}


def test_a_guess_at_a_free_call_is_a_guess_and_one_that_gave_nothing_is_none(old_purse: Purse) -> None:
    spend(old_purse, 50, at=LATE, source=ESTIMATE, nano_usd=0)
    spend(old_purse, 0, at=LATE, source=ESTIMATE, nano_usd=0)
    assert (by_day(old_purse, "calls"), by_day(old_purse, "estimated_calls")) == ({LATE.date(): 2}, {LATE.date(): 1})


def test_each_record_is_in_one_sum_by_model_and_key_and_in_one_by_conversation(old_purse: Purse) -> None:
    talk, key = uuid7(), KeyLimits(uuid7())
    spend(old_purse, 100, at=LATE, conversation_id=talk)
    spend(old_purse, 50, at=LATE, conversation_id=talk, source=ESTIMATE)
    spend(old_purse, 7, at=LATE, api_key=key, model_id="maker/other")
    found = UsageDaily.objects.filter(user_id=old_purse.id)
    by_model = {(row.model_id, row.api_key_id): row for row in found.filter(part="model")}
    assert set(by_model) == {("maker/model", rollup.NONE), ("maker/other", key.id)}
    row = by_model["maker/model", rollup.NONE]
    assert (row.calls, row.tokens, row.nano_usd) == (2, 150, 1500)
    assert (row.prompt_tokens, row.completion_tokens, row.reasoning_tokens, row.cached_tokens) == (144, 6, 4, 2)
    assert (row.estimated_calls, row.estimated_nano_usd) == (1, 500)
    talks = {row.conversation_id: (row.calls, row.tokens) for row in found.filter(part="conversation")}
    assert talks == {talk: (2, 150), rollup.NONE: (1, 7)}
    assert old_purse.differences() == []


def test_a_call_that_is_settled_late_counts_on_the_day_and_in_the_period_of_its_admission(old_purse: Purse) -> None:
    spend(old_purse, 100, at=LATE, later=timedelta(hours=2))
    edge = datetime(2026, 3, 30, 11, 59, 59, tzinfo=UTC)  # the period ends at noon
    spend(old_purse, 40, at=edge, later=timedelta(seconds=5))
    spend(old_purse, 2, at=edge + timedelta(seconds=5))
    assert by_day(old_purse) == {date(2026, 3, 10): 100, date(2026, 3, 30): 42}
    on_the_edge = UsageDaily.objects.filter(user_id=old_purse.id, part="model", day=edge.date())
    assert sorted(on_the_edge.values_list("tokens", flat=True)) == [2, 40]
    assert old_purse.differences() == []


def test_the_sums_of_a_period_are_what_its_counter_says(old_purse: Purse) -> None:
    for number in range(12):
        spend(old_purse, 100 + number, at=LATE + timedelta(days=5 * number))
    sums = UsageDaily.objects.filter(user_id=old_purse.id, part="model").values("period_start").annotate(
        used=Sum("tokens"), nano=Sum("nano_usd")
    )  # fmt: skip
    assert len(sums) == 3
    for row in sums:
        at = row["period_start"]
        assert old_purse.counter(at=at).tokens_used == row["used"]
        assert old_purse.counter(unit="nano_usd", at=at).tokens_used == row["nano"]


def test_what_is_released_is_in_no_sum(old_purse: Purse) -> None:
    (admitted,) = old_purse.admit(at=LATE)
    old_purse.release(admitted, at=LATE)
    assert by_day(old_purse) == {}


def test_a_call_that_gave_nothing_is_counted_and_is_no_estimate(old_purse: Purse) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "reasoning_tokens": 0, "cached_tokens": 0}
    (admitted,) = old_purse.admit(old_purse.ask(bound=9), at=LATE)
    with transaction.atomic():
        book = Book.open([old_purse.id], [admitted.hold_id], LATE)
        book.settle(admitted.hold_id, Charge(tokens=0, nano_usd=0, source=ESTIMATE, **nothing))
        book.close()
    for _ in range(2):
        assert (by_day(old_purse, "calls"), by_day(old_purse, "estimated_calls")) == (
            {LATE.date(): 1},
            {LATE.date(): 0},
        )
        assert old_purse.differences() == []
        rollup.follow_zone(old_purse.id, "Europe/London")


def test_days_are_those_of_the_zone_that_the_person_had_at_the_first_call(newcomer: Purse) -> None:
    newcomer.user.timezone = "Asia/Kolkata"
    newcomer.user.save()
    at = now().replace(hour=20, minute=0) - timedelta(days=1)
    spend(newcomer, 30, at=at)
    assert by_day(newcomer) == {(at + timedelta(days=1)).date(): 30}
    assert newcomer.differences() == []


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles", "Pacific/Kiritimati", "UTC"])
def test_days_follow_a_person_to_another_zone_and_nothing_is_lost(old_purse: Purse, zone: str) -> None:
    for hours in range(0, 24 * 25, 7):  # daylight saving begins in Los Angeles meanwhile
        spend(old_purse, 10 + hours, at=LATE - timedelta(days=4) + timedelta(hours=hours), conversation_id=uuid7())
    before = by_day(old_purse)
    assert rollup.follow_zone(old_purse.id, zone) == zone
    after = by_day(old_purse)
    assert sum(after.values()) == sum(before.values())
    assert (after == before) is (zone == "UTC")
    assert old_purse.differences() == []
    spend(old_purse, 5, at=LATE)
    assert old_purse.differences() == []


def test_an_unknown_zone_is_utc(old_purse: Purse) -> None:
    spend(old_purse, 10, at=LATE)
    rollup.follow_zone(old_purse.id, "Mars/Olympus")
    assert by_day(old_purse) == {LATE.date(): 10}
    spend(old_purse, 10, at=LATE)
    assert old_purse.differences() == []


def test_a_corrected_record_changes_its_own_day(old_purse: Purse) -> None:
    admitted = spend(old_purse, 100, at=LATE)
    spend(old_purse, 1, at=LATE + timedelta(days=3))
    before = UsageRecord.objects.values().get(hold_id=admitted.hold_id)
    after = before | {"tokens": 90, "completion_tokens": 1, "nano_usd": 7}
    with transaction.atomic():
        UsageRecord.objects.filter(pk=before["id"]).update(tokens=90, completion_tokens=1, nano_usd=7)
        rollup.correct(before, after, {old_purse.id: "UTC"})
    assert by_day(old_purse) == {date(2026, 3, 10): 90, date(2026, 3, 13): 1}
    assert by_day(old_purse, "calls") == {date(2026, 3, 10): 1, date(2026, 3, 13): 1}
    records = UsageRecord.objects.filter(user_id=old_purse.id)
    assert rollup.differences(old_purse.id, "UTC", map(vars, records)) == []


@pytest.mark.parametrize("column", ["calls", "tokens", "nano_usd", "cached_tokens", "estimated_calls"])
def test_the_audit_finds_a_sum_that_is_wrong_and_one_that_is_gone(old_purse: Purse, column: str) -> None:
    spend(old_purse, 100, at=LATE)
    row = UsageDaily.objects.filter(user_id=old_purse.id, part="conversation")
    row.update(**{column: F(column) + 1})
    assert [difference.what for difference in old_purse.differences()] == ["usage.daily"]
    row.delete()
    assert [difference.what for difference in old_purse.differences()] == ["usage.daily"]


def test_sums_are_written_with_the_records_or_not_at_all(old_purse: Purse) -> None:
    (admitted,) = old_purse.admit(at=LATE)
    with pytest.raises(RuntimeError), transaction.atomic():
        book = Book.open([old_purse.id], [admitted.hold_id], LATE)
        book.settle(admitted.hold_id, Charge(5, 5, 3, 2, ESTIMATE))
        book.close()
        raise RuntimeError
    assert by_day(old_purse) == {}
    assert not UsageRecord.objects.filter(user_id=old_purse.id).exists()


def test_many_settlements_of_one_transaction_are_one_statement_more(new_purse: Callable[[], Purse]) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    purses = [new_purse() for _ in range(3)]
    holds = {admitted.hold_id: purse for purse in purses for admitted in purse.admit(*[purse.ask(bound=9)] * 1)}
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        book = Book.open([purse.id for purse in purses], holds)
        for hold_id in holds:
            book.settle(hold_id, Charge(5, 5, 3, 2, ESTIMATE, conversation_id=uuid7()))
        book.close()
    assert sum("usage_daily" in query["sql"] for query in captured.captured_queries) == 1


def test_adding_goes_out_together_with_other_writes() -> None:
    """Two additions to one row in one group both count."""
    from accounts.models import User

    user = User.objects.create_user("adds@example.com")
    at = clock.now()
    row = dict.fromkeys(rollup.SUMS, 1) | {
        "user_id": user.pk, "part": "model", "day": at.date(), "period_start": at, "model_id": "m/m",
        "api_key_id": rollup.NONE, "conversation_id": rollup.NONE,
    }  # fmt: skip
    with transaction.atomic(), rows.together():
        rows.add(UsageDaily, [row], key=rollup.KEY, sums=rollup.SUMS)
        rows.add(UsageDaily, [row | {"tokens": 5}], key=rollup.KEY, sums=rollup.SUMS)
    assert UsageDaily.objects.values_list("calls", "tokens").get(user=user) == (2, 6)
