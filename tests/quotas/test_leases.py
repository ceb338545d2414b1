"""Signs of life and claims of what was left behind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from oneai.kit.clock import now
from quotas.ledger import STALE_AFTER, claim_due, heartbeat, still_open
from quotas.models import Hold
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=30)


def test_a_silent_producer_is_claimed_once_for_the_lease(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    assert claim_due(at + STALE_AFTER, 10, LEASE) == []
    late = at + STALE_AFTER + timedelta(seconds=1)
    (due,) = claim_due(late, 10, LEASE)
    assert (due.id, due.user_id, due.checks) == (admitted.hold_id, purse.id, 1)
    assert claim_due(late, 10, LEASE) == []
    (again,) = claim_due(late + LEASE, 10, LEASE)
    assert (again.id, again.checks) == (admitted.hold_id, 2)


def test_a_producer_that_lives_is_left_alone(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    heartbeat([admitted.hold_id], at + timedelta(seconds=10))
    assert claim_due(at + timedelta(seconds=20), 10, LEASE) == []


def test_an_orphan_is_due_when_its_time_has_come(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    purse.orphan(admitted, at=at + timedelta(seconds=5))
    assert claim_due(at + timedelta(seconds=4), 10, LEASE) == []
    assert [due.id for due in claim_due(at + timedelta(seconds=5), 10, LEASE)] == [admitted.hold_id]


def test_what_is_closed_is_neither_claimed_nor_kept_alive(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    purse.settle(admitted, 10, at=at)
    before = Hold.objects.get(pk=admitted.hold_id).heartbeat_at
    heartbeat([admitted.hold_id], at + timedelta(seconds=60))
    assert Hold.objects.get(pk=admitted.hold_id).heartbeat_at == before
    assert claim_due(at + timedelta(hours=1), 10, LEASE) == []


def test_a_claim_takes_no_more_than_asked_for_and_the_oldest_first(purse: Purse) -> None:
    at = now()
    made = [purse.admit(at=at + timedelta(seconds=index))[0].hold_id for index in range(4)]
    late = at + timedelta(minutes=1)
    assert {due.id for due in claim_due(late, 2, LEASE)} == set(made[:2])
    assert {due.id for due in claim_due(late, 9, LEASE)} == set(made[2:])


def test_what_is_silent_and_what_is_to_be_checked_are_claimed_together_or_apart(purse: Purse) -> None:
    at = now()
    (silent,), (checked,), (closed,) = purse.admit(at=at), purse.admit(at=at), purse.admit(at=at)
    purse.orphan(checked, at=at)
    purse.settle(closed, 10, at=at)
    assert still_open([silent.hold_id, checked.hold_id, closed.hold_id]) == {silent.hold_id, checked.hold_id}
    late = at + timedelta(minutes=1)
    assert [due.id for due in claim_due(late, 9, LEASE, checked=False)] == [silent.hold_id]
    assert [due.id for due in claim_due(late, 9, LEASE, silent=False)] == [checked.hold_id]
    assert {due.id for due in claim_due(late + LEASE, 9, LEASE)} == {silent.hold_id, checked.hold_id}


def test_a_producer_that_was_only_paused_may_still_settle_and_the_claimant_then_not(purse: Purse) -> None:
    at = now()
    (admitted,) = purse.admit(at=at)
    claim_due(at + timedelta(minutes=1), 1, LEASE)
    assert purse.settle(admitted, 40)
    assert not purse.settle(admitted, 70)
    assert purse.counter().tokens_used == 40
    assert purse.differences() == []
