"""What a call writes, row by row, what of it is shown, and what no row may be given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from oneai.kit import clock
from quotas import allowances, grants, records
from quotas.allowances import InvalidTerms
from quotas.models import Grant, Hold, LedgerEntry, QuotaCounter, UsageRecord
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def test_every_row_of_a_call_is_written_as_it_was_decided(purse: Purse) -> None:
    with transaction.atomic():
        allowances.set_limit(purse.id, PLAN_WIDE, {TOKENS: 5000, NANO_USD: 10**9}, "test", "test")
    Grant.objects.all().delete(), QuotaCounter.objects.all().delete()
    (admitted,) = purse.admit(purse.ask(bound=100, cap=400))
    nano = 100 * 150 + 400 * 600
    counters = {row.unit: row for row in QuotaCounter.objects.all()}
    for unit, limit, held in ((TOKENS, 5000, 500), (NANO_USD, 10**9, nano)):
        row = counters[unit]
        assert (row.quota_limit, row.tokens_used, row.held, row.overrun, row.team_id, row.api_key_id) == (
            limit, 0, held, 0, None, None,
        )  # fmt: skip
        grant = Grant.objects.get(unit=unit)
        assert (grant.amount, grant.consumed, grant.held, grant.refunded, grant.priority, grant.kind, grant.note) == (
            limit, 0, 0, 0, 0, "plan", "",
        )  # fmt: skip
        assert (grant.valid_from, grant.valid_until) == (row.period_start, row.reset_at)
    hold = Hold.objects.get()
    assert (hold.max_tokens, hold.tokens, hold.nano_usd, hold.checks, hold.state) == (400, 500, nano, 0, "held")
    assert (hold.closed_at, hold.grant_lines, hold.extensions, hold.check_at) == (None, None, None, None)
    assert hold.lines == {str(counters[TOKENS].pk): 500, str(counters[NANO_USD].pk): nano}
    assert purse.settle(admitted, 450, 99)
    assert purse.correct(admitted, 40, 9)
    assert purse.correct(admitted, 41, 9)
    record = UsageRecord.objects.get()
    assert (record.tokens, record.nano_usd, record.corrections) == (41, 9, 2)
    assert Hold.objects.get().closed_at is not None
    last = LedgerEntry.objects.filter(counter_id=counters[TOKENS].pk).order_by("seq").values_list(
        "kind", "held_delta", "used_delta", "overrun_delta", "limit_after"
    )  # fmt: skip
    assert list(last) == [
        ("grant", 0, 0, 0, 5000), ("hold", 500, 0, 0, None), ("settle", -500, 450, 0, None),
        ("reconcile", 0, -410, 0, None), ("reconcile", 0, 1, 0, None),
    ]  # fmt: skip


def test_what_is_given_ends_after_it_begins(purse: Purse) -> None:
    begins = clock.now() + DAY
    limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 5}]
    with transaction.atomic():
        for until in (begins, begins - SECOND):
            with pytest.raises(InvalidTerms):
                grants.grant(purse.id, "pay:1", {TOKENS: 1}, starts=begins, until=until)
            with pytest.raises(InvalidTerms):
                allowances.assign(purse.id, "p", limits, {}, ["*"], "test", starts=begins, until=until)
            with pytest.raises(InvalidTerms):
                allowances.set_limit(purse.id, "*", {TOKENS: 5}, "why", "who", starts=begins, until=until)
        later = begins + timedelta(microseconds=1)
        assert grants.grant(purse.id, "pay:1", {TOKENS: 1}, starts=begins, until=later).new
        assert allowances.assign(purse.id, "p", limits, {}, ["*"], "test", starts=begins, until=later).until == later
        for scope, known in (("m" * 200, True), ("m" * 201, False), ("", False), (" ", False), ("key:x", False)):
            if known:
                assert allowances.set_limit(purse.id, scope, {TOKENS: 2**63 - 1}, "why", "who")
            else:
                with pytest.raises(InvalidTerms):
                    allowances.set_limit(purse.id, scope, {TOKENS: 5}, "why", "who")
        for rate, fits in ((2**31 - 1, True), (2**31, False), (0, True), (-1, False), (True, False)):
            if fits:
                assert allowances.check_rates({"tokens_per_minute": rate}) == {"tokens_per_minute": rate}
            else:
                with pytest.raises(InvalidTerms):
                    allowances.check_rates({"tokens_per_minute": rate})
        with pytest.raises(InvalidTerms):
            allowances.check_amount("tokens", 2**63)


def test_a_call_shows_what_was_left_of_each_limit_before_it_and_after(small: Purse) -> None:
    with transaction.atomic():
        allowances.set_limit(small.id, "maker/model", {TOKENS: 5000, NANO_USD: 10**6}, "test", "test")
        grants.grant(small.id, "pay:1", {TOKENS: 600})
    assert small.settle(small.admit(small.ask(bound=50, cap=50))[0], 80, 10)
    (admitted,) = small.admit(small.ask(bound=100, cap=1100))
    running = Hold.objects.get(pk=admitted.hold_id)
    before = records.balances(running, records.entries_of([running])[running.pk])
    assert [row["charged"] for row in before] == [0] * 5
    assert small.settle(admitted, 1000, 77)
    hold = Hold.objects.get(pk=admitted.hold_id)
    entries = records.entries_of([hold])[hold.pk]
    rows = records.balances(hold, entries)
    assert [
        (row["scope"], row["unit"], row["top_up"], row["limit"], row["held"], row["charged"], row["balance_before"],
         row["balance_after"]) for row in rows
    ] == [
        ("*", TOKENS, False, 1000, 920, 920, 920, 0),
        ("*", TOKENS, True, 600, 280, 80, 600, 520),
        ("*", NANO_USD, False, None, 675_000, 77, None, None),
        ("maker/model", TOKENS, False, 5000, 1200, 1000, 4920, 3920),
        ("maker/model", NANO_USD, False, 10**6, 675_000, 77, 999_990, 999_913),
    ]  # fmt: skip
    shown = records.entries_json(hold, entries)
    assert [(row["kind"], row["top_up"], row["held"]) for row in shown if row["top_up"]] == [
        ("hold", True, 280), ("settle", True, -280),
    ]  # fmt: skip
