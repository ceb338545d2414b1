"""Figures at the very place where they turn: spans, paces, keys, minutes, days, and rows as they are written."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from pytest_django import Settings

from oneai.kit.errors import Refusal
from quotas import bounds, ceiling, grants, platform_rates, rates, usage
from quotas.allowances import InvalidTerms
from quotas.ceiling import Ceiling
from quotas.models import PlatformCounter, UsageRecord
from quotas.platform_rates import Platform
from quotas.policy import NANO_USD, TOKENS
from quotas.usage import NAMES, Account, Span, Sums
from tests.quotas.using import Purse

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)


def account(at: datetime) -> Account:
    return Account(UUID(int=1), "UTC", at, START, END)


# Usage ----------------------------------------------------------------------------------------------
def test_sums_begin_with_nothing_and_are_shown_to_the_nano() -> None:
    assert [getattr(Sums(), field.name) for field in fields(Sums)] == [0] * 9
    shown = Sums(4, 11, 12, 13, 14, 3000, 6000, 2, 5).as_json()
    assert list(shown.values()) == [
        4, 11, 12, 13, 14, 3000, "0.000006", "0.0000015", "0.000002", 2, "0.000000005",
    ]  # fmt: skip
    left = Sums(*range(10, 19)).less([Sums(*range(1, 10)), Sums(*[1] * 9)])
    assert [getattr(left, name) for name in NAMES] == [8] * 9


@pytest.mark.parametrize(
    ("first", "last", "span"),
    [
        (None, None, Span(date(2026, 3, 1), date(2026, 3, 31), START)),
        (None, date(2026, 2, 28), Span(date(2026, 1, 30), date(2026, 2, 28))),
        (date(2026, 3, 5), None, Span(date(2026, 3, 5), date(2026, 3, 10))),
        (date(2026, 3, 20), None, Span(date(2026, 3, 20), date(2026, 3, 20))),
        (date(2026, 3, 5), date(2026, 3, 5), Span(date(2026, 3, 5), date(2026, 3, 5))),
    ],
)
def test_thirty_days_unless_both_ends_are_said(first: date | None, last: date | None, span: Span) -> None:
    assert account(datetime(2026, 3, 10, 12, tzinfo=UTC)).span(first, last) == span


def test_a_span_is_never_backwards_and_no_day_is_beyond_the_calendar() -> None:
    with pytest.raises(ValueError, match="comes after"):
        account(START).span(date(2026, 3, 2), date(2026, 3, 1))
    days = {"": None, "0001-01-01": date(1970, 1, 31), "1970-02-01": date(1970, 2, 1), "9998-12-30": date(9998, 12, 30),
            "9999-12-31": date(9998, 12, 31), "1970-01-30": date(1970, 1, 31)}  # fmt: skip
    assert {text: usage.read_day(text) for text in days} == days


def test_a_pace_is_known_after_a_day_and_leads_to_the_end_of_the_period() -> None:
    assert usage.projected(100, account(START + DAY - SECOND)) is None
    assert usage.projected(100, account(START + DAY)) == 3000
    assert usage.projected(7, account(START + 2 * DAY)) == 105
    day_one = account(START + DAY)
    assert usage.used_up_at(10, 20, account(START + DAY - SECOND)) is None
    assert usage.used_up_at(0, 20, day_one) is None
    assert usage.used_up_at(1, None, day_one) is None
    assert usage.used_up_at(1, 20, day_one) == START + 20 * DAY
    assert usage.used_up_at(1, 29, day_one) == START + 29 * DAY
    assert usage.used_up_at(1, 30, day_one) is None
    assert usage.used_up_at(40, 20, day_one) == START + DAY, "it is used up already"


def test_shares_are_of_ten_thousand_and_round_at_half() -> None:
    shares = {(0, 0): "0.0000", (1, 20_000): "0.0001", (1, 20_001): "0.0000", (1, 7): "0.1429", (9, 9): "1.0000",
              (12_345, 10_000): "1.2345", (0, 7): "0.0000"}  # fmt: skip
    assert {pair: usage.share(*pair) for pair in shares} == shares


# Grants ---------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_cause_and_a_refund_have_keys_of_up_to_160_characters(purse: Purse) -> None:
    cause = "pay:" + "x" * 156
    with transaction.atomic():
        assert grants.grant(purse.id, cause, {TOKENS: 10, NANO_USD: 5}).new
        for key, refund in ((cause + "x", "r"), (cause, "r" * 161), (cause, "")):
            with pytest.raises(InvalidTerms):
                if key == cause:
                    grants.refund(cause, refund)
                else:
                    grants.grant(purse.id, key, {TOKENS: 1})
        again = grants.grant(purse.id, cause, {TOKENS: 99})
        assert (again.new, again.amounts) == (False, {TOKENS: 10, NANO_USD: 5})
        back = grants.refund(cause, "r" * 150, 1, 2)
        assert (back.taken, back.owed) == ({TOKENS: 5, NANO_USD: 2}, {TOKENS: 0, NANO_USD: 0})
        again_back = grants.refund(cause, "r" * 150, 1, 2)
        assert (again_back.new, again_back.taken, again_back.owed) == (False, {}, {TOKENS: 0, NANO_USD: 0})
        rest = grants.refund(cause, "rest", 2, 2)
        assert (rest.taken, rest.owed) == ({TOKENS: 5, NANO_USD: 3}, {TOKENS: 0, NANO_USD: 0})


# Minutes of the platform ----------------------------------------------------------------------------
AT = datetime(2026, 3, 10, 12, 0, 0, 500_000, tzinfo=UTC)
NOW = rates.second_of(AT)


def platform(
    monkeypatch: pytest.MonkeyPatch, recent: list[list[int]], requests: int | None = None, tokens: int | None = None,
    running: int | None = None,
) -> Platform:  # fmt: skip
    monkeypatch.setattr(platform_rates, "_off_until", 0.0)
    monkeypatch.setattr(platform_rates, "_row", lambda lock: platform_rates._State(requests, tokens, running, recent))
    monkeypatch.setattr(platform_rates, "_running", lambda: 3)
    return Platform(AT)


def rate_of(checked: Any) -> dict[str, Any]:
    with pytest.raises(Refusal) as caught:
        checked()
    return dict((caught.value.details or {})["rate"])


def test_the_platforms_minute_says_what_is_left_and_when_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = [[NOW - 60, 1, 50], [NOW - 30, 2, 30], [NOW - 10, 1, 15]]
    by_requests = platform(monkeypatch, recent, requests=5)
    by_requests.check(1, [1])
    assert rate_of(lambda: by_requests.check(2, [1, 1])) == {
        "scope": "global", "name": "requests_per_minute", "limit": 5, "remaining": 1, "reset_seconds": 1,
    }  # fmt: skip
    full = platform(monkeypatch, recent, requests=3)
    assert rate_of(lambda: full.check(1, [1])) | {"scope": ""} == {
        "scope": "", "name": "requests_per_minute", "limit": 3, "remaining": 0, "reset_seconds": 31,
    }  # fmt: skip
    full.check(0, [1])
    by_tokens = platform(monkeypatch, recent, tokens=100)
    by_tokens.check(1, [5])
    assert rate_of(lambda: by_tokens.check(1, [3, 3])) | {"scope": ""} == {
        "scope": "", "name": "tokens_per_minute", "limit": 100, "remaining": 5, "reset_seconds": 1,
    }  # fmt: skip
    assert rate_of(lambda: by_tokens.check(1, [70]))["reset_seconds"] == 31
    assert rate_of(lambda: by_tokens.check(1, [101]))["reset_seconds"] == 51
    platform(monkeypatch, [], tokens=100).check(1, [1000])
    by_number = platform(monkeypatch, recent, running=5)
    by_number.check(1, [1, 1])
    assert rate_of(lambda: by_number.check(1, [1, 1, 1]))["running"] == 3
    by_number.add(1, [1])
    by_number.check(1, [1])
    assert rate_of(lambda: by_number.check(1, [1, 1]))["running"] == 4
    by_number.ended()
    by_number.check(1, [1, 1])
    platform(monkeypatch, recent).check(9, [10**9])


@pytest.mark.parametrize(
    ("recent", "second", "own", "room"),
    [
        ([[NOW - 61, 1, 90], [NOW, 1, 40]], NOW, 10, 60),
        ([[NOW - 60, 1, 90], [NOW, 1, 40]], NOW, 10, 0),
        ([[NOW - 60, 1, 40]], NOW - 60, 40, 200),
        ([[NOW - 60, 1, 40]], NOW - 60, 39, 60),
        ([[NOW, 1, 40]], NOW - 61, 40, 60),
        ([], NOW - 61, 40, 200),
    ],
)
def test_more_is_what_the_minute_has_left_and_all_for_a_call_that_is_alone(
    monkeypatch: pytest.MonkeyPatch, recent: list[list[int]], second: int, own: int, room: int
) -> None:
    assert platform(monkeypatch, recent, tokens=100).room(second, own, 200) == room
    assert platform(monkeypatch, recent).room(second, own, 200) == 200


def test_more_counts_with_its_call_while_that_counts_and_an_end_corrects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(act: Any, recent: list[list[int]]) -> list[list[int]]:
        made = platform(monkeypatch, recent, tokens=100)
        act(made)
        return made._read().recent

    edge, gone = NOW - 60, NOW - 61
    assert counted(lambda made: made.extend(edge, 5), [[edge, 1, 10]]) == [[edge, 1, 15]]
    assert counted(lambda made: made.extend(gone, 5), [[gone, 1, 10]]) == [[NOW, 0, 5]]
    assert counted(lambda made: made.extend(edge, 5), [[NOW - 1, 1, 10]]) == [[NOW - 1, 1, 10], [NOW, 0, 5]]
    assert counted(lambda made: made.correct(edge, -4), [[edge, 1, 10]]) == [[edge, 1, 6]]
    assert counted(lambda made: made.correct(gone, -4), [[gone, 1, 10]]) == [[gone, 1, 10]]
    assert counted(lambda made: made.add(2, [3, 4]), [[edge, 1, 10]]) == [[edge, 1, 10], [NOW, 2, 7]]
    off = platform(monkeypatch, [[NOW, 1, 1]])
    off.extend(NOW, 5), off.add(1, [5])
    assert off._read().recent == [[NOW, 1, 1]] and not off._changed


# The platform's day ---------------------------------------------------------------------------------
def shards(settings: Settings, *rows: tuple[int, int, int]) -> None:
    """The day with shards of (limit, used, held)."""
    settings.PLATFORM_DAILY_USD = str(sum(limit for limit, *_ in rows) / 10**9)
    for index, (limit, used, held) in enumerate(rows):
        PlatformCounter.objects.create(day=AT.date(), shard=index, quota_limit=limit, used=used, held=held, overrun=0)


def day() -> list[tuple[int, int, int, int]]:
    found = PlatformCounter.objects.order_by("day", "shard")
    return list(found.values_list("quota_limit", "used", "held", "overrun"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("held", "before", "after", "used", "overrun"),
    [(100, 50, 80, 30, 0), (100, 50, 150, 100, 50), (100, 150, 80, -70, -50), (100, 150, 120, -30, -30),
     (100, 100, 101, 1, 1), (100, 0, 100, 100, 0)],
)  # fmt: skip
def test_a_correction_moves_what_was_used_and_what_was_beyond(
    settings: Settings, held: int, before: int, after: int, used: int, overrun: int
) -> None:
    shards(settings, (1000, 200, 0))
    PlatformCounter.objects.update(overrun=60)
    with transaction.atomic():
        of_day = Ceiling(AT)
        of_day.correct((AT.date(), 0), held, before, after)
        of_day.write()
    assert day() == [(1000, 200 + used, 0, 60 + overrun)]


@pytest.mark.django_db
@pytest.mark.parametrize(("held", "actual", "overrun"), [(100, 60, 0), (100, 100, 0), (100, 101, 1), (0, 7, 7)])
def test_an_end_gives_back_and_counts(settings: Settings, held: int, actual: int, overrun: int) -> None:
    shards(settings, (1000, 5, 300))
    with transaction.atomic():
        of_day = Ceiling(AT)
        of_day.close((AT.date(), 0) if held else None, held, actual)
        of_day.write()
    assert day() == [(1000, 5 + actual, 300 - held, overrun)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "nano", "after"),
    [
        ([(100, 0, 0), (100, 0, 0)], 150, [(150, 0, 150, 0), (50, 0, 0, 0)]),
        ([(100, 40, 10), (100, 0, 99)], 51, [(101, 40, 61, 0), (99, 0, 99, 0)]),
        ([(100, 0, 0), (50, 0, 60), (100, 0, 0)], 190, [(190, 0, 190, 0), (50, 0, 60, 0), (10, 0, 0, 0)]),
        ([(100, 0, 0), (100, 0, 0)], 201, None),
        ([(100, 0, 0), (100, 0, 0)], 200, [(200, 0, 200, 0), (0, 0, 0, 0)]),
    ],
)
def test_room_of_the_others_is_moved_to_the_last_nano_and_no_further(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, rows: Any, nano: int, after: Any
) -> None:
    monkeypatch.setattr(ceiling, "_seen", None)
    shards(settings, *rows)
    before = day()
    with transaction.atomic():
        of_day = Ceiling(AT)
        if after is None:
            with pytest.raises(Refusal):
                of_day.take(nano)
        else:
            assert of_day.take(nano) == (AT.date(), 0)
        of_day.write()
    assert sum(limit for limit, *_ in day()) == sum(limit for limit, *_ in before)
    if after is not None:
        assert day() == after


def test_a_day_is_shared_in_parts_that_differ_by_one_at_most() -> None:
    assert [ceiling._shares(total, 3) for total in (9, 10, 11, 0)] == [[3, 3, 3], [4, 3, 3], [4, 4, 3], [0, 0, 0]]
    late = datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert ceiling.next_midnight(late) == datetime(2026, 4, 1, tzinfo=UTC)
    refusal = ceiling._refusal(late)
    assert (refusal.retry_after, refusal.details) == (1, {"reset_at": "2026-04-01T00:00:00Z"})
    assert ceiling._refusal(late - timedelta(seconds=1)).retry_after == 2


@pytest.mark.django_db
def test_another_limit_is_shared_out_over_what_is_used_and_held(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceiling, "_seen", None)
    shards(settings, (100, 30, 20), (100, 5, 0))
    settings.PLATFORM_DAILY_USD = "0.000000305"
    with transaction.atomic():
        of_day = Ceiling(AT)
        of_day.take(0)
        of_day.write()
    assert day() == [(175, 30, 20, 0), (130, 5, 0, 0)]


# Bounds ---------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_records_are_read_once_they_are_a_minute_old(purse: Purse, monkeypatch: pytest.MonkeyPatch) -> None:
    (admitted,) = purse.admit()
    purse.settle(admitted, 100)
    made = datetime.fromtimestamp((UsageRecord.objects.get().pk.int >> 80) / 1000, UTC)
    for after, read in ((timedelta(), 0), (60 * SECOND, 0), (60 * SECOND + timedelta(milliseconds=2), 1), (DAY, 0)):
        monkeypatch.setattr(bounds, "now", lambda after=after: made + after)
        assert bounds.learn() == read, after


def test_a_bound_is_half_as_much_again_between_the_floor_and_the_safe_one() -> None:
    margins = {0: 400_000, 266_668: 400_002, 300_001: 450_001, 666_667: 1_000_000, 900_000: 1_000_000}
    assert {most: bounds.margin(most) for most in margins} == margins
    cases = {(399, 500_000): 399, (400, 500_000): 200, (401, 500_000): 201, (400, None): 400, (400, 2_000_000): 400}
    assert {case: bounds.tightened(*case) for case in cases} == cases
