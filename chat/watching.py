"""Who reads, asked again while they read: one look at the database for all open readers of a process.

A credential is checked when a stream or a socket is opened; what is open may last for hours. When
a key is revoked, a session ended, a password changed, an account disabled or a credential expired,
whoever reads by it is told to go within ``CHECK_SECONDS`` and the time of one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from accounts.claims import Claim, Standing, standings
from oneai.kit import database
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

log = structlog.get_logger("watching")

CHECK_SECONDS: Final = 3.0
AT_ONCE: Final = 500  # claims in one statement


class Watch:
    """One open reader: by what it came, and whom to tell when that does not hold any more."""

    __slots__ = ("claim", "role", "scope", "tell")

    def __init__(self, claim: Claim, scope: str, tell: Callable[[Refusal], None]) -> None:
        self.claim = claim
        self.scope = scope
        self.tell = tell
        self.role = claim.principal.role if claim.principal else ""

    def judge(self, standing: Standing | Refusal) -> Refusal | None:
        """Why the reader must go; None when it may stay. A new role must come in anew, too."""
        if isinstance(standing, Refusal):
            return standing
        principal = standing.principal
        if principal.scopes is not None and self.scope not in principal.scopes:
            return Refusal("insufficient_scope", details={"scope": self.scope})
        self.role = self.role or principal.role
        return None if principal.role == self.role else Refusal("not_authenticated")


class Watches:
    """The open readers of one process."""

    def __init__(self) -> None:
        self._open: set[Watch] = set()

    def open(self, claim: Claim, tell: Callable[[Refusal], None], scope: str = "chat") -> Watch:
        """Watch a reader until ``close``; ``tell`` is called once, on the loop, with why it must go."""
        watch = Watch(claim, scope, tell)
        self._open.add(watch)
        return watch

    def close(self, watch: Watch) -> None:
        """The reader has gone."""
        self._open.discard(watch)

    async def run(self) -> None:
        """Look every ``CHECK_SECONDS``, for ever."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._look()
            except Refusal:
                pass  # the database is away: nothing can be revoked there, nor admitted, until it is back
            except Exception:
                log.exception("watch_failed")

    async def _look(self) -> None:
        watches = list(self._open)
        for first in range(0, len(watches), AT_ONCE):
            some = watches[first : first + AT_ONCE]
            for watch, standing in zip(some, await standing_of([watch.claim for watch in some]), strict=True):
                refusal = watch.judge(standing)
                if refusal is not None and watch in self._open:
                    self._open.discard(watch)
                    log.info("reader_ended", code=refusal.code)
                    watch.tell(refusal)


async def standing_of(claims: list[Claim]) -> list[Standing | Refusal]:
    """How claims stand now. Refusal ``unavailable`` when the database is away."""
    return await database.run(standings, claims, now())
