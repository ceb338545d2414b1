"""A year of people with subscriptions, on both clocks: at its end all books agree to the paisa and to the token."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from billing import invoices, reconciling
from tests.billing import books
from tests.billing.living import Life
from tests.billing.world import World

LOST = 0.1


class Days:
    """Time that passes, with what the worker does in it; some events are lost, some come twice, and in any order."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance, self.heard = world, chance, 0

    def new_events(self) -> list[dict[str, Any]]:
        found = self.world.sandbox.razorpay_events(skip=str(self.heard))
        self.heard += len(found)
        return found

    def work(self, lost: float = LOST) -> None:
        """What the worker does: the inbox, the reconciler, what waits to be sent, invoices."""
        for _ in range(2):
            coming = [each for each in self.new_events() if self.chance.random() >= lost]
            coming += [each for each in coming if self.chance.random() < 0.2]
            self.chance.shuffle(coming)
            self.world.hear(coming)
            reconciling.reconcile()
            reconciling.send_due()
        invoices.issue_missing(most=1000)

    def pass_on(self, hours: int) -> None:
        self.world.pass_time(hours=hours)
        self.work()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_after_a_year_every_book_agrees(world: World, full: bool) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, done = random.Random(seed), Counter[str]()
    days = Days(world, chance)
    lives = [Life(world, chance, done, with_team=not number % 5) for number in range(200 if full else 4)]
    left = 24 * (366 if full else 62)
    while left > 0:
        hours = chance.randint(12, 66)
        left -= hours
        for life in lives:
            for _ in range(1 if full else 3):
                life.happens()
        days.pass_on(hours)
    days.work(lost=0)
    days.work(lost=0)
    for what, times in sorted(done.items()):
        print(f"{times:6} {what}")
    assert done["subscribe"]
    assert not books.disagreements()
