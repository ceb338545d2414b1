"""The streamed form of an answer."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.jsontext import compact
from sandbox.pace import Metronome, rest
from sandbox.world import Dispatch, World

from . import finish
from .bill import Bill, Piece
from .scenarios import Scenario
from .script import Script
from .writer import Writer

ERROR = {"message": "Provider disconnected", "metadata": {"error_type": "provider_unavailable"}}
COMMENT_SECONDS = 0.5
"""Seconds between two lines of a stream that has nothing but comments."""


class Streaming:
    """One answer on its way out."""

    def __init__(
        self,
        world: World,
        writer: Writer,
        dispatch: Dispatch,
        script: Script,
        bill: Bill,
        scenario: Scenario | None,
    ) -> None:
        self.world = world
        self.writer = writer
        self.dispatch = dispatch
        self.script = script
        self.bill = bill
        self.scenario = scenario or Scenario("", "")
        head = {
            "id": dispatch.generation_id,
            "provider": dispatch.provider,
            "model": dispatch.model,
            "object": "chat.completion.chunk",
            "created": int(dispatch.created),
        }
        if self.scenario.strange_fields:
            head |= {"future": {"field": [1, None, {}]}, "service_tier": "cosmic"}
        self._head = compact(head)[:-1]
        self._padded = False

    def _chunk(self, delta: bytes, reason: str | None = None, native: str | None = None, more: bytes = b"") -> bytes:
        extra = b""
        if self.scenario.usage == "each":
            extra += b',"usage":' + compact(self.bill.usage())
        if self.scenario.pads and not self._padded:
            self._padded = True
            extra += b',"debug":"' + b"x" * self.scenario.pads + b'"'
        if self.scenario.strange_fields:
            more += b',"weather":"sunny"'
        closing = compact({"finish_reason": reason, "native_finish_reason": native, "logprobs": None})[1:-1]
        return b"".join(
            (self._head, b',"choices":[{"index":0,"delta":', delta, b",", closing, more, b"}]", extra, b"}")
        )

    def _piece(self, piece: Piece) -> bytes:
        if piece.raw is not None:
            return self._chunk(b'{"role":"assistant","content":' + piece.raw + b"}")
        delta = {"role": "assistant", **piece.delta}
        if self.scenario.strange_fields:
            delta["mood"] = "calm"
        return self._chunk(compact(delta))

    async def run(self) -> None:
        """Sends everything and settles the dispatch, whichever way it ends."""
        await self.writer.open()
        if not await self._before():
            finish.cancelled(self.world, self.dispatch, self.bill)
            return
        if await self._pieces():
            await self._after()

    async def _before(self) -> bool:
        pace, scenario, writer = self.world.pace, self.scenario, self.writer
        if scenario.leading:
            await writer.raw(scenario.leading.encode())
        for number in range(scenario.comments_before):
            if number and not await rest(pace.comment_gap, writer.gone):
                return self._goes_on()
            await writer.comment()
        if scenario.endless_comments:
            while await rest(COMMENT_SECONDS, writer.gone):
                await writer.comment()
            return False
        if scenario.stall_first and not await rest(self.world.stall_seconds, writer.gone):
            return False
        return await rest(pace.first_token, writer.gone) or self._goes_on()

    def _goes_on(self) -> bool:
        return not self.bill.model.stops_on_cancel

    async def _pieces(self) -> bool:
        """Sends the text; False when the answer has ended here, settled."""
        scenario, writer = self.scenario, self.writer
        metronome = Metronome(scenario.rate or self.world.pace.rate)
        pieces = self.script.pieces
        break_at = min(scenario.break_after, len(pieces)) if scenario.breaks else -1
        for number, piece in enumerate(pieces):
            if number == break_at and not await self._break():
                return False
            if not await metronome.wait(piece.tokens, writer.gone):
                if not self._goes_on():
                    finish.cancelled(self.world, self.dispatch, self.bill)
                    return False
                await metronome.wait(0, lambda: False)
            if scenario.comments_between and number % scenario.comments_between == 1:
                await writer.comment()
            self.bill.add(piece)
            await writer.event(self._piece(piece))
        if break_at == len(pieces):
            return await self._break()
        return True

    async def _break(self) -> bool:
        """What the scenario does in the middle; True when the answer goes on after it."""
        writer = self.writer
        await writer.flush()
        match self.scenario.breaks:
            case "stall":
                await rest(self.world.stall_seconds, writer.gone)
                return True
            case "malformed":
                await writer.event(self._head + b',"choices":[{"index":0,"delta":{"content":"bro')
                return True
            case "cut" | "reset":
                finish.interrupted(self.world, self.dispatch, self.bill)
                writer.cut(reset=self.scenario.breaks == "reset")
                return False
            case "end":
                finish.interrupted(self.world, self.dispatch, self.bill)
                await writer.close()
                return False
        finish.failed(self.world, self.dispatch, self.bill)
        await writer.event(self._error())
        if self.scenario.breaks == "error-with-usage":
            await writer.event(self._usage([], self.bill.usage()))
            await writer.event(b"[DONE]")
        await writer.close()
        return False

    def _error(self) -> bytes:
        if self.scenario.breaks == "choice-error":
            error = compact({"code": 502, **ERROR})
            return self._chunk(b'{"role":"assistant","content":""}', "error", more=b',"error":' + error)
        code: int | str = "server_error" if self.scenario.breaks == "error-string-code" else 502
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": None}
        ]
        if self.scenario.breaks == "error-no-choices":
            choices = []
        tail = compact({"error": {"code": code, **ERROR}, "choices": choices})[1:]
        return self._head + b"," + tail

    def _usage(self, choices: list[Any], usage: object) -> bytes:
        return self._head + b"," + compact({"choices": choices, "usage": usage})[1:]

    async def _after(self) -> None:
        """Finish reason, usage, [DONE]. Settled first, so that whoever reads the end finds the bill."""
        scenario, writer, script, bill = self.scenario, self.writer, self.script, self.bill
        reason = None if scenario.drop_finish else script.finish
        bill.free = scenario.free_when_empty and not bill.completion_tokens
        if scenario.cut_after_finish:
            finish.interrupted(self.world, self.dispatch, bill)
        else:
            finish.completed(self.world, self.dispatch, bill, reason)
        if not scenario.drop_finish:
            delta: dict[str, Any] = {"role": "assistant", "content": ""}
            if script.annotations:
                delta["annotations"] = script.annotations
            await writer.event(self._chunk(compact(delta), reason, script.native_finish))
        if scenario.cut_after_finish:
            await writer.flush()
            writer.cut()
            return
        await self._usages()
        if not scenario.drop_done:
            await writer.event(b"[DONE]")
        await writer.close()

    async def _usages(self) -> None:
        usage = self.bill.usage()
        choices: list[dict[str, Any]] = []
        match self.scenario.usage:
            case "none" | "each":
                return
            case "old":
                choices = [
                    {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None,
                     "native_finish_reason": None, "logprobs": None}
                ]  # fmt: skip
            case "no-cost":
                del usage["cost"]
            case "null-cost":
                usage["cost"] = None
            case "null-details":
                usage |= {"prompt_tokens_details": None, "completion_tokens_details": None}
            case "string":
                await self.writer.event(self._usage(choices, "unknown"))
                return
            case "twice":
                half = self.bill.completion_tokens // 2
                early = usage | {
                    "completion_tokens": half,
                    "total_tokens": half + self.bill.prompt_tokens,
                    "cost": usage["cost"] / 2,
                }
                await self.writer.event(self._usage(choices, early))
        await self.writer.event(self._usage(choices, usage))


async def stream(
    request: web.Request,
    world: World,
    dispatch: Dispatch,
    script: Script,
    bill: Bill,
    scenario: Scenario | None,
) -> web.StreamResponse:
    """Answers with an event stream."""
    writer = Writer(request, dispatch, scenario)
    await Streaming(world, writer, dispatch, script, bill, scenario).run()
    return writer.response
