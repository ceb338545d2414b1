"""Which keys are accepted, GET /key and GET /credits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox.jsontext import compact
from sandbox.world import WORLD, World

from .refusals import Refused, insufficient_credits, refusal

PREFIX = "sk-or-"


def check(request: web.Request, world: World, *, spends: bool = False) -> str:
    """The key of a request. Raises Refused: 401 without a good one; when it spends also 402 and 429.

    A key that contains `revoked` is unknown, `exhausted` has nothing left, `limited` is over its rate.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise refusal(401, "Missing Authentication header", "authentication")
    key = key.strip()
    if not key.startswith(PREFIX) or "revoked" in key:
        raise refusal(401, "User not found.", "authentication")
    if spends:
        if "limited" in key:
            raise refusal(429, "Rate limit exceeded", "rate_limit_exceeded", headers={"Retry-After": "2"})
        left = world.key_fields.get("limit_remaining")
        if "exhausted" in key or (left is not None and left <= 0):
            raise insufficient_credits()
    return key


def _answer(value: Any) -> web.Response:
    return web.Response(body=compact(value), content_type="application/json")


async def key(request: web.Request) -> web.Response:
    """What a key has spent and may spend. `POST /_control/key` changes any of it."""
    world = request.app[WORLD]
    try:
        name = check(request, world)
    except Refused as error:
        return error.response()
    spent = float(world.spent)
    limit = 10.0 if "exhausted" in name else None
    data: dict[str, Any] = {
        "label": f"{name[:9]}...{name[-3:]}",
        "limit": limit,
        "limit_remaining": 0.0 if limit else None,
        "limit_reset": None,
        "include_byok_in_limit": False,
        "usage": limit or spent,
        "usage_daily": spent,
        "usage_weekly": spent,
        "usage_monthly": spent,
        "byok_usage": 0,
        "is_free_tier": False,
        "is_management_key": False,
        "is_provisioning_key": False,
        "creator_user_id": "user_sandbox",
        "expires_at": None,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated"},
    }
    data |= world.key_fields
    return _answer({"data": data})


async def forbidden(request: web.Request) -> web.Response:
    """What needs a management key, which nobody has here."""
    try:
        check(request, request.app[WORLD])
    except Refused as error:
        return error.response()
    return refusal(403, "Only management keys can perform this operation", "permission_denied").response()


def set_fields(world: World, fields: dict[str, Any]) -> None:
    """Overrides fields of GET /key; numbers in USD."""
    for name in ("limit", "limit_remaining"):
        value = fields.get(name)
        if value is not None:
            Decimal(str(value))
    world.key_fields.update(fields)
