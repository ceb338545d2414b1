"""Limits that come in the middle of a period: what was used and held before counts, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from oneai.kit.clock import now, uuid7
from quotas import allowances, grants
from quotas.ledger import Book, KeyLimits
from quotas.models import Grant, LedgerEntry, QuotaCounter
from quotas.policy import NANO_USD, TOKENS
from tests.quotas.using import Purse, charge

pytestmark = pytest.mark.django_db


def test_a_limit_that_begins_by_time_counts_what_the_same_book_has_settled(purse: Purse) -> None:
    at = now()
    allowances.set_limit(
        purse.id, "maker/model", {TOKENS: 1000, NANO_USD: 10**9}, "test", "test", starts=at + timedelta(hours=1)
    )
    mine, open_, other = purse.admit(
        purse.ask(bound=0, cap=300), purse.ask(bound=0, cap=40), purse.ask(bound=0, cap=200, model_id="other/model")
    )
    later = at + timedelta(hours=2)
    with transaction.atomic():
        book = Book.open([purse.id], [mine.hold_id, other.hold_id], later)
        assert book.settle(mine.hold_id, charge(250, 9))
        assert book.settle(other.hold_id, charge(100, 5))
        assert book.admit(purse.ask(bound=0, cap=9000)).max_tokens == 1000 - 250 - 40
        book.close()
    counter = purse.counter("maker/model", at=later)
    assert (counter.tokens_used, counter.held) == (250, 750)
    dollars = purse.counter("maker/model", NANO_USD, at=later)
    assert (dollars.tokens_used, dollars.held) == (9, 750 * 600)
    assert purse.settle(open_, 40, at=later)
    assert purse.differences() == []


def test_a_limit_in_dollars_begins_with_the_dollars_of_the_model_and_with_none_of_a_class(purse: Purse) -> None:
    purse.settle(purse.admit(purse.ask(model_classes=("small",)))[0], 400, 77)
    (running,) = purse.admit(purse.ask(model_classes=("small",)))
    limits = {TOKENS: 10**6, NANO_USD: 10**9}
    for scope in ("maker/model", "other/model", "class:small"):
        allowances.set_limit(purse.id, scope, limits, "test", "test")
    found = {
        (row.model_id, row.unit): (row.tokens_used, row.held)
        for row in QuotaCounter.objects.filter(user_id=purse.id).exclude(model_id="*")
    }
    assert found == {
        ("maker/model", TOKENS): (400, running.tokens),
        ("maker/model", NANO_USD): (77, running.nano_usd),
        ("other/model", TOKENS): (0, 0),
        ("other/model", NANO_USD): (0, 0),
        ("class:small", TOKENS): (0, 0),
        ("class:small", NANO_USD): (0, 0),
    }
    assert purse.differences() == []


def test_a_limit_in_tokens_alone_counts_no_dollars(purse: Purse) -> None:
    allowances.set_limit(purse.id, "maker/model", {TOKENS: 1000}, "test", "test")
    purse.admit(purse.ask(bound=0, cap=10))
    assert not QuotaCounter.objects.filter(user_id=purse.id, model_id="maker/model", unit=NANO_USD).exists()


def test_a_key_s_budget_that_comes_late_counts_what_the_key_has_used_and_holds(purse: Purse) -> None:
    key, other = uuid7(), uuid7()
    purse.settle(purse.admit(purse.ask(api_key=KeyLimits(key)))[0], 400)
    purse.settle(purse.admit(purse.ask(api_key=KeyLimits(other)))[0], 60)
    purse.settle(purse.admit()[0], 7)
    purse.admit(purse.ask(bound=0, cap=100, api_key=KeyLimits(key)))
    limited = KeyLimits(key, limit_tokens=1000, limit_nano_usd=10**9)
    assert purse.admit(purse.ask(bound=0, cap=9000, api_key=limited))[0].max_tokens == 500
    assert purse.counter(limited.scope).tokens_used == 400
    assert purse.differences() == []


def test_a_new_plan_leaves_the_budgets_of_keys_and_names_itself_once_for_each_limit(purse: Purse) -> None:
    key = KeyLimits(uuid7(), limit_tokens=5000)
    allowances.set_limit(purse.id, "maker/model", {TOKENS: 9000}, "test", "test")
    purse.admit(purse.ask(api_key=key))
    adjusted = LedgerEntry.objects.filter(user_id=purse.id, kind="adjust")
    before = set(adjusted.values_list("pk", flat=True))
    (override,) = allowances.set_limit(purse.id, "*", {TOKENS: 40_000}, "test", "test")
    made = adjusted.exclude(pk__in=before)
    assert sorted((entry.counter_id, entry.limit_after, entry.source_key) for entry in made) == sorted(
        [
            (purse.counter().pk, 40_000, f"override:{override.pk}"),
            (purse.counter(unit=NANO_USD).pk, None, f"override:{override.pk}"),
        ]
    )
    assert purse.counter(key.scope).quota_limit == 5000
    assert purse.differences() == []


def test_what_a_call_does_not_move_is_not_written(purse: Purse) -> None:
    grants.grant(purse.id, "pay:one", {TOKENS: 500})
    allowances.set_limit(purse.id, "other/model", {TOKENS: 500}, "test", "test")
    purse.admit()
    with CaptureQueriesContext(connection) as captured:
        purse.admit()
    sent = [query["sql"] for query in captured.captured_queries]
    assert not [sql for sql in sent if sql.startswith(f"UPDATE {Grant._meta.db_table} ")]
    (counters,) = [sql for sql in sent if sql.startswith(f"UPDATE {QuotaCounter._meta.db_table} ")]
    assert str(purse.counter("other/model").pk).replace("-", "") not in counters.replace("-", "")


def test_who_has_a_plan_of_their_own_leaves_others_in_the_book_the_default(purse: Purse, newcomer: Purse) -> None:
    allowances.assign(purse.id, "own", [{"scope": "*", "unit": TOKENS, "limit": 100}], {}, ["*"], "test")
    with transaction.atomic():
        book = Book.open([purse.id, newcomer.id])
        assert book.admit(purse.ask(bound=0, cap=5000)).max_tokens == 100
        assert book.admit(newcomer.ask(bound=0, cap=5000)).max_tokens == 5000
        book.close()


def test_a_hold_is_closed_under_the_lock_of_its_own_account(purse: Purse, newcomer: Purse) -> None:
    (admitted,) = purse.admit()
    with pytest.raises(ValueError, match="was not opened"), transaction.atomic():
        Book.open([newcomer.id], [admitted.hold_id]).settle(admitted.hold_id, charge(1))
    assert purse.counter().held == admitted.tokens
