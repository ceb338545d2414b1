"""The book: what is held, settled and given back, and what a refusal leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances, grants
from quotas.ledger import Book, KeyLimits, Price
from quotas.models import Grant, Hold, LedgerEntry, PlatformCounter, QuotaAccount, QuotaCounter, UsageRecord
from tests.quotas.using import FREE, Purse, charge

pytestmark = pytest.mark.django_db


def snapshot(purse: Purse) -> Any:
    """Every row of the ledger about one account."""
    tables = (QuotaAccount, QuotaCounter, Hold, LedgerEntry, UsageRecord, Grant)
    return [list(table.objects.filter(user_id=purse.id).order_by("pk").values()) for table in tables]


def test_a_hold_covers_the_input_bound_and_the_cap_in_tokens_and_dollars(purse: Purse) -> None:
    (admitted,) = purse.admit(purse.ask(bound=100, cap=1000))
    assert (admitted.max_tokens, admitted.tokens) == (1000, 1100)
    assert admitted.nano_usd == 100 * 150 + 1000 * 600
    assert purse.counter().held == 1100
    assert purse.counter(unit="nano_usd").held == 615_000
    assert purse.differences() == []


def test_settling_replaces_the_hold_by_what_was_used(purse: Purse) -> None:
    (admitted,) = purse.admit()
    assert purse.settle(admitted, 321, 45_678)
    tokens, dollars = purse.counter(), purse.counter(unit="nano_usd")
    assert (tokens.held, tokens.tokens_used, tokens.overrun) == (0, 321, 0)
    assert (dollars.held, dollars.tokens_used, dollars.overrun) == (0, 45_678, 0)
    record = UsageRecord.objects.get(hold_id=admitted.hold_id)
    assert (record.tokens, record.nano_usd, record.user_id) == (321, 45_678, purse.id)
    assert (record.reasoning_tokens, record.cached_tokens) == (0, 0)
    assert Hold.objects.get(pk=admitted.hold_id).safe_bound is None
    assert purse.differences() == []


def test_a_hold_ends_once_whoever_tries(purse: Purse) -> None:
    (admitted,) = purse.admit()
    assert purse.settle(admitted, 300)
    before = snapshot(purse)
    assert not purse.settle(admitted, 999)
    assert not purse.release(admitted)
    assert not purse.orphan(admitted)
    assert snapshot(purse) == before


def test_twice_in_one_book_counts_once(purse: Purse) -> None:
    (admitted,) = purse.admit()
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        assert book.settle(admitted.hold_id, charge(10))
        assert not book.settle(admitted.hold_id, charge(10))
        book.close()
    assert purse.counter().tokens_used == 10
    assert purse.differences() == []


def test_a_release_gives_everything_back(purse: Purse) -> None:
    (admitted,) = purse.admit()
    assert purse.release(admitted)
    assert (purse.counter().held, purse.counter().tokens_used) == (0, 0)
    assert not UsageRecord.objects.filter(hold_id=admitted.hold_id).exists()
    assert QuotaAccount.objects.get(pk=purse.id).in_flight == 0
    assert purse.differences() == []


def test_an_orphan_keeps_its_hold_until_someone_settles_it(purse: Purse) -> None:
    (admitted,) = purse.admit()
    assert purse.orphan(admitted)
    assert purse.counter().held == admitted.tokens
    assert purse.settle(admitted, 50)
    assert (purse.counter().held, purse.counter().tokens_used) == (0, 50)
    assert purse.differences() == []


def test_more_than_was_held_is_recorded_as_overrun_and_counts_in_full(purse: Purse) -> None:
    (admitted,) = purse.admit(purse.ask(bound=100, cap=1000))
    assert purse.settle(admitted, 60_000, 700_000)
    tokens, dollars = purse.counter(), purse.counter(unit="nano_usd")
    assert (tokens.tokens_used, tokens.overrun) == (60_000, 58_900)
    assert (dollars.tokens_used, dollars.overrun) == (700_000, 85_000)
    with pytest.raises(Refusal) as caught:
        purse.admit()
    assert caught.value.code == "quota_exceeded"
    assert purse.differences() == []


def test_a_refusal_changes_nothing(purse: Purse) -> None:
    purse.settle(purse.admit(purse.ask(bound=100, cap=1000))[0], 49_980)
    before = snapshot(purse)
    with pytest.raises(Refusal) as caught:
        purse.admit(purse.ask(bound=5))
    assert snapshot(purse) == before
    limit = (caught.value.details or {})["limit"]
    counter = purse.counter()
    assert limit == {
        "scope": "*",
        "unit": "tokens",
        "limit": 50_000,
        "used": 49_980,
        "held": 0,
        "remaining": 20,
        "reset_at": counter.reset_at.isoformat().replace("+00:00", "Z"),
    }
    left = (counter.reset_at - now()).total_seconds()
    assert caught.value.retry_after is not None
    assert left - 2 <= caught.value.retry_after <= left + 2


def test_a_refused_first_call_leaves_no_counter(newcomer: Purse) -> None:
    with pytest.raises(Refusal):
        newcomer.admit(newcomer.ask(bound=60_000))
    assert not QuotaCounter.objects.filter(user_id=newcomer.id).exists()


def test_asks_of_one_book_see_each_other(purse: Purse) -> None:
    asks = [purse.ask(bound=0, cap=20_000) for _ in range(4)]
    with transaction.atomic():
        book = Book.open([purse.id])
        granted = [book.admit(ask).max_tokens for ask in asks[:3]]
        with pytest.raises(Refusal) as caught:
            book.admit(asks[3])
        book.close()
    assert granted == [20_000, 20_000, 10_000]
    assert caught.value.code == "quota_exceeded"
    assert purse.counter().held == 50_000
    assert purse.differences() == []


def test_what_a_batch_gives_back_is_there_for_its_admissions(purse: Purse) -> None:
    (first,) = purse.admit(purse.ask(bound=0, cap=39_000))
    purse.orphan(first)
    allowances.set_limit(purse.id, "*", {"tokens": 39_000}, "test", "test")
    with transaction.atomic():
        book = Book.open([purse.id], [first.hold_id])
        assert book.release(first.hold_id)
        assert book.admit(purse.ask(bound=0, cap=39_000)).max_tokens == 39_000
        book.close()
    assert purse.differences() == []


def test_a_refusal_in_a_batch_touches_no_other_account(new_purse: Callable[[], Purse]) -> None:
    poor, rich = new_purse(), new_purse()
    allowances.set_limit(poor.id, "*", {"tokens": 10}, "test", "test")
    with transaction.atomic():
        book = Book.open([poor.id, rich.id])
        with pytest.raises(Refusal):
            book.admit(poor.ask())
        admitted = book.admit(rich.ask())
        book.close()
    assert rich.counter().held == admitted.tokens
    assert poor.differences() == []
    assert rich.differences() == []


def test_a_free_model_is_not_stopped_by_a_dollar_limit(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 1000, "nano_usd": 0}, "test", "test")
    (admitted,) = purse.admit(purse.ask(price=FREE))
    assert (admitted.max_tokens, admitted.nano_usd) == (900, 0)


def test_a_free_model_that_is_billed_all_the_same_is_counted(purse: Purse) -> None:
    (admitted,) = purse.admit(purse.ask(price=FREE))
    purse.settle(admitted, 10, 77)
    dollars = purse.counter(unit="nano_usd")
    assert (dollars.tokens_used, dollars.overrun) == (77, 77)
    day = PlatformCounter.objects.get(used__gt=0)
    assert (day.held, day.used, day.overrun) == (0, 77, 77)
    assert purse.differences() == []


def test_a_call_that_fits_to_the_token_is_made_and_one_more_token_is_not(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 116}, "test", "test")
    assert purse.admit(purse.ask(bound=100, cap=1000))[0].max_tokens == 16
    allowances.set_limit(purse.id, "*", {"tokens": 116 + 115}, "test", "test")
    with pytest.raises(Refusal):
        purse.admit(purse.ask(bound=100, cap=1000))


def test_dollars_clamp_the_answer_to_what_they_cover(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": None, "nano_usd": 100 * 150 + 600 * 500 + 599}, "test", "test")
    (admitted,) = purse.admit(purse.ask(bound=100, cap=1000))
    assert admitted.max_tokens == 500
    assert admitted.nano_usd == 100 * 150 + 600 * 500


def test_limits_of_a_key_and_of_a_model_bind_beside_the_plan(purse: Purse) -> None:
    key = KeyLimits(uuid7(), limit_tokens=300)
    assert purse.admit(purse.ask(api_key=key))[0].max_tokens == 200
    with pytest.raises(Refusal) as caught:
        purse.admit(purse.ask(api_key=key))
    assert (caught.value.details or {})["limit"]["scope"] == f"key:{key.id}"
    allowances.set_limit(purse.id, "other/model", {"tokens": 150}, "test", "test")
    assert purse.admit(purse.ask(model_id="other/model"))[0].max_tokens == 50
    with pytest.raises(Refusal) as caught:
        purse.admit(purse.ask(model_id="other/model"))
    assert (caught.value.details or {})["limit"]["scope"] == "other/model"
    assert purse.differences() == []


def test_a_limit_on_a_class_of_models_binds_those_in_it(purse: Purse) -> None:
    allowances.set_limit(purse.id, "class:large", {"tokens": 150}, "test", "test")
    assert purse.admit(purse.ask(model_classes=("large",)))[0].max_tokens == 50
    assert purse.admit(purse.ask())[0].max_tokens == 1000
    assert purse.differences() == []


def test_a_reference_has_one_hold(purse: Purse) -> None:
    ask = purse.ask()
    with transaction.atomic():
        book = Book.open([purse.id])
        book.admit(ask)
        with pytest.raises(ValueError, match="has a hold already"):
            book.admit(ask)


def test_a_reference_has_one_hold_in_whichever_transaction(purse: Purse) -> None:
    ask = purse.ask()
    purse.admit(ask)
    with pytest.raises(IntegrityError):
        purse.admit(ask)
    assert Hold.objects.filter(user_id=purse.id).count() == 1
    assert purse.differences() == []


def test_a_hold_closed_behind_the_books_back_is_not_closed_again(purse: Purse) -> None:
    (admitted,) = purse.admit()
    with pytest.raises(IntegrityError), transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        assert book.settle(admitted.hold_id, charge(10))
        Hold.objects.filter(pk=admitted.hold_id).update(state="released")  # what no lock let happen
        book.close()
    assert (purse.counter().tokens_used, UsageRecord.objects.filter(user_id=purse.id).count()) == (0, 0)


def test_an_account_without_a_person_is_refused() -> None:
    stranger = Purse(User(id=uuid7(), email="nobody@example.com"))
    with pytest.raises(Refusal) as caught:
        stranger.admit()
    assert caught.value.code == "account_disabled"


def test_a_negative_price_or_charge_is_never_taken() -> None:
    with pytest.raises(ValueError, match="negative"):
        Price(None, -1, 0)
    with pytest.raises(ValueError, match="negative"):
        charge(-1)


def test_the_limits_after_a_book_are_those_that_a_reader_sees(purse: Purse) -> None:
    from quotas.reading import limits_json

    (admitted,) = purse.admit()
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id])
        book.settle(admitted.hold_id, charge(123, 456))
        book.close()
        shown = [limit.as_json() for limit in book.limits(purse.id)]
    assert shown == limits_json(purse.id)
    assert [(row["unit"], row["used"], row["held"]) for row in shown] == [("tokens", 123, 0), ("nano_usd", 456, 0)]


def test_sixteen_jobs_of_eight_accounts_take_few_statements(new_purse: Callable[[], Purse]) -> None:
    purses = [new_purse() for _ in range(8)]
    running = {purse: purse.admit()[0] for purse in purses}
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        book = Book.open([purse.id for purse in purses], [each.hold_id for each in running.values()])
        for admitted in running.values():
            assert book.settle(admitted.hold_id, charge(100, 100))
        for purse in purses:
            book.admit(purse.ask())
        book.close()
    statements = [query["sql"] for query in queries.captured_queries]
    assert len(statements) <= 14, "\n".join(each[:90] for each in statements)


def test_a_hold_settles_into_the_period_of_its_admission(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    later = at + timedelta(days=40)
    assert purse.settle(admitted, 500, 9, at=later)
    first = purse.counter(at=at)
    assert (first.held, first.tokens_used) == (0, 500)
    purse.admit(at=later)
    assert purse.counter(at=later).tokens_used == 0
    assert UsageRecord.objects.get(hold_id=admitted.hold_id).period_start == first.period_start
    assert purse.differences() == []


class FailAt:
    """Lets the statement of one number fail, as a database that goes away does."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.seen += 1
        if self.seen == self.number:
            raise OperationalError("gone")
        return execute(sql, params, many, context)


def test_whichever_statement_fails_nothing_is_changed(purse: Purse) -> None:
    grants.grant(purse.id, "pay:one", {"tokens": 500})
    (running,) = purse.admit(purse.ask(bound=0, cap=50_100))
    ask = purse.ask(bound=100, cap=300)

    def both() -> None:
        with transaction.atomic():
            book = Book.open([purse.id], [running.hold_id])
            assert book.settle(running.hold_id, charge(50_050, 70))
            book.admit(ask)
            book.close()

    for number in range(1, 100):
        before = snapshot(purse)
        fault = FailAt(number)
        try:
            with connection.execute_wrapper(fault):
                both()
        except OperationalError:
            assert snapshot(purse) == before
            assert purse.differences() == []
        else:
            break
    assert 10 <= fault.seen < number  # what is read anew after a while is a statement of some rounds alone
    assert purse.differences() == []
