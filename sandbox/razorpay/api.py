"""The door of `/razorpay/v1`: keys, faults, and which function answers what."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox.world import WORLD

from . import faults, for_links, for_payments, for_subscriptions
from .account import Account
from .asked import Asked
from .keys import same
from .refusals import UNKNOWN_URL, Refused
from .service import Service

BASE = "/razorpay/v1"
Handler = Callable[..., Any]


def _compiled(routes: Mapping[str, Handler]) -> list[tuple[str, re.Pattern[str], Handler]]:
    found = []
    for route, handler in routes.items():
        method, _, path = route.partition(" ")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_]+)", path)
        found.append((method, re.compile(pattern), handler))
    return found


ROUTES = _compiled(for_subscriptions.ROUTES | for_payments.ROUTES | for_links.ROUTES)


def _credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        raise Refused("Authentication failed", status=401)
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise Refused("Authentication failed", status=401) from None
    return name, secret


def _account(service: Service, request: web.Request) -> Account:
    name, secret = _credentials(request)
    account = service.account_of(name)
    if account is None:
        raise Refused("The api key provided is invalid", status=401)
    if not same(secret, account.keys.secret):
        raise Refused("Authentication failed", status=401)
    return account


async def _fields(request: web.Request) -> Mapping[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    raw = await request.read()
    if not raw.strip():
        return {}
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    try:
        found = json.loads(raw)
    except ValueError:
        raise Refused("The request body is no valid JSON") from None
    if found == []:
        return {}
    if not isinstance(found, dict):
        raise Refused("The request body must be a JSON object")
    return found


async def _answer(service: Service, request: web.Request, path: str) -> Any:
    account = _account(service, request)
    fields = await _fields(request)
    service.catch_up()
    for method, pattern, handler in ROUTES:
        found = pattern.fullmatch(path)
        if found is None or method != request.method:
            continue
        if not account.habits.subscriptions_enabled and path.split("/")[1] in ("plans", "subscriptions", "addons"):
            break
        return handler(account, Asked(fields), request.headers, **found.groupdict())
    raise Refused(UNKNOWN_URL)


async def _said(service: Service, request: web.Request, path: str) -> web.Response:
    try:
        return web.json_response(await _answer(service, request, path))
    except Refused as no:
        return web.json_response(no.body, status=no.status)


async def _break(request: web.Request, *, abruptly: bool) -> web.Response:
    """Ends the connection without an answer; what is returned goes nowhere."""
    if request.transport is not None:
        if abruptly:
            request.transport.abort()
        else:
            request.transport.close()
    return web.Response(status=500)


async def call(request: web.Request) -> web.Response:
    """Any call of the API."""
    service = request.app[WORLD].razorpay
    path = request.path.removeprefix(BASE).rstrip("/")
    fault = faults.take(service.faults, request.method, path)
    if fault is None:
        return await _said(service, request, path)
    answer = await _said(service, request, path) if fault.name in faults.AFTER else None
    if fault.name in ("timeout", "lost"):
        await asyncio.sleep(fault.seconds)
        return await _break(request, abruptly=False)
    if fault.name in ("reset", "lost-reset"):
        return await _break(request, abruptly=True)
    if fault.name in faults.PAGES:
        status, text = faults.PAGES[fault.name]
        return web.Response(status=status, text=text, content_type="text/html")
    if (no := faults.refusal(fault.name)) is not None:
        headers = {"Retry-After": "1"} if no.status == 429 else None
        return web.json_response(no.body, status=no.status, headers=headers)
    if fault.name == "garbage" or answer is None:
        return web.Response(text='{"entity":', content_type="application/json")
    await asyncio.sleep(fault.seconds)
    return answer


def add(app: web.Application) -> None:
    """Adds the path."""
    app.router.add_route("*", BASE + "/{rest:.*}", call)
