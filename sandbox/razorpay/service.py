"""The imitated Razorpay as a whole: two modes of one account, one clock, faults to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from .account import Account
from .clock import Clock
from .faults import Fault
from .keys import LIVE, TEST, WEBHOOK_SECRET
from .webhooks import Manner

TICK_SECONDS = 0.5
TASKS_AT_A_TIME = 50


@dataclass(frozen=True, slots=True)
class Target:
    """Where webhooks go from the start, and what they are signed with."""

    url: str | None = None
    secret: str = WEBHOOK_SECRET
    old_secret: str | None = None


class Service:
    """Everything behind the endpoints; one per process."""

    def __init__(self, base_url: Callable[[], str], target: Target | None = None) -> None:
        self.target = target or Target()
        self.clock = Clock()
        self.accounts = {keys.mode: Account(keys, self.clock, base_url) for keys in (TEST, LIVE)}
        self.faults: list[Fault] = []
        self._moving = asyncio.Lock()
        self._advancing = False
        self.reset()

    def reset(self) -> None:
        """Forgets everything; webhooks go where they went at the start, the clock shows the machine's time."""
        self.clock.clear()
        self.faults.clear()
        target = self.target
        manner = Manner(url=target.url, secret=target.secret, old_secret=target.old_secret)
        for account in self.accounts.values():
            # Both modes have their webhook; the start's target is the test mode's.
            account.clear(manner if account.keys is TEST else replace(manner, url=None))

    def catch_up(self) -> None:
        """Does what has fallen due since the last look."""
        if self._advancing:
            return
        now = self.clock.now()
        while self.clock.run_next(now):
            pass

    async def advance(self, moment: int, *, settle: bool) -> bool:
        """Moves the clock forward, doing on the way what falls due, each at its time.

        With `settle` webhooks are delivered before time goes on; False when they took too long.
        """
        async with self._moving:
            self._advancing = True
            try:
                return await self._advance(moment, settle)
            finally:
                self._advancing = False

    async def _advance(self, moment: int, settle: bool) -> bool:
        settled, done = True, 0
        while True:
            if settle:  # first: a delivery that fails plans the next attempt
                settled = await self._settle() and settled
            at = self.clock.next_due()
            if at is None or at > moment:
                break
            if at > self.clock.now():
                self.clock.set(at)
            while self.clock.run_next(at):
                done += 1
                if done % TASKS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
        if moment > self.clock.now():
            self.clock.set(moment)
        return settled

    async def _settle(self) -> bool:
        done = [await account.webhooks.settle() for account in self.accounts.values()]
        return all(done)

    def account_of(self, key_id: str) -> Account | None:
        """The mode that a key belongs to."""
        return next((one for one in self.accounts.values() if one.keys.key_id == key_id), None)

    async def running(self) -> AsyncIterator[None]:
        """Delivers webhooks and lets time do its work while the sandbox runs."""
        tasks = [asyncio.create_task(one.webhooks.run()) for one in self.accounts.values()]
        tasks.append(asyncio.create_task(self._tick()))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.catch_up()
