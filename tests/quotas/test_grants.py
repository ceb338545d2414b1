"""Top-ups: what they add, in which order they are used, and what a refund leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances, grants
from quotas.ledger import Book
from quotas.models import Grant, LedgerEntry, QuotaAccount
from quotas.reading import standing, statement
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
SOON = now() + timedelta(days=1)


def state(source_key: str) -> tuple[int, int, int]:
    """(used, held, taken back)."""
    row = Grant.objects.get(source_key=source_key)
    return row.consumed, row.held, row.refunded


def test_a_top_up_is_used_once_the_plan_is(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (admitted,) = small.admit(small.ask(bound=0, cap=1300))
    assert admitted.remaining_tokens == 200
    assert (small.counter().held, state("pay:one")) == (1000, (0, 300, 0))
    assert small.differences() == []
    small.settle(admitted, 1100)
    assert (small.counter().tokens_used, state("pay:one")) == (1000, (100, 0, 0))
    assert small.differences() == []
    assert small.admit(small.ask(bound=0, cap=900))[0].max_tokens == 400
    with pytest.raises(Refusal) as caught:
        small.admit()
    limit = (caught.value.details or {})["limit"]
    assert (limit["limit"], limit["used"], limit["remaining"]) == (1000, 1000, 0)
    assert small.differences() == []


def test_what_the_plan_has_free_at_the_end_spares_the_top_up(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (first,) = small.admit(small.ask(bound=0, cap=1000))
    (second,) = small.admit(small.ask(bound=0, cap=400))
    assert state("pay:one") == (0, 400, 0)
    small.settle(first, 700)
    small.settle(second, 400)
    assert (small.counter().tokens_used, state("pay:one")) == (1000, (100, 0, 0))
    assert small.differences() == []


def test_they_are_used_by_priority_then_by_their_end(small: Purse) -> None:
    soon, late = now() + timedelta(days=2), now() + timedelta(days=9)
    grants.grant(small.id, "pay:forever", {"tokens": 100})
    grants.grant(small.id, "pay:late", {"tokens": 100}, until=late)
    grants.grant(small.id, "pay:soon", {"tokens": 100}, until=soon)
    grants.grant(small.id, "admin:first", {"tokens": 100}, priority=-1, until=late)
    for used, expected in ((1050, "admin:first"), (100, "pay:soon"), (100, "pay:late"), (100, "pay:forever")):
        small.settle(small.admit(small.ask(bound=0, cap=used))[0], used)
        assert state(expected)[0] == 50
    assert [state(key)[0] for key in ("admin:first", "pay:soon", "pay:late")] == [100, 100, 100]
    assert small.differences() == []


def test_a_released_call_gives_the_top_up_back(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (admitted,) = small.admit(small.ask(bound=0, cap=1500))
    assert QuotaAccount.objects.get(pk=small.id).has_grants
    assert state("pay:one") == (0, 500, 0)
    small.release(admitted)
    assert state("pay:one") == (0, 0, 0)
    assert small.admit(small.ask(bound=0, cap=1500))[0].max_tokens == 1500
    assert small.differences() == []


def test_an_overrun_is_the_plans(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (admitted,) = small.admit(small.ask(bound=0, cap=1200))
    small.settle(admitted, 1700)
    counter = small.counter()
    assert (counter.tokens_used, counter.overrun, state("pay:one")) == (1500, 500, (200, 0, 0))
    assert small.differences() == []


def test_it_begins_and_ends_by_time_alone(small: Purse) -> None:
    at = now()
    small.settle(small.admit(small.ask(bound=0, cap=1000))[0], 1000)
    grants.grant(small.id, "pay:one", {"tokens": 500}, starts=at + timedelta(hours=1), until=at + timedelta(hours=2))
    with pytest.raises(Refusal):
        small.admit()
    (held,) = small.admit(small.ask(bound=0, cap=300), at=at + timedelta(hours=1))
    with pytest.raises(Refusal):
        small.admit(at=at + timedelta(hours=2))
    small.settle(held, 250, at=at + timedelta(hours=3))
    assert state("pay:one") == (250, 0, 0)
    assert standing(small.id, at + timedelta(hours=3)).grants == []
    assert small.differences() == []


def test_it_outlives_the_period(small: Purse) -> None:
    at = now()
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1100))[0], 1100)
    later = at + timedelta(days=40)
    assert small.admit(small.ask(bound=0, cap=5000), at=later)[0].max_tokens == 1400
    assert small.differences() == []


def test_a_cause_gives_once(small: Purse, new_purse: Callable[[], Purse]) -> None:
    first = grants.grant(small.id, "pay:one", {"tokens": 500, "nano_usd": 7})
    again = grants.grant(small.id, "pay:one", {"tokens": 900})
    assert (first.new, again.new) == (True, False)
    assert first.amounts == again.amounts == {"tokens": 500, "nano_usd": 7}
    assert Grant.objects.filter(kind="extra").count() == 2
    with pytest.raises(allowances.InvalidTerms, match="another account"):
        grants.grant(new_purse().id, "pay:one", {"tokens": 500})
    assert small.differences() == []


def test_nobody_is_no_account() -> None:
    with pytest.raises(allowances.InvalidTerms, match="no such account"):
        grants.grant(uuid7(), "pay:one", {"tokens": 500})


@pytest.mark.parametrize(
    ("key", "amounts", "more"),
    [
        ("period:1", {"tokens": 5}, {}),
        ("pay:", {"tokens": 5}, {}),
        ("pay:" + "x" * 170, {"tokens": 5}, {}),
        ("pay:1", {}, {}),
        ("pay:1", {"rupees": 5}, {}),
        ("pay:1", {"tokens": 0}, {}),
        ("pay:1", {"tokens": -1}, {}),
        ("pay:1", {"tokens": True}, {}),
        ("pay:1", {"tokens": 5}, {"scope": "key:1"}),
        ("pay:1", {"tokens": 5}, {"until": now() - timedelta(days=1)}),
        ("pay:1", {"tokens": 5}, {"starts": SOON, "until": SOON}),
    ],
)
def test_what_can_not_be_kept_is_refused(small: Purse, key: str, amounts: dict[str, int], more: dict[str, Any]) -> None:
    with pytest.raises(allowances.InvalidTerms):
        grants.grant(small.id, key, amounts, **more)
    assert not Grant.objects.filter(kind="extra").exists()


def test_a_top_up_of_a_model_is_that_models(small: Purse) -> None:
    allowances.set_limit(small.id, "maker/model", {"tokens": 100}, "test", "test")
    grants.grant(small.id, "pay:one", {"tokens": 300}, scope="maker/model")
    assert small.admit(small.ask(bound=0, cap=1000))[0].max_tokens == 400
    assert (small.counter().held, small.counter("maker/model").held) == (400, 100)
    assert small.differences() == []


def test_dollars_are_topped_up_beside_tokens(small: Purse) -> None:
    allowances.set_limit(small.id, "*", {"tokens": 1000, "nano_usd": 600_000}, "test", "test")
    grants.grant(small.id, "pay:one", {"tokens": 1000, "nano_usd": 300_000})
    (admitted,) = small.admit(small.ask(bound=0, cap=5000))
    assert (admitted.max_tokens, admitted.nano_usd) == (1500, 900_000)
    small.settle(admitted, 1200, 700_000)
    assert (state("pay:one"), state("pay:one#nano_usd")) == ((200, 0, 0), (100_000, 0, 0))
    assert small.differences() == []


def test_dollars_go_with_tokens_as_they_do_in_the_plan(newcomer: Purse) -> None:
    assert grants.in_proportion(standing(newcomer.id).terms, 100) == 500_000
    allowances.set_limit(newcomer.id, "*", {"tokens": 10}, "test", "test")
    assert grants.in_proportion(standing(newcomer.id).terms, 100) is None


# Refunds -----------------------------------------------------------------------------------------
def test_what_is_unspent_is_taken_back_and_the_rest_is_owed(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1200))[0], 1200)
    back = grants.refund("pay:one", "rfnd_1")
    assert (back.new, back.taken, back.owed) == (True, {"tokens": 300}, {"tokens": 200})
    assert state("pay:one") == (200, 0, 300)
    assert not grants.refund("pay:one", "rfnd_1").new
    assert grants.refund("pay:one", "rfnd_2").owed == {"tokens": 0}
    with pytest.raises(Refusal):
        small.admit()
    assert small.differences() == []


def test_what_is_owed_is_made_good_by_the_next_period(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1200))[0], 1200)
    grants.refund("pay:one", "rfnd_1")
    later = now() + timedelta(days=40)
    assert small.admit(small.ask(bound=0, cap=5000), at=later)[0].max_tokens == 800
    assert small.counter(at=later).tokens_used == 200
    assert state("refund:rfnd_1") == (200, 0, 0)
    after = later + timedelta(days=40)
    assert small.admit(small.ask(bound=0, cap=5000), at=after)[0].max_tokens == 1000
    assert not QuotaAccount.objects.get(pk=small.id).has_grants
    assert small.differences() == []


def test_what_is_owed_is_taken_from_what_is_free_at_once(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1200))[0], 1200)
    allowances.set_limit(small.id, "*", {"tokens": 1150}, "test", "test")
    grants.refund("pay:one", "rfnd_1")
    assert small.counter().tokens_used == 1150
    grants.grant(small.id, "pay:two", {"tokens": 80})
    assert (state("refund:rfnd_1"), state("pay:two")) == ((200, 0, 0), (50, 0, 0))
    assert small.admit(small.ask(bound=0, cap=100))[0].max_tokens == 30
    assert small.differences() == []


def test_what_runs_at_the_refund_is_owed_until_it_ends(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    (running,) = small.admit(small.ask(bound=0, cap=1400))
    assert grants.refund("pay:one", "rfnd_1").owed == {"tokens": 400}
    small.settle(running, 100)
    # 900 of the plan and 400 of the top-up are free again; 400 are owed.
    assert small.admit(small.ask(bound=0, cap=5000))[0].max_tokens == 900
    assert small.differences() == []


def test_a_refund_in_part_takes_its_part_back(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 501, "nano_usd": 100})
    assert grants.refund("pay:one", "rfnd_1", 1, 2).taken == {"tokens": 250, "nano_usd": 50}
    assert grants.refund("pay:one", "rfnd_2").taken == {"tokens": 251, "nano_usd": 50}
    assert small.differences() == []


def test_a_debt_can_be_forgiven_by_name(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.settle(small.admit(small.ask(bound=0, cap=1500))[0], 1500)
    grants.refund("pay:one", "rfnd_1")
    assert statement(small.id)["owed"] == [{"scope": "*", "unit": "tokens", "amount": 500}]
    assert grants.forgive(small.id, "ada") == {"tokens": 500}
    assert "owed" not in statement(small.id)
    entry = LedgerEntry.objects.get(user_id=small.id, source_key="forgiven:ada")
    assert (entry.kind, entry.limit_after) == ("adjust", 0)
    later = now() + timedelta(days=40)
    assert small.admit(small.ask(bound=0, cap=5000), at=later)[0].max_tokens == 1000
    assert small.differences() == []


@pytest.mark.parametrize(("key", "refunded", "paid"), [("pay:none", 1, 1), ("pay:one", 0, 1), ("pay:one", 2, 1)])
def test_a_refund_that_does_not_fit_is_refused(small: Purse, key: str, refunded: int, paid: int) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    with pytest.raises(allowances.InvalidTerms):
        grants.refund(key, "rfnd_1", refunded, paid)


# Seen --------------------------------------------------------------------------------------------
def test_people_see_their_top_ups(purse: Purse, client: Client) -> None:
    until = now() + timedelta(days=30)
    grants.grant(purse.id, "admin:1", {"tokens": 500}, until=until, note="for your patience")
    purse.admit(purse.ask(bound=0, cap=20_000), purse.ask(bound=0, cap=20_000))
    purse.admit(purse.ask(bound=0, cap=10_100))
    client.force_login(purse.user)
    body = client.get("/api/user/quota").json()
    (top_up,) = body["topups"]
    assert top_up["id"]
    assert {name: top_up[name] for name in ("cause", "scope", "unit", "amount", "used", "held", "remaining")} == {
        "cause": "admin",
        "scope": "*",
        "unit": "tokens",
        "amount": 500,
        "used": 0,
        "held": 100,
        "remaining": 400,
    }
    assert (top_up["expires_at"], top_up["note"]) == (until.isoformat().replace("+00:00", "Z"), "for your patience")
    assert (body["limits"][0]["held"], body["limits"][0]["remaining"]) == (50_000, 400)


def test_who_has_none_costs_no_statement_and_who_has_some_costs_two(new_purse: Callable[[], Purse]) -> None:
    def statements(purse: Purse) -> int:
        purse.release(purse.admit()[0])  # the period's rows are made
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            book = Book.open([purse.id])
            book.admit(purse.ask(bound=0, cap=50_100))
            book.close()
        return len(queries)

    plain, topped = new_purse(), new_purse()
    grants.grant(topped.id, "pay:one", {"tokens": 500})
    assert statements(topped) - statements(plain) == 2


def test_a_top_up_changed_behind_the_ledgers_back_shows(small: Purse) -> None:
    grants.grant(small.id, "pay:one", {"tokens": 500})
    small.admit(small.ask(bound=0, cap=1200))
    assert small.differences() == []
    Grant.objects.filter(source_key="pay:one").update(amount=900)
    assert [each.what for each in small.differences()] == ["grant.limit"]
    Grant.objects.filter(source_key="pay:one").update(amount=500, held=0)
    assert {each.what for each in small.differences()} == {"grant.held", "holds.of_grant"}
