"""Calls to OpenRouter and to servers that speak its language. Knows HTTP and the wire, no tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from chat.openrouter.errors import refusal_of_answer
from chat.openrouter.wire import Usage, read_cost
from oneai.kit.errors import Refusal
from oneai.kit.http import Answer, HTTPFailure, Streams


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a call goes and with which key. ``openrouter`` is False for a plain OpenAI-compatible server."""

    base_url: str
    key: str
    openrouter: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    """How we present ourselves: for attribution, and so that abuse is blocked by user, not by account."""

    url: str
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """One chat completion. ``max_tokens`` is always sent: without it a credit check assumes the maximum.

    ``reference`` is our name for the call, its hold's: who looks at the upstream's log finds it in the ledger.
    """

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int
    user: str
    reference: str
    params: dict[str, Any] = field(default_factory=dict)


# What a caller may set; everything else is ours or is refused at the door.
PASSED_ON: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "logit_bias",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "verbosity",
)


def request_body(endpoint: Endpoint, call: Call) -> bytes:
    """The body: always a stream, since only a stream can be cancelled."""
    body: dict[str, Any] = {"model": call.model, "messages": call.messages, "stream": True}
    body |= {name: value for name, value in call.params.items() if name in PASSED_ON}
    if endpoint.openrouter:
        body["max_completion_tokens"] = call.max_tokens
        body["user"] = call.user
        body["metadata"] = {"call": call.reference}
        # What the user sent arrives whole: the context is fitted here, where we can say so.
        body["plugins"] = [{"id": "context-compression", "enabled": False}]
        if effort := call.params.get("reasoning_effort"):
            body["reasoning"] = {"effort": effort}
    else:
        body["max_tokens"] = call.max_tokens
        body["stream_options"] = {"include_usage": True}
        if effort := call.params.get("reasoning_effort"):
            body["reasoning_effort"] = effort
    return orjson.dumps(body)


def request_headers(endpoint: Endpoint, site: Site) -> dict[str, str]:
    """Authentication and attribution."""
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    if endpoint.openrouter:
        headers["HTTP-Referer"] = site.url
        headers["X-OpenRouter-Title"] = site.name
    return headers


async def open_stream(streams: Streams, endpoint: Endpoint, site: Site, call: Call) -> Answer:
    """Send the call; returns once a stream has begun. Refusal for every other answer."""
    try:
        answer = await streams.post(
            f"{endpoint.base_url}/chat/completions",
            headers=request_headers(endpoint, site),
            body=request_body(endpoint, call),
        )
    except HTTPFailure as failure:
        raise Refusal("upstream_error", details={"upstream_status": None}) from failure
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status == 200 and kind == "text/event-stream":
        return answer
    try:
        body = await answer.body()
    except HTTPFailure:
        body = b""
    finally:
        answer.close()
    raise refusal_of_answer(answer.status, answer.headers, body)


def read_generation(value: Any) -> Usage | None:
    """The billed tokens and dollars of a generation record; None when it lacks them."""
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, dict):
        return None
    numbers = {
        name: data.get(key)
        for name, key in {
            "prompt_tokens": "native_tokens_prompt",
            "completion_tokens": "native_tokens_completion",
            "reasoning_tokens": "native_tokens_reasoning",
            "cached_tokens": "native_tokens_cached",
        }.items()
    }
    counts = {name: int(number) if isinstance(number, int | float) else 0 for name, number in numbers.items()}
    if numbers["prompt_tokens"] is None or numbers["completion_tokens"] is None:
        return None
    if any(not 0 <= count < 2**53 for count in counts.values()):
        return None
    counts["cached_tokens"] = min(counts["cached_tokens"], counts["prompt_tokens"])
    return Usage(**counts, cost=read_cost(data.get("total_cost")))
