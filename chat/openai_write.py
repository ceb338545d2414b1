"""A turn in OpenAI's shapes: a whole completion, or its chunks.

Chunks are written anew, never relayed: clients concatenate what providers repeat.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from chat import events, tool_calls
from chat.events import Event
from chat.openai_read import CompletionRequest
from chat.replay import Answer, TurnStream, follow
from chat.tool_calls import Fragment
from oneai.kit import sse
from oneai.kit.errors import CODES, Refusal
from oneai.kit.gate import current_request_id

FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})


def refusal_of(closing: Event) -> Refusal:
    """The refusal that a failed message stands for."""
    error = closing.data["error"]
    code = error["code"] if error["code"] in CODES else "upstream_error"
    details = error.get("details") or {}
    return Refusal(
        code,
        error["message"],
        param=error.get("param"),
        details=details or None,
        retry_after=details.get("retry_after"),
    )


def completion(stream: TurnStream, asked: CompletionRequest) -> dict[str, Any]:
    """The body of an answer that is not streamed; the turn has been completed."""
    answer = stream.answers[0]
    assert answer.closing is not None
    calls = [_plain(call) for call in tool_calls.joined(answer.tool_calls)]
    text = answer.text()
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if calls and asked.functions:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    reason = _finish_reason(answer, answer.closing, asked)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return _frame(stream, answer, "chat.completion") | {"choices": [choice], "usage": _usage(answer.closing)}


async def chunks(stream: TurnStream, asked: CompletionRequest) -> AsyncIterator[bytes]:
    """The chunks as server-sent events, then ``[DONE]``, or an error event and nothing more."""
    answer = stream.answers[0]
    frame = _frame(stream, answer, "chat.completion.chunk")
    if asked.include_usage:
        frame["usage"] = None
    # Everything but the text is the same in every chunk of text: encode it once.
    marker = "\x00text\x00"
    head, _, tail = _choice(frame, {"content": marker}, None).partition(orjson.dumps(marker))
    calls = tool_calls.Writer()
    yield _choice(frame, {"role": "assistant", "content": ""}, None)
    async for group in follow(stream):
        out: list[bytes] = []
        for event in group:
            if event.name == events.MESSAGE_DELTA:
                out.append(head + orjson.dumps(event.data["text"]) + tail)
            elif event.name == events.MESSAGE_REASONING:
                out.append(_choice(frame, {"reasoning_content": event.data["text"]}, None))
            elif event.name == events.MESSAGE_COMPLETED:
                out += _calls(frame, calls, answer, asked)
                out.append(_choice(frame, {}, _finish_reason(answer, event, asked)))
                if asked.include_usage:
                    out.append(sse.encode_data(orjson.dumps(frame | {"choices": [], "usage": _usage(event)})))
                out.append(sse.encode_data(b"[DONE]"))
            elif event.name == events.MESSAGE_FAILED:
                out.append(refused(refusal_of(event)))
        if answer.closing is None:
            out += _calls(frame, calls, answer, asked)
        if out:
            yield b"".join(out)
        elif not group:
            yield sse.COMMENT


def refused(refusal: Refusal) -> bytes:
    """The event that ends a stream without ``[DONE]``."""
    return sse.encode_data(orjson.dumps(refusal.body(current_request_id(), openai=True)))


def _frame(stream: TurnStream, answer: Answer, kind: str) -> dict[str, Any]:
    created = stream.turn_id.int >> 80  # the milliseconds of a version 7 id
    return {
        "id": f"chatcmpl-{stream.turn_id.hex}",
        "object": kind,
        "created": created // 1000 or int(time.time()),
        "model": answer.model,
        "system_fingerprint": None,
    }


def _choice(frame: dict[str, Any], delta: dict[str, Any], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return sse.encode_data(orjson.dumps(frame | {"choices": [choice]}))


def _calls(frame: dict[str, Any], writer: tool_calls.Writer, answer: Answer, asked: CompletionRequest) -> list[bytes]:
    fresh = writer.new(answer.tool_calls)
    if asked.functions:
        return [_choice(frame, {"function_call": call["function"]}, None) for call in fresh if call["index"] == 0]
    return [_choice(frame, {"tool_calls": [call]}, None) for call in fresh]


def _plain(call: Fragment) -> Fragment:
    return {name: value for name, value in call.items() if name != "index"}


def _finish_reason(answer: Answer, closing: Event, asked: CompletionRequest) -> str:
    """A reason that OpenAI's clients know. Some providers end a call of tools with ``stop``."""
    reason = closing.data.get("finish_reason") or "stop"
    if reason == "quota":
        return "length"
    if answer.tool_calls and reason in {"stop", "tool_calls"}:
        return "function_call" if asked.functions else "tool_calls"
    return reason if reason in FINISH_REASONS else "stop"


def _usage(closing: Event) -> dict[str, Any]:
    usage = closing.data.get("usage") or {}
    return {
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "total_tokens": usage.get("total_tokens", 0),
        "prompt_tokens_details": {"cached_tokens": usage.get("cached_tokens", 0)},
        "completion_tokens_details": {"reasoning_tokens": usage.get("reasoning_tokens", 0)},
        "cost_usd": usage.get("cost_usd", "0"),
        "estimated": usage.get("estimated", False),
    }
