"""The audit to the unit: what it says of each row that was changed behind the ledger's back, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from quotas import grants
from quotas.audit import Difference, replay, replay_platform
from quotas.models import Grant, Hold, LedgerEntry, PlatformCounter, QuotaAccount, QuotaCounter, UsageRecord
from quotas.policy import TOKENS
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


@pytest.fixture
def lived(small: Purse) -> Purse:
    """900 used of a plan of 1000, one call of them corrected; one runs on a top-up; half of another was given back."""
    with transaction.atomic():
        grants.grant(small.id, "pay:1", {TOKENS: 600})
        grants.grant(small.id, "pay:2", {TOKENS: 100}, priority=9)
    first, second = small.admit(small.ask(bound=100, cap=700), small.ask(bound=50, cap=50))
    assert small.settle(first, 750, 7000) and small.settle(second, 160, 100)
    assert small.correct(second, 150, 90)
    small.admit(small.ask(bound=100, cap=200, reference="runs"))
    with transaction.atomic():
        grants.refund("pay:2", "half", 1, 2)
    assert [*replay(small.id), *replay_platform()] == []
    return small


def of(model: Any, **where: Any) -> Callable[..., Callable[[Purse], None]]:
    return lambda **change: lambda _: model.objects.filter(**where).update(**change)


def _line(name: str, more: int) -> Callable[[Purse], None]:
    def change(_: Purse) -> None:
        hold = Hold.objects.get(reference="runs")
        setattr(hold, name, {line: amount + more for line, amount in getattr(hold, name).items()})
        hold.save()

    return change


def _drop(rows: Any) -> Callable[[Purse], None]:
    return lambda _: rows.all().delete() and None


COUNTER, TOP_UP = of(QuotaCounter, unit="tokens"), of(Grant, source_key="pay:1")
RUNS = of(Hold, reference="runs")
A_DAY = timedelta(days=1)
ENDED = [
    ("account.in_flight", 1, 0), *[("hold.ends", 0, 1)] * 3, ("holds.held", 100, 0), ("holds.held", 135_000, 0),
    ("holds.of_grant", 200, 0), ("platform.held", 135_000, 0),
]  # fmt: skip
# By what was done: what the audit says, with its two figures where they are numbers.
TAMPERED: dict[str, tuple[Callable[[Purse], None], list[tuple[Any, ...]]]] = {
    "used": (COUNTER(tokens_used=F("tokens_used") + 1), [("counter.used", 901, 900), ("usage.used", 901, 900)]),
    "held": (COUNTER(held=F("held") + 2), [("counter.held", 102, 100), ("holds.held", 102, 100)]),
    "overrun": (COUNTER(overrun=F("overrun") + 3), [("counter.overrun", 53, 50), ("usage.overrun", 53, 50)]),
    "limit": (COUNTER(quota_limit=1003), [("counter.limit", 1003, 1000)]),
    "a counter's period": (COUNTER(period_start=F("period_start") + A_DAY), [("hold.period",)] * 3),
    "a counter": (
        _drop(QuotaCounter.objects.filter(unit="tokens")),
        [("counter.missing",), *[("hold.counter",)] * 3, *[("hold.ends", 1, 0)] * 2],
    ),
    "what a top-up has used": (TOP_UP(consumed=F("consumed") + 4), [("grant.used", 4, 0)]),
    "what a top-up holds": (
        TOP_UP(held=F("held") + 5),
        [("grant.held", 205, 200), ("holds.of_grant", 205, 200)],
    ),
    "what a top-up gives": (TOP_UP(amount=F("amount") + 6), [("grant.limit", 606, 600)]),
    "what was given back": (of(Grant, source_key="pay:2")(refunded=57), [("grant.limit", 43, 50)]),
    "a top-up for a debt": (TOP_UP(kind="debt"), [("grant.given", 1, 0), ("hold.grant",), ("holds.of_grant", 200, 0)]),
    "lines": (_line("lines", 8), [("holds.held", 100, 108), ("holds.held", 135_000, 135_008)]),
    "lines on top-ups": (_line("grant_lines", 9), [("holds.of_grant", 200, 209)]),
    "a hold that runs": (RUNS(state="released"), ENDED),
    "a hold without a record": (RUNS(state="settled"), [*ENDED, ("usage.records", 0, 1)]),
    "holds that are over": (
        of(Hold, state="settled")(state="held"),
        [
            ("account.in_flight", 1, 3), *[("hold.ends", 1, 0)] * 4, ("holds.held", 100, 1000),
            ("holds.held", 135_000, 607_500), ("platform.held", 135_000, 607_500), ("usage.overrun", 50, 0),
            *[("usage.records", 1, 0)] * 2, ("usage.used", 900, 0), ("usage.used", 7090, 0),
        ],
    ),
    "tokens of records": (
        of(UsageRecord)(tokens=F("tokens") + 10),
        [*[("usage.daily",)] * 2, ("usage.overrun", 50, 60), ("usage.used", 900, 920)],
    ),
    "cost of records": (
        of(UsageRecord)(nano_usd=F("nano_usd") + 11),
        [("platform.used", 7090, 7112), *[("usage.daily",)] * 2, ("usage.used", 7090, 7112)],
    ),
    "records": (
        _drop(UsageRecord.objects),
        [
            ("platform.used", 7090, 0), *[("usage.daily",)] * 2, ("usage.overrun", 50, 0),
            *[("usage.records", 0, 1)] * 2, ("usage.used", 900, 0), ("usage.used", 7090, 0),
        ],
    ),
    "a record's period": (
        of(UsageRecord, tokens=750)(period_start=F("period_start") + A_DAY),
        [*[("usage.daily",)] * 4, ("usage.period",)],
    ),
    "what runs": (of(QuotaAccount)(in_flight=3), [("account.in_flight", 3, 1)]),
    "how many entries": (of(QuotaAccount)(entry_seq=22), [("account.entry_seq", 22, 21)]),
    "entries of ends": (
        of(LedgerEntry, kind="settle")(used_delta=F("used_delta") + 1),
        [("bound", 1002, 1000), *[("chain.mac",)] * 4, ("counter.used", 900, 902), ("counter.used", 7090, 7092)],
    ),
    "entries for grants": (
        of(LedgerEntry, kind="hold")(kind="grant"),
        [
            *[("chain.mac",)] * 7, *[("counter.granted", 1, 4)] * 2, ("counter.limit", 1000, None),
            ("grant.given", 2, 1), ("grant.limit", 600, None),
        ],
    ),
    "entries for ends": (
        of(LedgerEntry, kind="hold")(kind="settle"),
        [*[("chain.mac",)] * 7, *[("hold.ends", 1, 0)] * 3, *[("hold.ends", 2, 1)] * 4],
    ),
    "the day's held": (
        of(PlatformCounter, held__gt=0)(held=F("held") + 12),
        [("platform.held", 135_012, 135_000)],
    ),
    "the day's used": (of(PlatformCounter, used__gt=0)(used=F("used") + 13), [("platform.used", 7103, 7090)]),
    "the day": (_drop(PlatformCounter.objects), [("platform.held", 0, 135_000), ("platform.used", 0, 7090)]),
}  # fmt: skip


def shown(difference: Difference) -> tuple[Any, ...]:
    figures = difference.stored, difference.replayed
    numbers = isinstance(difference.stored, int)
    return (difference.what, *figures) if numbers else (difference.what,)


@pytest.mark.sqlite  # the figures are those of one platform row: PostgreSQL keeps a day in eight
def test_the_audit_says_of_each_row_what_it_is_and_what_it_should_be(lived: Purse) -> None:
    for done, (tamper, said) in TAMPERED.items():
        with transaction.atomic():
            tamper(lived)
            found = [*replay(lived.id), *replay_platform()]
            assert sorted(map(shown, found), key=str) == sorted(said, key=str), done
            transaction.set_rollback(True)


@pytest.mark.sqlite  # the figures are those of one platform row: PostgreSQL keeps a day in eight
def test_the_platforms_days_are_looked_at_from_one_on(lived: Purse) -> None:
    PlatformCounter.objects.update(used=F("used") + 1)
    today = PlatformCounter.objects.get().day
    assert [len(replay_platform(day)) for day in (today - A_DAY, today, today + A_DAY)] == [1, 1, 0]
