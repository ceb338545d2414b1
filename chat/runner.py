"""The producer: one task per generation, from the upstream to the replay and at last to the ledger.

It belongs to no request: readers come and go, it goes on. The hold is committed before it starts,
its text is saved by the engine's clock at most every second, and it ends in one transaction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from chat import events, tool_calls
from chat.context import estimate_bytes
from chat.events import Event
from chat.kept_answers import Kept
from chat.openrouter import client
from chat.openrouter.client import Call, Endpoint, Site
from chat.openrouter.errors import refusal_of
from chat.openrouter.wire import Chunk, Garbage, TextMender, Usage, identity, read_chunk
from chat.replay import Answer, TurnStream
from chat.settling import charge_for
from chat.turn_finish import usage_json
from chat.turn_jobs import Finish, Finished, Progress, Settling, Started, StartedGeneration
from oneai.kit.batcher import Batcher
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.http import Answer as HTTPAnswer
from oneai.kit.http import HTTPFailure, Streams
from oneai.kit.sse import Decoder, LineTooLong
from quotas.ledger import Charge, Price

log = structlog.get_logger("runner")

IDLE_SECONDS: Final = 60.0
COMMENTS_SECONDS: Final = 600.0
HARD_SECONDS: Final = 1800.0
LONGEST_TEXT: Final = 4 * 1024 * 1024
FINISH_TRIES: Final = 150
SAVE_SECONDS: Final = 0.85  # with the clock's step, text is saved at most a second after it came
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
    started: Started
    generation: StartedGeneration
    stored: bool
    endpoint: Endpoint
    site: Site
    call: Call
    price: Price
    streams: Streams
    batcher: Batcher
    kept: bool = False
    request_id: str = field(default_factory=current_request_id)
    task: asyncio.Task[None] | None = None
    ending: str = ""
    upstream_id: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    delivered_bytes: int = 0
    started_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    saved_length: int = 0
    saved_upstream_id: str = ""
    progress: asyncio.Future[bool] | None = None
    beating: float | None = None
    last_byte: float = field(init=False)
    last_data: float = field(init=False)
    last_beat: float = field(init=False)
    next_save: float = field(init=False)
    _running: bool = False
    _finishing: bool = False
    _http: HTTPAnswer | None = None

    def __post_init__(self) -> None:
        self.last_byte = self.last_data = self.last_beat = self.started_at
        self.next_save = self.started_at + FIRST_SAVE_SECONDS

    @property
    def generation_id(self) -> UUID:
        return self.generation.generation_id

    # The stream -----------------------------------------------------------------------------------

    def stop(self, why: str) -> None:
        """End the stream: ``stop``, ``timeout`` or ``shutdown``. What is there is kept and settled."""
        if self.ending or self._finishing:
            return
        self.ending = why
        # A task cancelled before its first step would never run, and so never write its end:
        # until then the wish alone is noted, and run() finds it.
        if self.task is not None and self._running:
            self.task.cancel()

    async def run(self) -> None:
        """Stream, then write down the end. Never raises."""
        self._running = True
        try:
            outcome = self._cancelled() if self.ending else await self._stream()
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
        http = self._http
        if http is not None and outcome.state != "complete":
            http.close()
        await asyncio.shield(self._finish(outcome))
        if http is not None and outcome.state == "complete":
            await http.finish()  # the next call is spared the handshakes of a new connection

    async def _stream(self) -> Outcome:
        self._http = http = await client.open_stream(self.streams, self.endpoint, self.site, self.call)
        self.upstream_id = identity(http.headers.get("x-generation-id", ""))
        loop = asyncio.get_running_loop()
        decoder, mender = Decoder(), TextMender()
        error = None
        done = understood = False
        async for data in http.chunks():
            self.last_byte = loop.time()
            texts: list[str] = []
            woken = False
            try:
                for event in decoder.feed(data):
                    if event == b"[DONE]":
                        done = True
                        break
                    chunk = read_chunk(event)
                    understood = True
                    self._note(chunk)
                    if chunk.text:
                        texts.append(mender.feed(chunk.text))
                    if chunk.reasoning:
                        woken = self._reason(chunk.reasoning) or woken
                    if chunk.tool_calls:
                        self._call(chunk.tool_calls)
                        woken = True
                    if chunk.error is not None:
                        error = chunk.error
                        break
            finally:
                # What is whole before garbage counts, however the network has cut it.
                if texts:
                    self._say("".join(texts) if len(texts) > 1 else texts[0])
                    woken = True
            if woken:
                self.last_data = self.last_byte
                self.turn.wake()
            if done or error is not None:
                break
        if tail := mender.close():
            self._say(tail)
        if error is not None:
            refusal = refusal_of(error)
            log.warning("upstream_error", status=error.status, kind=error.kind, generation=str(self.generation_id))
            return self._broken(Refusal("upstream_interrupted") if self.answer.begun else refusal)
        if not self.finish_reason and not done:
            return self._broken(Refusal("upstream_interrupted" if understood else "upstream_invalid"))
        return Outcome("complete", self.finish_reason or "stop")

    def _note(self, chunk: Chunk) -> None:
        if chunk.id and not self.upstream_id:
            self.upstream_id = chunk.id
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.finish_reason and chunk.finish_reason != "error":
            self.finish_reason = chunk.finish_reason[:20]

    def _say(self, text: str) -> None:
        if not text:
            return
        answer = self.answer
        answer.parts.append(text)
        answer.length += len(text)
        answer.begun = True
        self.delivered_bytes += len(text) if text.isascii() else len(text.encode())
        if answer.length > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")

    def _call(self, fragments: list[dict[str, Any]]) -> None:
        fragments = tool_calls.clean(fragments)
        self.answer.tool_calls += fragments
        self.answer.begun = True
        self.delivered_bytes += len(orjson.dumps(fragments))
        if self.delivered_bytes > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")

    def _reason(self, text: str) -> bool:
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        self.answer.reasoning.append(text)
        self.answer.reasoning_length += len(text)
        self.answer.begun = True
        self.delivered_bytes += len(text.encode())
        if self.answer.reasoning_length > LONGEST_TEXT:
            raise Refusal("upstream_interrupted", "The answer was too long.")
        return bool(text)

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

    def overdue(self, at: float) -> bool:
        """Whether the upstream has been silent, or has said nothing but comments, for too long."""
        return (
            at - self.last_byte > IDLE_SECONDS
            or at - self.last_data > COMMENTS_SECONDS
            or at - self.started_at > HARD_SECONDS
        )

    def save(self, at: float, beat_seconds: float) -> None:
        """Hand the text so far to the batcher, if there is news or a heartbeat is due."""
        self.next_save = at + SAVE_SECONDS
        if self._finishing or not self._saved():
            return
        beat = at - self.last_beat >= beat_seconds
        length = self.delivered_bytes if self.stored or self.kept else 0
        if length == self.saved_length and self.upstream_id == self.saved_upstream_id and not beat:
            return
        self.saved_length, self.saved_upstream_id = length, self.upstream_id
        self.beating = at if beat else None
        self.progress = self.batcher.submit(
            Progress(
                generation_id=self.generation_id,
                hold_id=self.generation.hold_id,
                message_id=self.generation.message_id if self.stored else None,
                content=self.answer.text() if self.stored else None,
                reasoning="".join(self.answer.reasoning) if self.stored else None,
                upstream_id=self.upstream_id,
                delivered_bytes=self.delivered_bytes,
                beat=beat,
                kept=self._kept(),
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

    def _settling(self, outcome: Outcome) -> tuple[Settling, Charge | None, bool]:
        """What happens to the hold, the charge to show, and whether that is an estimate."""
        usage = self.usage
        if usage is not None and usage.completion_tokens == 0 and outcome.state != "stopped" and not self.answer.begun:
            return Settling.RELEASE, None, False
        if outcome.refusal is not None and not self.answer.begun:
            return Settling.RELEASE, None, False  # also when a continued answer has its older text
        if usage is not None:
            return (
                Settling.CHARGE,
                charge_for(usage, self.price, "upstream_final", self.upstream_id, self.conversation),
                False,
            )
        if not self.upstream_id and not self.answer.begun:
            return Settling.RELEASE, None, False
        # Nobody has said yet what it cost: the sweeper asks, and shows this until it knows.
        guess = Usage(self.generation.prompt_estimate, estimate_bytes(self.delivered_bytes))
        return (
            Settling.LATER,
            charge_for(guess, self.price, "local_estimate", self.upstream_id, self.conversation),
            True,
        )

    @property
    def conversation(self) -> UUID | None:
        return self.started.conversation_id

    async def _finish(self, outcome: Outcome) -> None:
        self._finishing = True
        if self.progress is not None:
            # Nothing may say that we live once our end is written.
            await asyncio.gather(self.progress, return_exceptions=True)
        settling, charge, estimated = self._settling(outcome)
        error = outcome.refusal.error(self.request_id) if outcome.refusal else None
        usage = usage_json(charge, estimated) if charge else None
        if usage is None:
            usage = usage_json(charge_for(Usage(0, 0), self.price, "upstream_final", "", None), False)
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
            upstream_id=self.upstream_id,
            delivered_bytes=self.delivered_bytes,
            kept=self._kept(),
            by_producer=True,
            tool_calls=tool_calls.joined(self.answer.tool_calls) if self.stored else [],
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
