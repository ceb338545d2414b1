"""The producer: one task per generation, from the upstream to the replay and at last to the ledger.

It belongs to no request: readers come and go, it goes on. The hold is committed before it starts,
its text is saved by the engine's clock every half second, and it ends in one transaction. Before
the first token it may be another model that answers; after it, never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import structlog

from chat import events, providers, tool_calls
from chat.attempt import Attempt
from chat.catalog import CatalogModel
from chat.context import estimate_bytes
from chat.draining import Drain
from chat.events import Event
from chat.keeping import Keeper
from chat.openrouter.client import Call, Site
from chat.openrouter.wire import Garbage, Usage
from chat.replay import Answer, TurnStream
from chat.routing import MOST_TRIES, Needs, Router
from chat.settling import charge_for, free_of_charge
from chat.turn_finish import usage_json
from chat.turn_jobs import (
    Finish,
    Finished,
    Settling,
    Start,
    Started,
    StartedGeneration,
    Switch,
    Switched,
)
from chat.turn_rows import BECAUSE, INSTEAD_OF, answer_metadata
from oneai.kit.batcher import Batcher
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.http import HTTPFailure, Streams
from oneai.kit.sse import LineTooLong
from quotas.ledger import Charge

log = structlog.get_logger("runner")

FINISH_TRIES: Final = 150


@dataclass(slots=True)
class Outcome:
    """How a stream ended, before it is written down."""

    state: str
    finish_reason: str = ""
    refusal: Refusal | None = None


@dataclass(slots=True, eq=False)
class Producer:
    """A running generation."""

    turn: TurnStream
    answer: Answer
    start: Start
    started: Started
    generation: StartedGeneration
    router: Router
    site: Site
    call: Call
    streams: Streams
    batcher: Batcher
    drain: Callable[[Drain], bool]
    request_id: str = field(default_factory=current_request_id)
    task: asyncio.Task[None] | None = None
    ending: str = ""
    tries: list[dict[str, Any]] = field(default_factory=list)
    dispatched: int = 0
    attempt: Attempt = field(init=False)
    metadata: dict[str, Any] = field(init=False)
    keeper: Keeper = field(init=False)
    silent: bool = False  # nothing is saved while another model takes over, and once the end is being written
    _running: bool = False
    _closed: bool = False  # the hold is, though nobody took over

    def __post_init__(self) -> None:
        self.metadata = answer_metadata(self.start)
        self.attempt = self._ready(self.call)
        self.keeper = Keeper(self)

    @property
    def generation_id(self) -> UUID:
        return self.generation.generation_id

    @property
    def stored(self) -> bool:
        return self.start.stored

    @property
    def kept(self) -> bool:
        return self.start.keeps_answer

    @property
    def model(self) -> CatalogModel:
        """Who is asked now."""
        return self.generation.model

    # The stream -----------------------------------------------------------------------------------

    def stop(self, why: str) -> None:
        """End the stream: ``stop``, ``quota``, ``timeout`` or ``shutdown``. What is there is kept and settled."""
        if self.ending or (self.silent and why == "timeout"):
            return
        self.ending = why
        # A task cancelled before its first step would never run, and so never write its end:
        # until then the wish alone is noted, and run() finds it.
        if self.task is not None and self._running and not self.silent:
            self.task.cancel()

    async def run(self) -> None:
        """Stream, then write down the end. Never raises: what can't be settled here the sweeper settles."""
        try:
            await self._run()
        except Exception:
            log.exception("producer_failed", generation=str(self.generation_id))
            self.silent = True
            self.attempt.close()
            error = Refusal("internal_error").error(self.request_id)
            self._tell(Event(events.MESSAGE_FAILED, "", {"message_id": self.answer.message_id, "error": error}), [])

    async def _run(self) -> None:
        self._running = True
        needs = Needs.of(self.call, self.generation.prompt_estimate)
        outcome = Outcome("failed")
        if (resting := self.router.resting(self.model, needs)) is not None:
            outcome = self._broken(resting)
            await self._another(outcome, needs, gently=True)
        if not self._closed:
            outcome = await self._try()  # by another model or, where none was admitted, by the one that rests
        while self.dispatched < MOST_TRIES and await self._another(outcome, needs):
            outcome = await self._try()
        self.silent = True
        http = self.attempt.http
        whole = outcome.state == "complete" and not self.ending
        if http is not None and not whole and not self._drained():
            http.close()
        await asyncio.shield(self._finish(outcome))
        if http is not None and whole:
            await http.finish()  # the next call is spared the handshakes of a new connection

    def _ready(self, call: Call) -> Attempt:
        endpoint = self.router.endpoint(self.model.upstream)
        return Attempt(self.turn, self.answer, endpoint, self.site, call)

    async def _try(self) -> Outcome:
        """Ask once; how that ended."""
        attempt = self.attempt
        try:
            if self.ending:
                outcome = self._cancelled()
            else:
                self.dispatched += 1
                outcome = Outcome("complete", self._because(await attempt.read(self.streams)))
        except asyncio.CancelledError:
            outcome = self._cancelled()
        except Refusal as refusal:
            outcome = self._broken(refusal)
        except HTTPFailure:
            outcome = self._broken(Refusal("upstream_interrupted"))
        except (Garbage, LineTooLong):
            outcome = self._broken(Refusal("upstream_invalid"))
        except Exception:
            log.exception("producer_failed", generation=str(self.generation_id))
            outcome = self._broken(Refusal("internal_error"))
        if self.answer.begun or outcome.state == "complete":
            self.router.worked(self.model, attempt.endpoint)
        elif outcome.refusal is None or outcome.refusal.code in {"restarted", "internal_error"}:
            self.router.undecided(self.model)
        else:
            self.router.failed(self.model, attempt.endpoint, outcome.refusal)
        return outcome

    def _because(self, finish_reason: str) -> str:
        """Why the answer is over: ``quota`` when it filled a cap that was cut to what the account affords."""
        usage, most = self.attempt.usage, self.generation.admitted.max_tokens
        filled = usage is None or usage.completion_tokens >= most - 1
        if finish_reason == "length" and filled and most < self.generation.ask.cap:
            return "quota"
        return finish_reason

    async def _another(self, outcome: Outcome, needs: Needs, *, gently: bool = False) -> bool:
        """Let another model or key answer after ``outcome``, if that may help and is admitted."""
        over = self._closed or self.answer.begun or self.ending in {"stop", "shutdown"}
        if over or outcome.refusal is None:
            return False
        asked = {one["model"] for one in self.tries} | {self.model.slug}
        model = self.router.another(self.model, self.attempt.endpoint, outcome.refusal, needs, asked)
        if model is None:
            return False
        self.attempt.close()
        if self.ending == "timeout" and self.task is not None:
            self.task.uncancel()
            self.ending = ""
        self.silent = True
        try:
            return await self._switch(model, outcome.refusal.code, gently)
        except Refusal:
            return False  # an outage: if it was committed, the sweeper finds a hold that nobody ends
        finally:
            self.silent = False

    async def _switch(self, model: CatalogModel, code: str, gently: bool) -> bool:
        await self.keeper.rest()  # what is saved of one try must not be written over the row of the next
        old, upstream_id = self.model, self.attempt.upstream_id
        failed = {"model": old.slug, "hold_id": str(self.generation.hold_id), "upstream_id": upstream_id, "code": code}
        tries = [*self.tries, failed]
        metadata = dict(self.metadata)
        if model.slug != old.slug:
            metadata |= {INSTEAD_OF: tries[0]["model"], BECAUSE: tries[0]["code"]}
        charge = free_of_charge(upstream_id, self.started.conversation_id) if self.attempt.dispatched else None
        job = Switch(self.start, self.started, self.generation, model, code, tries, metadata, charge, gently)
        switched: Switched = await asyncio.shield(self.batcher.submit(job))
        if switched.generation is None:
            self._closed = switched.closed
            return False
        log.warning("fallback", generation=str(self.generation_id), model=model.slug, after=old.slug, code=code)
        self.generation, self.tries, self.metadata = switched.generation, tries, metadata
        most = self.generation.admitted.max_tokens
        reference = str(self.generation.hold_id)
        call = replace(self.call, model=model.upstream_slug, max_tokens=most, reference=reference)
        self.attempt = self._ready(call)
        self.keeper.begin()
        if model.slug != old.slug:
            self.answer.switch(model.slug, code)
            self.turn.wake()
        return True

    def _drained(self) -> bool:
        """Whether somebody reads the stream to its end, because closing it would not end the bill."""
        attempt = self.attempt
        if attempt.http is None or self.ending not in {"stop", "quota"} or attempt.usage is not None:
            return False
        if not attempt.provider or providers.stops_on_cancel(attempt.kind, attempt.provider):
            return False  # who has not begun is most likely to stop; if not, the record says so later
        finish = Finish(
            turn_id=self.started.turn_id,
            generation_id=self.generation_id,
            user_id=self.started.user_id,
            hold_id=self.generation.hold_id,
            state="",
            settling=Settling.CHARGE,
            message_id=self.generation.message_id if self.stored else None,
            late=True,
        )
        price, conversation = self.generation.price, self.started.conversation_id
        return self.drain(Drain(attempt.http, attempt.decoder, finish, price, attempt.upstream_id, conversation))

    def _cancelled(self) -> Outcome:
        if self.ending == "stop":
            return Outcome("stopped", "stop")
        if self.ending == "quota":
            return Outcome("complete", "quota")
        if self.ending == "timeout":
            return self._broken(Refusal("upstream_timeout"))
        return self._broken(Refusal("restarted"))

    def _broken(self, refusal: Refusal) -> Outcome:
        """``interrupted`` when there is text to keep, else ``failed``."""
        return Outcome("interrupted" if self.answer.length else "failed", "", refusal)

    # The end --------------------------------------------------------------------------------------

    def _settling(self, outcome: Outcome) -> tuple[Settling, Charge | None]:
        """What happens to the hold, and the charge to show. It is an estimate when that is to come LATER."""
        attempt, begun = self.attempt, self.answer.begun
        usage = attempt.usage
        if self._closed:
            return Settling.NONE, None
        if not attempt.dispatched:
            return Settling.RELEASE, None
        free = Settling.CHARGE, free_of_charge(attempt.upstream_id, self.started.conversation_id)
        empty = usage is not None and usage.completion_tokens == 0 and not usage.cost
        if empty and outcome.state != "stopped" and not begun:
            return free
        if outcome.refusal is not None and not begun:
            return free  # also when a continued answer has its older text
        if usage is not None:
            return Settling.CHARGE, self._charge(usage, "upstream_final")
        if not attempt.upstream_id and not begun:
            return free
        # Nobody has said yet what it cost: the sweeper asks, and shows this until it knows.
        guess = Usage(self.generation.prompt_estimate, estimate_bytes(attempt.delivered_bytes))
        return Settling.LATER, self._charge(guess, "local_estimate")

    def _charge(self, usage: Usage, source: str) -> Charge:
        conversation = self.started.conversation_id
        return charge_for(usage, self.generation.price, source, self.attempt.upstream_id, conversation)

    async def _finish(self, outcome: Outcome) -> None:
        await self.keeper.rest()  # nothing may say that we live once our end is written
        settling, charge = self._settling(outcome)
        error = outcome.refusal.error(self.request_id) if outcome.refusal else None
        usage = usage_json(charge or free_of_charge("", None), settling is Settling.LATER)
        job = Finish(
            turn_id=self.started.turn_id,
            generation_id=self.generation_id,
            user_id=self.started.user_id,
            hold_id=self.generation.hold_id,
            state=outcome.state,
            settling=settling,
            charge=charge,
            message_id=self.generation.message_id if self.stored else None,
            content=self.answer.text() if self.stored else None,
            reasoning="".join(self.answer.reasoning) if self.stored else None,
            finish_reason=outcome.finish_reason,
            error=error,
            usage=usage,
            upstream_id=self.attempt.upstream_id,
            delivered_bytes=self.attempt.delivered_bytes,
            kept=self.keeper.kept(),
            by_producer=True,
            metadata=self._noted(),
            provider=self.attempt.provider,
        )
        finished = await self._commit(job)
        data: dict[str, Any] = {"message_id": self.answer.message_id}
        if error is not None:
            closing = Event(events.MESSAGE_FAILED, "", data | {"error": error})
        else:
            data |= {"model": self.answer.model, "finish_reason": outcome.finish_reason, "usage": usage}
            closing = Event(events.MESSAGE_COMPLETED, "", data)
        self._tell(closing, finished.limits)

    def _tell(self, closing: Event, limits: list[dict[str, Any]]) -> None:
        """Tell the readers that this answer is over, and the turn with its last."""
        self.answer.closing = closing
        if all(answer.closing is not None for answer in self.turn.answers):
            data = {"turn_id": self.turn.turn_id, "quota": limits}
            self.turn.completed = Event(events.TURN_COMPLETED, "", data)
        self.turn.wake()

    def _noted(self) -> dict[str, Any] | None:
        """What the message keeps beside its text, when the end adds to that."""
        if not self.stored or not self.answer.tool_calls:
            return None
        return self.metadata | {"tool_calls": tool_calls.joined(self.answer.tool_calls)}

    async def _commit(self, job: Finish) -> Finished:
        """Write the end down, through an outage of some minutes if need be."""
        for attempt in range(FINISH_TRIES):
            try:
                result: Finished = await self.batcher.submit(job)
                return result
            except Refusal as refusal:
                if refusal.code != "unavailable":
                    break
                await asyncio.sleep(min(0.2 * (attempt + 1), 2.0))
            except Exception:
                log.exception("finish_failed", generation=str(self.generation_id))
                break
        log.error("finish_given_up", generation=str(self.generation_id))
        return Finished(False)
