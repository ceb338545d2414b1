"""More for a running call: decided as an admission is, once for each number, and settled with the rest."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from oneai.kit.clock import now, uuid7
from quotas import allowances, grants, rates
from quotas.audit import replay_platform
from quotas.ledger import KeyLimits, Price
from quotas.models import Hold, LedgerEntry, PlatformCounter, QuotaAccount
from tests.quotas.using import FREE, Purse

pytestmark = pytest.mark.django_db


def test_what_is_granted_is_held_in_tokens_and_dollars(purse: Purse) -> None:
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 500) == 500
    hold = Hold.objects.get(pk=admitted.hold_id)
    assert (hold.max_tokens, hold.tokens, hold.nano_usd) == (1500, 1600, 100 * 150 + 1500 * 600)
    assert purse.counter().held == 1600
    assert purse.counter(unit="nano_usd").held == hold.nano_usd
    assert PlatformCounter.objects.get(held__gt=0).held == hold.nano_usd
    assert LedgerEntry.objects.filter(hold_id=hold.id, kind="hold").count() == 4
    assert purse.differences() == []
    purse.settle(admitted, 1550, 900_000)
    assert (purse.counter().held, purse.counter().tokens_used, purse.counter().overrun) == (0, 1550, 0)
    assert purse.differences() == []
    assert replay_platform() == []


def test_the_tightest_limit_says_how_much_and_then_nothing_more(purse: Purse) -> None:
    key = KeyLimits(uuid7(), limit_tokens=1400)
    ask = purse.ask(bound=100, cap=1000, api_key=key)
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 500) == 300
    assert purse.extend(admitted, ask, 500, 2) == 0
    assert purse.extend(admitted, ask, 0, 3) == 0
    assert Hold.objects.get(pk=admitted.hold_id).extensions == [300, 0, 0]
    assert purse.counter(key.scope).held == 1400
    with pytest.raises(ValueError, match="never negative"):
        purse.extend(admitted, ask, -1, 4)
    assert purse.differences() == []


def test_dollars_bind_to_the_nano(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": None, "nano_usd": 100 * 150 + 1200 * 600 + 599}, "test", "test")
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 500) == 200
    assert purse.counter(unit="nano_usd").held == 100 * 150 + 1200 * 600
    assert purse.differences() == []


def test_a_price_below_a_nano_a_token_grants_nothing_beyond_what_is_left(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": None, "nano_usd": 500}, "test", "test")
    ask = purse.ask(bound=0, cap=1000, price=Price(None, 0, 500))
    (admitted,) = purse.admit(ask)
    assert admitted.nano_usd == 500
    assert purse.extend(admitted, ask, 10) == 0


def test_a_free_model_is_extended_in_tokens_alone(purse: Purse, settings: Settings) -> None:
    settings.PLATFORM_DAILY_USD = "0"
    ask = purse.ask(price=FREE)
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 500) == 500
    assert purse.counter(unit="nano_usd").held == 0


def test_a_number_that_was_used_gives_what_it_gave(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 1300}, "test", "test")
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask)
    assert [purse.extend(admitted, ask, 150, 1) for _ in range(3)] == [150, 150, 150]
    assert purse.extend(admitted, ask, 150, 2) == 50
    assert purse.extend(admitted, ask, 150, 1) == 150
    assert Hold.objects.get(pk=admitted.hold_id).extensions == [150, 50]
    assert purse.counter().held == 1300
    assert purse.differences() == []
    with pytest.raises(ValueError, match="without a gap"):
        purse.extend(admitted, ask, 150, 4)


def test_a_closed_hold_is_not_extended(purse: Purse) -> None:
    ask = purse.ask()
    (admitted,) = purse.admit(ask)
    purse.settle(admitted, 20)
    assert purse.extend(admitted, ask, 100) == 0
    assert purse.counter().held == 0


def test_the_days_ceiling_is_asked_too(purse: Purse, settings: Settings) -> None:
    ask = purse.ask(bound=0, cap=1000)
    settings.PLATFORM_DAILY_USD = "0.0009"
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 500) == 500
    assert purse.extend(admitted, ask, 1, 2) == 0
    assert PlatformCounter.objects.filter(held__gt=0).get().held == 900_000
    assert purse.differences() == []
    assert replay_platform() == []


def test_top_ups_are_held_once_the_plan_is_used_up(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 1200}, "test", "test")
    grants.grant(purse.id, "pay:one", {"tokens": 300})
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask)
    assert purse.extend(admitted, ask, 1000) == 400
    assert purse.counter().held == 1200
    assert sum((Hold.objects.get(pk=admitted.hold_id).grant_lines or {}).values()) == 300
    assert purse.differences() == []


def test_it_stays_in_the_period_of_its_admission(purse: Purse) -> None:
    at = now()
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    later = at + timedelta(days=40)
    assert purse.extend(admitted, ask, 500, at=later) == 500
    assert purse.counter(at=at).held == 1600
    assert purse.differences() == []


def window(purse: Purse) -> list[list[int]]:
    found: list[list[int]] = QuotaAccount.objects.get(pk=purse.id).windows.get("*", [])
    return found


def window_tokens(purse: Purse) -> int:
    return sum(entry[2] for entry in window(purse))


def minute(purse: Purse, tokens: int) -> datetime:
    allowances.set_rates(purse.id, {"tokens_per_minute": tokens}, "test", "test")
    return now()


def test_the_minute_cuts_unless_the_call_is_alone_in_it(purse: Purse) -> None:
    at = minute(purse, 2000)
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    assert purse.extend(admitted, ask, 2000, at=at) == 2000
    assert window_tokens(purse) == 3100
    purse.release(admitted, at=at)
    assert window_tokens(purse) == 0
    ask = purse.ask(bound=100, cap=1000)
    (first,) = purse.admit(ask, at=at)
    purse.admit(purse.ask(bound=100, cap=300), at=at)
    assert purse.extend(first, ask, 2000, at=at) == 500
    assert window_tokens(purse) == 2000
    purse.settle(first, 40, at=at)
    assert window_tokens(purse) == 440
    assert purse.differences() == []


def test_a_call_older_than_a_minute_is_counted_when_it_is_extended(purse: Purse) -> None:
    at = minute(purse, 2000)
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    later = at + timedelta(seconds=90)
    assert purse.extend(admitted, ask, 700, at=later) == 700
    assert window_tokens(purse) == 700
    purse.admit(purse.ask(bound=100, cap=300), at=later)
    assert purse.extend(admitted, ask, 2000, 2, at=later) == 900
    assert purse.differences() == []


def test_a_call_is_alone_in_the_minute_that_still_counts_it(purse: Purse) -> None:
    at = minute(purse, 2000).replace(microsecond=0)
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    assert purse.extend(admitted, ask, 2000, at=at + timedelta(seconds=60)) == 2000
    assert window(purse) == [[rates.second_of(at), 1, 3100]]


def test_what_comes_later_counts_in_the_second_of_the_admission(purse: Purse) -> None:
    at = minute(purse, 5000)
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    purse.admit(purse.ask(bound=100, cap=300), at=at + timedelta(seconds=5))
    assert purse.extend(admitted, ask, 50, at=at + timedelta(seconds=10)) == 50
    began = rates.second_of(at)
    assert window(purse) == [[began, 1, 1150], [began + 5, 1, 400]]
    purse.settle(admitted, 40, at=at + timedelta(seconds=11))
    assert window(purse) == [[began, 1, 40], [began + 5, 1, 400]]


def test_under_a_rate_that_came_after_the_admission_it_counts_now_and_is_no_request(purse: Purse) -> None:
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask)
    at = minute(purse, 5000)
    assert purse.extend(admitted, ask, 700, at=at) == 700
    assert window(purse) == [[rates.second_of(at), 0, 700]]


def test_a_call_older_than_the_minute_is_cut_by_a_single_token_of_another(purse: Purse) -> None:
    at = minute(purse, 50)
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    later = at + timedelta(seconds=90)
    purse.admit(purse.ask(bound=0, cap=1), at=later)
    assert purse.extend(admitted, ask, 100, at=later) == 49
    assert purse.differences() == []


def test_a_rate_of_nothing_grants_nothing(purse: Purse) -> None:
    at = now()
    ask = purse.ask(bound=100, cap=1000)
    (admitted,) = purse.admit(ask, at=at)
    allowances.set_rates(purse.id, {"tokens_per_minute": 0}, "test", "test")
    assert purse.extend(admitted, ask, 10, at=now()) == 0
