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
from chat.kept_answers import Kept
from chat.openrouter.client import Call, Site
from chat.openrouter.wire import Garbage, Usage
from chat.replay import Answer, TurnStream
from chat.routing import MOST_TRIES, Needs, Router
from chat.settling import charge_for, free_of_charge
from chat.turn_finish import usage_json
from chat.turn_jobs import Finish, Finished, Progress, Settling, Start, Started, StartedGeneration, Switch, Switched
from chat.turn_rows import BECAUSE, INSTEAD_OF, answer_metadata
from oneai.kit.batcher import Batcher
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.http import HTTPFailure, Streams
from oneai.kit.sse import LineTooLong
from quotas.ledger import Charge

log = structlog.get_logger("runner")

FINISH_TRIES: Final = 150
SAVE_SECONDS: Final = 0.5  # at most a second of text may be lost: a commit on a busy machine has the other half
FIRST_SAVE_SECONDS: Final = 0.2  # the upstream's id, without which a crash is settled by the estimate


class Ending(Exception):
    """Why a producer was cancelled: ``stop`` (the user), ``timeout`` or ``shutdown``."""


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
    saved_length: int = 0
    saved_upstream_id: str = ""
    progress: asyncio.Future[bool] | None = None
    beating: float | None = None
    last_beat: float = field(init=False)
    next_save: float = field(init=False)
    _running: bool = False
    _silent: bool = False  # nothing is saved while another model takes over, and once the end is being written
    _closed: bool = False  # the hold is, though nobody took over

    def __post_init__(self) -> None:
        self.metadata = answer_metadata(self.start)
        self.attempt = self._ready(self.call)
        self.last_beat = self.attempt.started_at
        self.next_save = self.attempt.started_at + FIRST_SAVE_SECONDS

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
        """End the stream: ``stop``, ``timeout`` or ``shutdown``. What is there is kept and settled."""
        if self.ending or (self._silent and why == "timeout"):
            return
        self.ending = why
        # A task cancelled before its first step would never run, and so never write its end:
        # until then the wish alone is noted, and run() finds it.
        if self.task is not None and self._running and not self._silent:
            self.task.cancel()

    async def run(self) -> None:
        """Stream, then write down the end. Never raises."""
        self._running = True
        needs = Needs.of(self.call, self.generation.prompt_estimate)
        resting = self.router.resting(self.model, needs)
        outcome = self._broken(resting) if resting is not None else await self._try()
        while self.dispatched < MOST_TRIES and await self._another(outcome, needs):
            outcome = await self._try()
        self._silent = True
        http = self.attempt.http
        if http is not None and outcome.state != "complete" and not self._drained(outcome):
            http.close()
        await asyncio.shield(self._finish(outcome))
        if http is not None and outcome.state == "complete":
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
        elif outcome.refusal is not None and attempt.dispatched:
            self.router.failed(self.model, attempt.endpoint, outcome.refusal)
        return outcome

    def _because(self, finish_reason: str) -> str:
        """Why the answer is over: ``quota`` when it filled a cap that was cut to what the account affords."""
        usage, most = self.attempt.usage, self.generation.admitted.max_tokens
        filled = usage is None or usage.completion_tokens >= most - 1
        if finish_reason == "length" and filled and most < self.generation.ask.cap:
            return "quota"
        return finish_reason

    async def _another(self, outcome: Outcome, needs: Needs) -> bool:
        """Let another model or key answer after ``outcome``, if that may help and is admitted."""
        if outcome.refusal is None or self.answer.begun or self.ending in {"stop", "shutdown"}:
            return False
        asked = {one["model"] for one in self.tries} | {self.model.slug}
        model = self.router.another(self.model, self.attempt.endpoint, outcome.refusal, needs, asked)
        if model is None:
            return False
        self.attempt.close()
        if self.ending == "timeout" and self.task is not None:
            self.task.uncancel()
            self.ending = ""
        self._silent = True
        try:
            return await self._switch(model, outcome.refusal.code)
        except Refusal:
            return False  # an outage: if it was committed, the sweeper finds a hold that nobody ends
        finally:
            self._silent = False

    async def _switch(self, model: CatalogModel, code: str) -> bool:
        if self.progress is not None:
            # What is saved of one try must not be written over the row of the next.
            await asyncio.gather(self.progress, return_exceptions=True)
            self.progress = None
        old, upstream_id = self.model, self.attempt.upstream_id
        failed = {"model": old.slug, "hold_id": str(self.generation.hold_id), "upstream_id": upstream_id, "code": code}
        tries = [*self.tries, failed]
        metadata = dict(self.metadata)
        if model.slug != old.slug:
            metadata |= {INSTEAD_OF: tries[0]["model"], BECAUSE: tries[0]["code"]}
        charge = free_of_charge(upstream_id, self.started.conversation_id) if self.attempt.dispatched else None
        job = Switch(self.start, self.started, self.generation, model, code, tries, metadata, charge)
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
        self.last_beat, self.saved_upstream_id = self.attempt.started_at, ""
        if model.slug != old.slug:
            self.answer.switch(model.slug, code)
            self.turn.wake()
        return True

    def _drained(self, outcome: Outcome) -> bool:
        """Whether somebody reads the stream to its end, because closing it would not end the bill."""
        attempt = self.attempt
        if attempt.http is None or outcome.state != "stopped" or attempt.usage is not None:
            return False
        if providers.stops_on_cancel(attempt.kind, attempt.provider):
            return False
        finish = Finish(
            turn_id=self.started.turn_id,
            generation_id=self.generation_id,
            user_id=self.started.user_id,
            hold_id=self.generation.hold_id,
            state=outcome.state,
            settling=Settling.CHARGE,
            message_id=self.generation.message_id if self.stored else None,
            late=True,
        )
        price, conversation = self.generation.price, self.started.conversation_id
        return self.drain(Drain(attempt.http, attempt.decoder, finish, price, attempt.upstream_id, conversation))

    def _cancelled(self) -> Outcome:
        if self.ending == "stop":
            return Outcome("stopped", "stop")
        if self.ending == "timeout":
            return self._broken(Refusal("upstream_timeout"))
        return self._broken(Refusal("restarted"))

    def _broken(self, refusal: Refusal) -> Outcome:
        """``interrupted`` when there is text to keep, else ``failed``."""
        return Outcome("interrupted" if self.answer.length else "failed", "", refusal)

    # The clock ------------------------------------------------------------------------------------

    def save(self, at: float, beat_seconds: float) -> None:
        """Hand the text so far to the batcher, if there is news or a heartbeat is due.

        Where there is none, or an earlier save is under way, the clock asks again at its next step.
        """
        if self._silent or not self._saved():
            return
        beat = at - self.last_beat >= beat_seconds
        attempt = self.attempt
        length = attempt.delivered_bytes if self.stored or self.kept else 0
        if length == self.saved_length and attempt.upstream_id == self.saved_upstream_id and not beat:
            return
        self.next_save = at + SAVE_SECONDS
        self.saved_length, self.saved_upstream_id = length, attempt.upstream_id
        self.beating = at if beat else None
        self.progress = self.batcher.submit(
            Progress(
                generation_id=self.generation_id,
                hold_id=self.generation.hold_id,
                message_id=self.generation.message_id if self.stored else None,
                content=self.answer.text() if self.stored else None,
                reasoning="".join(self.answer.reasoning) if self.stored else None,
                upstream_id=attempt.upstream_id,
                delivered_bytes=attempt.delivered_bytes,
                beat=beat,
                kept=self._kept(),
                provider=attempt.provider,
            )
        )

    def _kept(self) -> Kept | None:
        if not self.kept:
            return None
        answer = self.answer
        reasoning = "".join(answer.reasoning)
        return Kept(self.generation_id, answer.text(), reasoning, tool_calls.joined(answer.tool_calls))

    def _saved(self) -> bool:
        """Take note of how the last save went; False when there is nothing more to save yet."""
        progress = self.progress
        if progress is None:
            return True
        if not progress.done():
            return False
        self.progress = None
        if progress.cancelled() or progress.exception() is not None:
            self.saved_length = -1  # nothing of it is there: say all, and that we live, at once
            self.last_beat = float("-inf")
            return True
        if self.beating is not None:
            self.last_beat = self.beating
        if progress.result():
            self.stop("stop")
            return False
        return True

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
        if usage is not None and usage.completion_tokens == 0 and outcome.state != "stopped" and not begun:
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
        if self.progress is not None:
            # Nothing may say that we live once our end is written.
            await asyncio.gather(self.progress, return_exceptions=True)
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
            kept=self._kept(),
            by_producer=True,
            metadata=self._noted(),
            provider=self.attempt.provider,
        )
        finished = await self._commit(job)
        data: dict[str, Any] = {"message_id": self.answer.message_id}
        if error is not None:
            self.answer.closing = Event(events.MESSAGE_FAILED, "", data | {"error": error})
        else:
            data |= {"model": self.answer.model, "finish_reason": outcome.finish_reason, "usage": usage}
            self.answer.closing = Event(events.MESSAGE_COMPLETED, "", data)
        if all(answer.closing is not None for answer in self.turn.answers):
            data = {"turn_id": self.turn.turn_id, "quota": finished.limits}
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
