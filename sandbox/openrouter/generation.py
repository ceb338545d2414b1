"""GET /generation: the record of what was billed, slow to appear after an interruption, and never when it is lost."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from sandbox.jsontext import compact
from sandbox.model import STOPS
from sandbox.tokens import PER_REPLY
from sandbox.world import WORLD, Dispatch

from . import keys
from .refusals import Refused, invalid, refusal

HIDDEN_LOOKUPS = 2
"""Look-ups of an interrupted generation that are answered 404 before its record appears."""


async def generation(request: web.Request) -> web.Response:
    """The record of one generation; 404 while it runs, when unknown, and twice after an interruption."""
    world = request.app[WORLD]
    try:
        keys.check(request, world)
        wanted = request.query.get("id")
        if not wanted:
            raise invalid("id: required")
        dispatch = world.dispatches.get(wanted)
        if dispatch is None or dispatch.state == "refused" or dispatch.lost:
            raise _missing(wanted)
        dispatch.lookups += 1
        if dispatch.state == "running":
            dispatch.lookups = 0
            raise _missing(wanted)
        if dispatch.interrupted and dispatch.lookups <= HIDDEN_LOOKUPS:
            raise _missing(wanted)
    except Refused as error:
        return error.response()
    return web.Response(body=compact({"data": record(dispatch)}), content_type="application/json")


def _missing(wanted: str) -> Refused:
    return refusal(404, f"Generation {wanted} not found", "not_found")


def record(dispatch: Dispatch) -> dict[str, object]:
    """The billed figures (`native_tokens_*`, `total_cost` in USD), and normalised counts unlike them."""
    ended = dispatch.ended or dispatch.created
    cost = float(dispatch.cost)
    return {
        "id": dispatch.generation_id,
        "upstream_id": "chatcmpl-sandbox",
        "model": dispatch.model,
        "created_at": datetime.fromtimestamp(dispatch.created, UTC).isoformat(),
        "api_type": "completions",
        "provider_name": dispatch.provider or STOPS,
        "streamed": dispatch.streamed,
        "cancelled": dispatch.cancelled,
        "finish_reason": dispatch.finish_reason,
        "native_finish_reason": dispatch.finish_reason,
        "tokens_prompt": max(0, dispatch.prompt_tokens - PER_REPLY),
        "tokens_completion": dispatch.completion_tokens + dispatch.completion_tokens // 10,
        "native_tokens_prompt": dispatch.prompt_tokens,
        "native_tokens_completion": dispatch.completion_tokens,
        "native_tokens_reasoning": dispatch.reasoning_tokens,
        "native_tokens_cached": dispatch.cached_tokens,
        "native_tokens_completion_images": None,
        "num_media_prompt": None,
        "num_media_completion": None,
        "num_search_results": None,
        "usage": cost,
        "total_cost": cost,
        "upstream_inference_cost": None,
        "cache_discount": None,
        "is_byok": False,
        "latency": 350,
        "generation_time": int((ended - dispatch.created) * 1000),
        "moderation_latency": None,
        "app_id": 1,
        "external_user": dispatch.user,
        "session_id": dispatch.session_id,
        "origin": "",
        "http_referer": None,
        "router": None,
        "service_tier": None,
        "provider_responses": [{"provider_name": dispatch.provider, "status": 200}],
    }
