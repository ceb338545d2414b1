"""Delivering webhooks: signed, late, twice, shuffled, or not at all, and again after whatever is no 2xx."""

from __future__ import annotations

import asyncio
import fnmatch
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .clock import Clock
from .cycles import DAY
from .events import Event
from .keys import WEBHOOK_SECRET, WRONG_SECRET, signed

MODES = ("deliver", "hold", "drop")
SIGNATURES = ("own", "current", "old", "wrong", "missing")
KEPT_ATTEMPTS = 40
FIRST_RETRY = 60  # seconds of the sandbox's clock; the real spacing is not published
LONGEST_RETRY = 2 * 3600


@dataclass(slots=True)
class Manner:
    """How events go out. Of those whose name does not fit `events`, mode and signature do not hold."""

    url: str | None = None
    secret: str = WEBHOOK_SECRET
    old_secret: str | None = None
    mode: str = "deliver"
    signature: str = "own"
    events: list[str] = field(default_factory=list)
    delay_seconds: float = 0.0
    timeout_seconds: float = 5.0
    shuffle: bool = False
    copies: int = 1
    parallel: int = 1
    retries: bool = True
    enabled: bool = True

    def concerns(self, name: str) -> bool:
        """Whether an event of this name is treated in another way than the usual."""
        return not self.events or any(fnmatch.fnmatchcase(name, one) for one in self.events)

    def as_json(self) -> dict[str, Any]:
        """The settings, for control calls."""
        return {name: getattr(self, name) for name in Manner.__dataclass_fields__}


def backoff(failures: int) -> int:
    """Seconds until the next attempt: twice as long each time."""
    return int(min(LONGEST_RETRY, FIRST_RETRY * 2 ** (failures - 1)))


class Webhooks:
    """The queue of one mode's events and the task that empties it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._random = random.Random()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        self._era = 0
        self.clear(Manner())

    def clear(self, manner: Manner) -> None:
        """Forgets what waits, and takes other settings."""
        self.manner = manner
        self._era += 1
        self._queue: list[tuple[Event, str]] = []
        self._busy = False
        for task in self._later:
            task.cancel()

    def change(self, manner: Manner) -> None:
        """Takes other settings; what waits goes on waiting."""
        self.manner = manner

    # What goes in ------------------------------------------------------------------------------------
    def take(self, event: Event) -> None:
        """A new event: it waits, goes out, or is dropped, as the settings want it."""
        manner = self.manner
        mode = manner.mode if manner.concerns(event.name) else "deliver"
        if manner.url is None:
            event.state = "unsent"
        elif not manner.enabled:
            event.state = "abandoned"
        elif mode != "deliver":
            event.state = "held" if mode == "hold" else "dropped"
        else:
            copies = manner.copies if manner.concerns(event.name) else 1
            signature = manner.signature if manner.concerns(event.name) else "own"
            self.send([event] * copies, signature, manner.delay_seconds)

    def send(self, events: Iterable[Event], signature: str = "own", delay: float = 0.0) -> None:
        """Sends events, whatever became of them before; `delay` is in real seconds."""
        queued = [(event, signature) for event in events]
        for event, _ in queued:
            event.state = "queued"
        if delay > 0:
            task = asyncio.get_running_loop().create_task(self._send_later(queued, delay))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            return
        self._queue += queued
        self._idle.clear()
        self._wake.set()

    async def _send_later(self, queued: list[tuple[Event, str]], delay: float) -> None:
        await asyncio.sleep(delay)
        self._queue += queued
        self._idle.clear()
        self._wake.set()

    async def settle(self, seconds: float = 120) -> bool:
        """Waits until everything that may go out now has been tried; False when that took too long."""
        if not self._queue and not self._busy:
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    # What goes out -----------------------------------------------------------------------------------
    async def run(self) -> None:
        """Delivers for as long as the sandbox runs."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    batch, self._queue = self._queue, []
                    if self.manner.shuffle:
                        self._random.shuffle(batch)
                    self._busy = True
                    try:
                        await self._deliver(session, batch)
                    finally:
                        self._busy = False
                self._idle.set()

    async def _deliver(self, session: aiohttp.ClientSession, batch: list[tuple[Event, str]]) -> None:
        waiting = iter(batch)
        era = self._era

        async def one_by_one() -> None:
            for event, signature in waiting:
                if self._era != era:  # reset meanwhile: these are nobody's any more
                    return
                await self._attempt(session, event, signature)

        await asyncio.gather(*(one_by_one() for _ in range(min(self.manner.parallel, len(batch)))))

    def _headers(self, event: Event, signature: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Razorpay-Webhook/v1 (sandbox)",
            "X-Razorpay-Event-Id": event.id,
        }
        secrets = {
            "own": event.secret,
            "current": self.manner.secret,
            "old": self.manner.old_secret or WRONG_SECRET,
            "wrong": WRONG_SECRET,
        }
        if signature in secrets:
            headers["X-Razorpay-Signature"] = signed(event.body, secrets[signature])
        return headers

    async def _attempt(self, session: aiohttp.ClientSession, event: Event, signature: str) -> None:
        url, era = self.manner.url, self._era
        if url is None:
            event.state = "unsent"
            return
        started = time.monotonic()
        status: int | None = None
        error: str | None = None
        try:
            async with session.post(
                url,
                data=event.body,
                headers=self._headers(event, signature),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self.manner.timeout_seconds),
            ) as answer:
                status = answer.status
                await answer.content.read(4096)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            error = type(problem).__name__
            status = None
        if self._era != era:  # reset meanwhile: what is nobody's any more is not tried again
            return
        del event.attempts[:-KEPT_ATTEMPTS]
        event.attempts.append(
            {
                "at": self._clock.now(),
                "status": status,
                "error": error,
                "signature": signature,
                "milliseconds": round((time.monotonic() - started) * 1000),
            }
        )
        if status is not None and 200 <= status < 300:
            event.state, event.failures, event.first_failure, event.next_attempt = "delivered", 0, None, None
        else:
            self._failed(event)

    def _failed(self, event: Event) -> None:
        now = self._clock.now()
        event.failures += 1
        event.first_failure = event.first_failure or now
        if now - event.first_failure >= DAY:
            self.manner.enabled = False
        if not self.manner.enabled or not self.manner.retries:
            event.state, event.next_attempt = "abandoned", None
            return
        event.state = "failed"
        event.next_attempt = now + backoff(event.failures)
        self._clock.at(event.next_attempt, lambda: self._again(event))

    def _again(self, event: Event) -> None:
        if event.state != "failed" or event.next_attempt is None or event.next_attempt > self._clock.now():
            return
        if self.manner.enabled:
            self.send([event])
        else:
            event.state, event.next_attempt = "abandoned", None
