"""POST /chat/completions: who asks, which model answers, and the whole-body form of the answer."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from sandbox.jsontext import compact, parse
from sandbox.model import Model
from sandbox.pace import rest
from sandbox.world import WORLD, Dispatch, World

from . import keys, models, refusals
from .asked import Asked, read
from .bill import Bill
from .finish import cancelled, completed, failed, interrupted
from .raw import garbage
from .refusals import Refused, refusal
from .scenarios import SCENARIOS, Scenario
from .script import Script, write
from .stream import stream
from .writer import end_connection

SCENARIO_HEADER = "X-Sandbox-Scenario"
"""A request header that puts any scenario on any model."""


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answers a chat request, or refuses it; both are kept for `/_control/dispatches`."""
    world = request.app[WORLD]
    asked: Asked | None = None
    try:
        keys.check(request, world, spends=True)
        asked = read(await _body(request))
        model, scenario = _choose(request, world, asked)
    except Refused as error:
        _note_refusal(world, asked, error)
        return error.response()
    dispatch = _dispatch(world, asked, model, scenario)
    world.remember(dispatch)
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() != "authorization"}
    script = write(asked, model, scenario, headers)
    bill = Bill(model, script.prompt_tokens, script.cached_tokens, script.searches, asked.images)
    if scenario and scenario.stall_headers:
        left = not await rest(world.stall_seconds, lambda: _gone(request))
        if left:
            dispatch.disconnected_at = time.time()
            cancelled(world, dispatch, bill)
            return web.Response()
    if scenario and scenario.raw:
        failed(world, dispatch, bill)
        return garbage(request, scenario.raw, asked.stream, dispatch.generation_id)
    if scenario and scenario.body_error:
        failed(world, dispatch, bill)
        body = refusal(502, "Provider returned error", "provider_unavailable", provider_name="SandboxCloud").body
        return web.json_response(body, headers={"X-Generation-Id": dispatch.generation_id})
    if asked.stream:
        return await stream(request, world, dispatch, script, bill, scenario)
    return await _whole(request, world, dispatch, script, bill, scenario)


