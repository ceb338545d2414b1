"""The events of one cycle in every order, and none of them at all: what is left in the end is the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from accounts.models import User
from billing import invoices
from billing.models import Difference, Subscription
from tests.billing import books
from tests.billing.world import World, dead, state

SAMPLE = 60
SWEPT_EVERY = 50  # orders


def _first(world: World, row: Subscription) -> None:
    world.pay(row)


def _renewed(world: World, row: Subscription) -> None:
    world.pay(row)
    world.hear()
    world.pass_time(days=31)


def _renewed_at_last(world: World, row: Subscription) -> None:
    """The renewal fails, and comes through when it is tried again a day later."""
    world.pay(row)
    world.hear()
    world.walk(row, "outcomes", next=[False, True])
    world.pass_time(days=33)


CYCLES: dict[str, tuple[Callable[[World, Subscription], None], int]] = {
    "a first payment": (_first, 7),
    "a renewal": (_renewed, 5),
    "a renewal that failed at first": (_renewed_at_last, 8),
}


class Burst:
    """A cycle's events at a Razorpay that stands still; whatever is made of them can be undone."""

    def __init__(self, world: World, cycle: str) -> None:
        happen, count = CYCLES[cycle]
        self.world, self.user = world, world.person()
        happen(world, world.subscribe(self.user))
        self.events = world.events()
        assert len(self.events) == count, [each["event"] for each in self.events]

    @contextmanager
    def undone(self) -> Iterator[None]:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    def outcome(self, events: list[dict[str, Any]]) -> Any:
        """What it comes to when these events are heard, in this order."""
        with self.undone():
            self.world.hear(events)
            assert not dead()
            return self._facts()

    def outcome_of_reconciling(self) -> Any:
        """What it comes to when none is heard and the reconciler passes once."""
        with self.undone():
            report = self.world.reconcile()
            assert report.repaired and not report.failed
            assert Difference.objects.exclude(repaired_at=None).exists()
            return self._facts()

    def _facts(self) -> Any:
        invoices.issue_missing()
        assert not books.disagreements()
        return state(User.objects.get(pk=self.user.pk))


def _orders(events: list[dict[str, Any]], full: bool) -> Iterator[tuple[dict[str, Any], ...]]:
    if full and len(events) <= 7:
        yield from itertools.permutations(events)
        return
    chance = random.Random(7)
    for _ in range(1000 if full else SAMPLE // len(CYCLES)):
        yield tuple(chance.sample(events, len(events)))


def _sweep() -> None:
    """Let PostgreSQL forget the rows that were undone, through which each search goes otherwise.

    What a savepoint undid is dead at once, though the transaction around all of them goes on.
    """
    if connection.vendor == "postgresql":
        told = connection.get_connection_params()
        names = {name: told[name] for name in ("host", "port", "user", "password", "dbname") if name in told}
        with psycopg.connect(**names, autocommit=True) as other:
            other.execute("VACUUM")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("cycle", CYCLES)
def test_the_events_of_a_cycle_come_to_the_same_in_every_order(world: World, cycle: str, full: bool) -> None:
    burst = Burst(world, cycle)
    wanted = burst.outcome(burst.events)
    assert wanted["label"] == ("plus", "active")
    for number, order in enumerate(_orders(burst.events, full)):
        if number % SWEPT_EVERY == SWEPT_EVERY - 1:
            _sweep()
        assert burst.outcome(list(order)) == wanted, [each["event"] for each in order]


@pytest.mark.parametrize("cycle", CYCLES)
def test_when_every_event_of_a_cycle_was_lost_one_pass_of_the_reconciler_comes_to_the_same(
    world: World, cycle: str
) -> None:
    burst = Burst(world, cycle)
    assert burst.outcome_of_reconciling() == burst.outcome(burst.events)
