"""The ASGI entry: gate, then static files, hot routes and Django; start-up and shutdown."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()

from urllib.parse import urlsplit  # noqa: E402 (the apps must be loaded first)

from channels.routing import URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import re_path  # noqa: E402
from servestatic import ServeStaticASGI  # noqa: E402

from chat import door, engine  # noqa: E402
from oneai import watching  # noqa: E402
from oneai.hot_routes import ROUTES, SOCKETS  # noqa: E402
from oneai.kit.errors import Refusal  # noqa: E402
from oneai.kit.gate import Gate, Policy, Receive, Scope, Send, current_request_id, is_api, send_refusal  # noqa: E402
from oneai.kit.hot import HotRoutes, Request  # noqa: E402
from oneai.kit.socket_gate import SocketGate  # noqa: E402

watching.start("web")

# The batcher's thread gives the interpreter up at every statement, and with the usual 5 ms would
# wait that long for it behind a busy loop, statement by statement.
sys.setswitchinterval(0.0003)

_hot = HotRoutes(ROUTES, door.knock)


async def _static_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await send_refusal(scope, send, Refusal("not_found"), current_request_id())


_static = ServeStaticASGI(
    _static_not_found,
    root=str(settings.STATIC_ROOT),
    prefix=settings.STATIC_URL,
    autorefresh=False,
    allow_all_origins=False,
    immutable_file_test=r"-[A-Za-z0-9_-]{8,}\.\w+$",
)


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].startswith(settings.STATIC_URL):
        await _static(scope, receive, send)
        return
    if "\0" in scope["path"]:
        await send_refusal(scope, send, Refusal("not_found"), current_request_id())
        return
    await engine.ensure_started()
    if not await _hot(scope, receive, send):
        if is_api(scope["path"]) and not scope["body"].small:
            # Django takes in the whole body before any view is asked who may send it.
            await door.knock(Request(scope, receive, send, {}))
        await _django(cast(dict[str, Any], scope), receive, cast(Any, send))


async def _no_socket(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal("not_found")


_socket_routes = URLRouter([*SOCKETS, re_path(r"", cast(Any, _no_socket))])


async def _socket(scope: Scope, receive: Receive, send: Send) -> None:
    await engine.ensure_started()
    await _socket_routes(scope, receive, send)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


_forms = (
    [_origin(settings.GOOGLE_BASE_URL or "https://accounts.google.com")] if settings.SOCIALACCOUNT_PROVIDERS else []
)
_payments = []
if settings.RAZORPAY_KEY_ID:
    _payments = [_origin(settings.RAZORPAY_CHECKOUT_URL), _origin(settings.RAZORPAY_BASE_URL)]
    if _payments[0].endswith(".razorpay.com"):
        _payments.append("https://*.razorpay.com")
_gate = Gate(
    _route,
    Policy(
        site_url=settings.SITE_URL,
        form_targets=_forms,
        cors_origins=settings.CORS_ALLOWED_ORIGINS,
        proxies=settings.TRUSTED_PROXIES,
        payment_origins=_payments,
        hosts=settings.ALLOWED_HOSTS,
    ),
)


_socket_gate = SocketGate(_socket, _gate)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await engine.ensure_started(lifespan=True)
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await engine.shut_down()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The application that uvicorn (or any ASGI server) runs."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        await _gate(scope, receive, send)
    elif scope["type"] == "websocket":
        await _socket_gate(scope, receive, send)