async def _body(request: web.Request) -> object:
    try:
        return parse(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise refusal(413, "Request payload too large", "payload_too_large") from None
    except ValueError:
        raise refusals.invalid("Invalid JSON in the request body") from None


def _gone(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


def _choose(request: web.Request, world: World, asked: Asked) -> tuple[Model, Scenario | None]:
    """The first of the asked models that would answer. Raises the last refusal when none does."""
    last = refusals.invalid("model: required")
    named = request.headers.get(SCENARIO_HEADER)
    if named is not None and named not in SCENARIOS:
        raise refusals.invalid(f"{SCENARIO_HEADER}: no scenario is called {named}")
    for name in asked.models:
        model = models.find(name)
        if model is None:
            raise refusals.unknown_model(name)
        ordered = named or world.planned_fault(name) or model.scenario
        scenario = SCENARIOS[ordered] if ordered else None
        refused = _refusal(asked, model, scenario)
        if refused is None:
            return model, scenario
        last = refused
    raise last


def _refusal(asked: Asked, model: Model, scenario: Scenario | None) -> Refused | None:
    if model.expires is not None and model.expires < time.strftime("%Y-%m-%d"):
        return refusals.scripted("404-deprecated", model.id, 0)
    if asked.images and "image" not in model.inputs:
        return refusal(404, "No endpoints found that support image input", "not_found")
    if asked.tools and "tools" not in model.parameters:
        return refusal(404, "No endpoints found that support tool use", "not_found")
    if model.context_length is not None:
        tokens = asked.prompt_tokens
        if tokens + (asked.cap or 0) > model.context_length:
            return refusal(
                400,
                f"This endpoint's maximum context length is {model.context_length} tokens. However, you "
                f"requested about {tokens + (asked.cap or 0)} tokens ({tokens} of text input, "
                f"{asked.cap or 0} in the output). Please reduce the length of either one.",
                "context_length_exceeded",
            )
    if scenario and scenario.http:
        return refusals.scripted(scenario.http, model.id, asked.cap or model.max_output or 4096)
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _dispatch(world: World, asked: Asked, model: Model, scenario: Scenario | None) -> Dispatch:
    return Dispatch(
        generation_id=world.new_generation_id(),
        requested=asked.models,
        model=model.id,
        provider=model.provider,
        scenario=scenario.name if scenario else None,
        user=_text(asked.body.get("user")),
        session_id=_text(asked.body.get("session_id")),
        max_tokens=asked.cap,
        streamed=asked.stream,
        metadata=asked.body.get("metadata"),
    )


def _note_refusal(world: World, asked: Asked | None, error: Refused) -> None:
    dispatch = Dispatch(
        generation_id=world.new_generation_id(),
        requested=asked.models if asked else [],
        model=asked.models[-1] if asked else "",
        provider="",
        scenario=None,
        user=_text(asked.body.get("user")) if asked else None,
        session_id=_text(asked.body.get("session_id")) if asked else None,
        max_tokens=asked.cap if asked else None,
        streamed=bool(asked and asked.stream),
        metadata=asked.body.get("metadata") if asked else None,
        state="refused",
        http_status=error.status,
        ended=time.time(),
    )
    world.remember(dispatch)


async def _whole(
    request: web.Request,
    world: World,
    dispatch: Dispatch,
    script: Script,
    bill: Bill,
    scenario: Scenario | None,
) -> web.StreamResponse:
    """The answer as one JSON body. A reader that leaves changes nothing: all of it is billed."""
    breaks = scenario.breaks if scenario else None
    pieces = script.pieces
    if breaks and scenario and breaks not in ("stall", "malformed"):
        pieces = pieces[: scenario.break_after]
    for piece in pieces:
        bill.add(piece)
    rate = scenario.rate if scenario and scenario.rate else world.pace.rate
    seconds = world.pace.first_token + (bill.completion_tokens / rate if rate else 0)
    if scenario and (scenario.stall_first or breaks == "stall"):
        seconds += world.stall_seconds
    if seconds and not await rest(seconds, lambda: _gone(request)):
        dispatch.disconnected_at = time.time()
    body = _json(dispatch, script, bill, pieces, scenario)
    if breaks in ("cut", "reset", "end"):
        interrupted(world, dispatch, bill)
    elif breaks and breaks not in ("stall", "malformed"):
        failed(world, dispatch, bill)
        body["choices"][0] |= {
            "finish_reason": "error",
            "error": {"code": 502, "message": "Provider disconnected",
                      "metadata": {"error_type": "provider_unavailable"}},
        }  # fmt: skip
        body.pop("usage")
    else:
        bill.free = _free(scenario, bill)
        completed(world, dispatch, bill, None if scenario and scenario.drop_finish else script.finish)
        _shape_usage(body, bill, scenario)
    raw = _bytes(body, pieces)
    if scenario and scenario.leading:
        raw = scenario.leading.encode() + raw
    if breaks == "malformed":
        raw = raw[:-10] + b"}}}]"
    headers = {"X-Generation-Id": dispatch.generation_id, "Content-Type": "application/json"}
    if breaks in ("cut", "reset"):
        response = web.StreamResponse(headers=headers | {"Content-Length": str(len(raw))})
        await response.prepare(request)
        await response.write(raw[: len(raw) // 2])
        end_connection(request, reset=breaks == "reset")
        return response
    if breaks == "end":
        raw = raw[: len(raw) // 2]
    return web.Response(body=raw, headers=headers)


def _free(scenario: Scenario | None, bill: Bill) -> bool:
    return bool(scenario and scenario.free_when_empty and not bill.completion_tokens)


def _json(
    dispatch: Dispatch, script: Script, bill: Bill, pieces: list[Any], scenario: Scenario | None
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None, "reasoning": None}
    calls: dict[int, dict[str, Any]] = {}
    details: list[dict[str, Any]] = []
    for piece in pieces:
        delta = piece.delta
        message["content"] += delta.get("content") or ""
        if delta.get("reasoning"):
            message["reasoning"] = (message["reasoning"] or "") + delta["reasoning"]
        for detail in delta.get("reasoning_details", ()):
            if details and detail["type"] == "reasoning.text" == details[-1]["type"]:
                details[-1]["text"] += detail["text"]
            else:
                details.append(dict(detail))
        for call in delta.get("tool_calls", ()):
            if call["index"] not in calls:
                calls[call["index"]] = call | {"function": dict(call["function"])}
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    if details:
        message["reasoning_details"] = details
    if calls:
        message |= {"content": None, "tool_calls": [calls[index] for index in sorted(calls)]}
    if script.annotations:
        message["annotations"] = script.annotations
    choice = {
        "index": 0,
        "finish_reason": None if scenario and scenario.drop_finish else script.finish,
        "native_finish_reason": script.native_finish,
        "logprobs": None,
        "message": message,
    }
    body = {
        "id": dispatch.generation_id,
        "object": "chat.completion",
        "created": int(dispatch.created),
        "model": dispatch.model,
        "provider": dispatch.provider,
        "system_fingerprint": None,
        "choices": [choice],
        "usage": bill.usage(),
    }
    if scenario and scenario.strange_fields:
        body |= {"future": {"field": [1, None, {}]}, "service_tier": "cosmic"}
        message["mood"] = "calm"
    if scenario and scenario.pads:
        body["debug"] = "x" * scenario.pads
    return body


def _shape_usage(body: dict[str, Any], bill: Bill, scenario: Scenario | None) -> None:
    body["usage"] = bill.usage()
    match scenario.usage if scenario else "current":
        case "none":
            del body["usage"]
        case "no-cost":
            del body["usage"]["cost"]
        case "null-cost":
            body["usage"]["cost"] = None
        case "null-details":
            body["usage"] |= {"prompt_tokens_details": None, "completion_tokens_details": None}
        case "string":
            body["usage"] = "unknown"


def _bytes(body: dict[str, Any], pieces: list[Any]) -> bytes:
    """The JSON, with the raw bytes of difficult pieces where the stream would have them."""
    raws = b"".join(piece.raw[1:-1] for piece in pieces if piece.raw)
    if not raws:
        return compact(body)
    content = body["choices"][0]["message"]["content"]
    body["choices"][0]["message"]["content"] = "\u0001raw\u0001" + content
    return compact(body).replace(b"\\u0001raw\\u0001", raws)
