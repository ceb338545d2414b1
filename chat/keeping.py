"""What the clock does for a running answer: its text is saved, its sign of life given, its hold stretched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from chat import tool_calls
from chat.context import estimate_bytes
from chat.kept_answers import Kept
from chat.turn_jobs import Extend, Progress

if TYPE_CHECKING:
    from chat.runner import Producer

SAVE_SECONDS: Final = 0.5  # at most a second of text may be lost: a commit on a busy machine has the other half
MOST_SAVE_SECONDS: Final = 0.85
SAVES_A_SECOND: Final = 600  # of one process; from 300 producers on, each is saved less often
FIRST_SAVE_SECONDS: Final = 0.2  # the upstream's id, without which a crash is settled by the estimate
STRETCH_TOKENS: Final = 256


def save_seconds(producers: int) -> float:
    """How long after a save the next one of the same producer is due, where so many share a process."""
    return min(max(SAVE_SECONDS, producers / SAVES_A_SECOND), MOST_SAVE_SECONDS)


class Keeper:
    """Hands a producer's news to the batcher, one job of each kind at a time."""

    __slots__ = (
        "_beating", "_covered", "_extension", "_last_beat", "_producer", "_progress", "_saved_length",
        "_saved_upstream_id", "_spent_out", "_stretched", "next_save",
    )  # fmt: skip

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._progress: asyncio.Future[bool] | None = None
        self._beating: float | None = None
        self.begin()
        self.next_save = producer.attempt.started_at + FIRST_SAVE_SECONDS

    @property
    def has_saved_the_id(self) -> bool:
        """Whether the upstream's id has been handed over: from then on a crash is settled by its bill."""
        return bool(self._saved_upstream_id)

    @property
    def delivered_bytes(self) -> int:
        """What has come from the upstream."""
        return self._producer.attempt.delivered_bytes

    def begin(self) -> None:
        """A new attempt, with a new hold."""
        self._saved_length, self._saved_upstream_id = 0, ""
        self._last_beat = self._producer.attempt.started_at
        self._covered = self._producer.generation.admitted.max_tokens
        self._extension: asyncio.Future[int] | None = None
        self._stretched = 0
        self._spent_out = False

    async def rest(self) -> None:
        """Wait until what was handed over is written."""
        if self._progress is not None:
            await asyncio.gather(self._progress, return_exceptions=True)
            self._progress = None

    def save(self, at: float, beat_seconds: float, pause: float) -> None:
        """Hand the text so far to the batcher, if there is news or a heartbeat is due.

        After a save the clock asks again in ``pause`` seconds; where there is no news, or an earlier save is under
        way, at its next step.
        """
        producer = self._producer
        if producer.silent or not self._saved():
            return
        beat = at - self._last_beat >= beat_seconds
        attempt = producer.attempt
        stored = producer.stored
        length = attempt.delivered_bytes if stored or producer.start.keeps_answer else 0
        if length == self._saved_length and attempt.upstream_id == self._saved_upstream_id and not beat:
            return
        self.next_save = at + pause
        self._saved_length, self._saved_upstream_id = length, attempt.upstream_id
        self._beating = at if beat else None
        answer = producer.answer
        self._progress = producer.batcher.submit(
            Progress(
                generation_id=producer.generation_id,
                hold_id=producer.generation.hold_id,
                message_id=producer.generation.message_id if stored else None,
                content=answer.text() if stored else None,
                reasoning=answer.thoughts() if stored else None,
                upstream_id=attempt.upstream_id,
                delivered_bytes=attempt.delivered_bytes,
                beat=beat,
                kept=self.kept(),
                provider=attempt.provider,
            )
        )

    def kept(self) -> Kept | None:
        """The answer as it is kept for whoever asks again with the same key; None when it is not."""
        producer = self._producer
        if not producer.start.keeps_answer:
            return None
        answer = producer.answer
        return Kept(producer.generation_id, answer.text(), answer.thoughts(), tool_calls.joined(answer.tool_calls))

    def _saved(self) -> bool:
        """Take note of how the last save went; False when there is nothing more to save yet."""
        progress = self._progress
        if progress is None:
            return True
        if not progress.done():
            return False
        self._progress = None
        if progress.cancelled() or progress.exception() is not None:
            self._saved_length = -1  # nothing of it is there: say all, and that we live, at once
            self._last_beat = float("-inf")
            return True
        if self._beating is not None:
            self._last_beat = self._beating
        if progress.result():
            self._producer.stop("stop")
            return False
        return True

    def stretch(self) -> None:
        """Hold more for a model that writes past its cap, and end the answer softly where nothing more is left.

        How much was written is an estimate until the bill comes: a model that keeps its cap may seem to be a
        little past it, none seems to be at twice of it.
        """
        producer = self._producer
        if producer.silent or producer.ending:
            return
        written = estimate_bytes(producer.attempt.delivered_bytes)
        extension = self._extension
        if extension is not None and extension.done():
            failed = extension.cancelled() or extension.exception() is not None
            granted = 0 if failed else extension.result()
            self._extension = None
            self._covered += granted
            self._spent_out = not granted
        if written > self._covered and self._extension is None and not self._spent_out:
            self._stretched += 1
            hold, more = producer.generation, written - self._covered + STRETCH_TOKENS
            wish = Extend(producer.started.user_id, hold.hold_id, hold.ask, more, self._stretched)
            self._extension = producer.batcher.submit(wish)
        if self._spent_out and written > 2 * self._covered:
            producer.stop("quota")
