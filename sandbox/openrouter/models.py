"""GET /models and its relatives."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.catalogue import HEALTHY, ODD
from sandbox.jsontext import compact
from sandbox.model import Model

from .refusals import refusal, unknown_model
from .scenarios import scenario_models

MODELS: dict[str, Model] = {model.id: model for model in (*HEALTHY, *scenario_models(), *ODD)}
DYNAMIC_SUFFIXES = (":nitro", ":floor", ":exacto", ":online")
MAX_PAGE = 1000


def find(name: str) -> Model | None:
    """The model that answers to a name: dynamic suffixes are dropped, routers lead to a real model."""
    for suffix in DYNAMIC_SUFFIXES:
        name = name.removesuffix(suffix)
    model = MODELS.get(name)
    return MODELS[model.resolves_to] if model is not None and model.resolves_to else model


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=compact(value), content_type="application/json")


def _number(request: web.Request, name: str, default: int) -> int:
    try:
        return max(0, min(MAX_PAGE, int(request.query.get(name, default))))
    except ValueError:
        return default


async def list_models(request: web.Request) -> web.Response:
    """The catalogue; in pages only when `limit` or `offset` is given."""
    rows = [model.as_json() for model in MODELS.values()]
    wanted = request.query.get("supported_parameters")
    if wanted:
        rows = [row for row in rows if set(wanted.split(",")) <= set(row.get("supported_parameters", ()))]
    total = len(rows)
    following = None
    if "limit" in request.query or "offset" in request.query:
        offset, limit = _number(request, "offset", 0), _number(request, "limit", 500)
        rows = rows[offset : offset + limit]
        if offset + limit < total:
            following = str(request.rel_url.with_query({"offset": offset + limit, "limit": limit}))
    return _json({"data": rows, "total_count": total, "links": {"next": following}})


async def count_models(_: web.Request) -> web.Response:
    """How many models there are."""
    return _json({"data": {"count": len(MODELS)}})


def _named(request: web.Request) -> str:
    return f"{request.match_info['author']}/{request.match_info['slug']}"


async def one_model(request: web.Request) -> web.Response:
    """One row of the catalogue; routers and variants lead to the model behind them."""
    model = find(_named(request))
    if model is None:
        return refusal(404, "Model not found", "not_found").response()
    return _json({"data": model.as_json()})


async def endpoints(request: web.Request) -> web.Response:
    """Who serves a model."""
    model = find(_named(request))
    if model is None:
        return unknown_model(_named(request)).response()
    served = {
        "name": f"{model.provider} | {model.id}",
        "provider_name": model.provider,
        "context_length": model.context_length,
        "max_completion_tokens": model.max_output,
        "pricing": dict(model.pricing),
        "quantization": "unknown",
        "status": 0,
        "uptime_last_30m": 100.0,
        "supported_parameters": list(model.parameters),
    }
    return _json({"data": {"id": model.id, "name": model.name, "endpoints": [served]}})
