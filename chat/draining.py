"""Reading on after a stop, where the provider goes on writing and billing whoever listens.

The text is not kept: what is waited for is the final usage, by which the hold is settled at once. As many at
once and for as long as the bounds say; past them the connection is cut, and the sweeper asks for the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog

from chat.openrouter.wire import Garbage, Usage, read_chunk
from chat.settling import charge_for
from chat.turn_finish import usage_json
from chat.turn_jobs import Finish
from oneai.kit.batcher import Batcher
from oneai.kit.errors import Refusal
from oneai.kit.http import Answer, HTTPFailure
from oneai.kit.sse import Decoder, LineTooLong
from quotas.ledger import Price

log = structlog.get_logger("draining")

MOST_DRAINS: Final = 100
DRAIN_SECONDS: Final = 120.0

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


@dataclass(slots=True, eq=False)
class Drain:
    """A stream to be read to its end; ``finish`` settles its hold once the charge is in it."""

    http: Answer
    decoder: Decoder
    finish: Finish
    price: Price
    upstream_id: str
    conversation_id: UUID | None


class Drains:
    """The drains of one process. They end with it: the sweeper settles what they leave."""

    def __init__(self, batcher: Batcher, spawn: Spawn) -> None:
        self._batcher = batcher
        self._spawn = spawn
        self.running = 0

    def take(self, drain: Drain) -> bool:
        """Read it to its end; False when as many as may be are being read."""
        if self.running >= MOST_DRAINS:
            return False
        self.running += 1
        self._spawn(self._run(drain))
        return True

    async def _run(self, drain: Drain) -> None:
        try:
            usage = await _usage(drain)
        except (TimeoutError, HTTPFailure, Garbage, LineTooLong) as error:
            log.warning("not_drained", hold=str(drain.finish.hold_id), error=type(error).__name__)
            return
        finally:
            self.running -= 1
            drain.http.close()
        if usage is None:
            return
        charge = charge_for(usage, drain.price, "upstream_final", drain.upstream_id, drain.conversation_id)
        drain.finish.charge, drain.finish.usage = charge, usage_json(charge, False)
        try:
            await self._batcher.submit(drain.finish)
        except Refusal as refusal:
            log.warning("drain_not_settled", hold=str(drain.finish.hold_id), code=refusal.code)


async def _usage(drain: Drain) -> Usage | None:
    """The last usage before the stream's end."""
    usage = None
    async with asyncio.timeout(DRAIN_SECONDS):
        async for data in drain.http.chunks():
            for event in drain.decoder.feed(data):
                if event == b"[DONE]":
                    return usage
                chunk = read_chunk(event)
                usage = chunk.usage or usage
    return usage
