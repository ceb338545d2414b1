"""What is owed for a top-up that was taken back, and what pays it: to the unit, and nothing that is not there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from oneai.kit import clock
from oneai.kit.clock import now
from quotas import allowances, grants
from quotas.ledger import Book
from quotas.models import LedgerEntry
from tests.quotas.test_grants import state
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
DEBT = "refund:rfnd_1"


def paid() -> list[int]:
    """What each entry has moved to pay the debt, in their order; the last is the debt's own."""
    entries = LedgerEntry.objects.filter(source_key=f"debt:{DEBT}", kind="reconcile").order_by("seq")
    return list(entries.values_list("used_delta", flat=True))


def owing(purse: Purse, given: int) -> None:
    """Use up the period's quota and a top-up of ``given`` tokens, which is then taken back."""
    grants.grant(purse.id, "pay:one", {"tokens": given})
    purse.settle(purse.admit(purse.ask(bound=0, cap=1000 + given))[0], 1000 + given)
    assert grants.refund("pay:one", "rfnd_1").owed == {"tokens": given}


def test_a_used_up_plan_pays_nothing_and_writes_nothing(small: Purse) -> None:
    owing(small, 500)
    assert (small.counter().tokens_used, state(DEBT), paid()) == (1000, (0, 0, 0), [])
    assert small.differences() == []


def test_the_new_period_pays_first_then_the_top_ups_in_order_and_those_after_keep_theirs(small: Purse) -> None:
    owing(small, 1500)
    starts = now() + timedelta(days=30)
    for key, amount in (("pay:two", 499), ("pay:three", 50), ("pay:four", 50)):
        grants.grant(small.id, key, {"tokens": amount}, starts=starts)
    assert paid() == [], "what begins later pays later"
    later = now() + timedelta(days=40)
    assert small.admit(small.ask(bound=0, cap=5000), at=later)[0].max_tokens == 49 + 50
    assert small.counter(at=later).tokens_used == 1000
    assert (state("pay:two"), state("pay:three"), state("pay:four")) == ((499, 0, 0), (1, 49, 0), (0, 50, 0))
    assert (state(DEBT), paid()) == ((1500, 0, 0), [1000, 499, 1, 1500])
    assert small.differences() == []


def test_a_period_that_has_not_begun_pays_when_it_begins(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1200))[0], 1200)
    with clock.travel(timedelta(days=40)):
        assert grants.refund("pay:one", "rfnd_1").owed == {"tokens": 200}
        assert (state(DEBT), paid()) == ((0, 0, 0), [])
        assert small.admit(small.ask(bound=0, cap=5000))[0].max_tokens == 800
        assert paid() == [200, 200]
    assert small.differences() == []


def test_an_unlimited_plan_pays_nothing_and_is_stopped_by_nothing(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1200))[0], 1200)
    allowances.set_limit(small.id, "*", {"tokens": None}, "test", "test")
    grants.refund("pay:one", "rfnd_1")
    assert (state(DEBT), paid()) == ((0, 0, 0), [])
    assert small.admit(small.ask(bound=0, cap=5000))[0].max_tokens == 5000
    assert small.differences() == []


def test_the_longest_names_are_kept_and_longer_ones_cut(small: Purse) -> None:
    allowances.set_limit(small.id, "*", {"nano_usd": 100}, "test", "test")
    grants.grant(small.id, "pay:one", {"nano_usd": 1000})
    small.settle(small.admit(small.ask(bound=0, cap=1))[0], 1, 600)
    longest = "r" * 160
    assert grants.refund("pay:one", longest).owed == {"nano_usd": 500}
    grants.grant(small.id, "pay:two", {"nano_usd": 50})
    entries = LedgerEntry.objects.filter(user_id=small.id, source_key=f"debt:refund:{longest}#nano_usd")
    assert [entry.used_delta for entry in entries] == [50, 50]
    assert grants.forgive(small.id, "b" * 300) == {"nano_usd": 450}
    assert LedgerEntry.objects.get(user_id=small.id, kind="adjust", limit_after=50).source_key == (
        "forgiven:" + "b" * 191
    )
    assert small.differences() == []


def test_a_call_on_a_top_up_alone_gives_all_of_it_back(small: Purse) -> None:
    small.settle(small.admit(small.ask(bound=0, cap=1000))[0], 1000)
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (admitted,) = small.admit(small.ask(bound=0, cap=300))
    assert state("pay:one") == (0, 300, 0)
    small.release(admitted)
    assert state("pay:one") == (0, 0, 0)
    assert small.differences() == []


def test_top_ups_of_two_accounts_in_one_book_are_each_one_s_own(small: Purse, newcomer: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    grants.grant(newcomer.id, "pay:two", {"tokens": 70})
    allowances.assign(newcomer.id, "own", [{"scope": "*", "unit": "tokens", "limit": 100}], {}, ["*"], "test")
    with transaction.atomic():
        book = Book.open([small.id, newcomer.id])
        assert book.admit(small.ask(bound=0, cap=5000)).max_tokens == 1500
        assert book.admit(newcomer.ask(bound=0, cap=5000)).max_tokens == 170
        book.close()
    assert (state("pay:one"), state("pay:two")) == ((0, 500, 0), (0, 70, 0))
    assert small.differences() == [] == newcomer.differences()
