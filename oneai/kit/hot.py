"""Hot routes: bare ASGI handlers for the few paths where a thread per request would cost the most.

They stand behind the same gate as every other route and use the same authenticator, errors and
URL-visible behaviour (docs/decisions/0040-hot-routes.md).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from oneai.kit.errors import Refusal
from oneai.kit.gate import Receive, Scope, Send, current_request_id

MAX_DEPTH: Final = 32


class Request:
    """What a hot handler sees of a request: headers in lower case, the whole body, the raw channel."""

    __slots__ = ("_cookies", "body", "headers", "method", "params", "path", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, params: dict[str, str]) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.params = params
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.body = b""
        self._cookies: dict[str, str] | None = None

    async def read(self) -> None:
        """Read the body; the gate counts it against the path's limit."""
        parts = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.body = parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def answered(self) -> bool:
        """Whether the status has gone out, so that nothing can be refused any more."""
        return "answered" in self.scope

    @property
    def cookies(self) -> dict[str, str]:
        if self._cookies is None:
            # Split only: the standard library's parser takes quadratic time on quoted values and drops
            # everything at the first cookie that it does not like. Ours are never quoted.
            pairs = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
            self._cookies = {name.strip(): value.strip() for name, _, value in pairs}
        return self._cookies

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return {name: values[-1] for name, values in pairs.items()}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Refusals ``unsupported_media_type``, ``invalid_json``."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal("unsupported_media_type")
        from oneai.kit.drf import read_json

        value = read_json(self.body)
        if not isinstance(value, dict):
            raise Refusal("invalid_json", "The body must be a JSON object.")
        return value


class ClientGone(Exception):
    """The client left before its request was whole: nobody is there to answer."""


Headers = list[tuple[bytes, bytes]]


async def send_json(request: Request, status: int, value: Any, headers: Headers | None = None) -> None:
    """Answer with JSON."""
    body = orjson.dumps(value, default=str)
    start: Headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await request.send({"type": "http.response.start", "status": status, "headers": start + (headers or [])})
    await request.send({"type": "http.response.body", "body": body})


async def send_refusal(request: Request, refusal: Refusal) -> None:
    """Answer with a refusal's body and headers."""
    openai = request.path.startswith("/v1/")
    extra = [(name.lower().encode(), value.encode()) for name, value in refusal.answer_headers(openai=openai).items()]
    await send_json(request, refusal.status, refusal.body(current_request_id(), openai=openai), extra)


Handler = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with ``{names}``, and its handler."""

    method: str
    path: str
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path) + r"\Z")


class HotRoutes:
    """Dispatches by exact path first, then by pattern; a known path with another method is 405."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._exact: dict[str, dict[str, Handler]] = {}
        self._patterns: list[tuple[re.Pattern[str], str, Handler]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((route.pattern, route.method, route.handler))
            else:
                self._exact.setdefault(route.path, {})[route.method] = route.handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer the request if its path is hot; False leaves it to the next."""
        path: str = scope["path"]
        params: dict[str, str] = {}
        methods = self._exact.get(path)
        if methods is None:
            methods = {}
            for pattern, method, handler in self._patterns:
                if match := pattern.match(path):
                    params = match.groupdict()
                    methods[method] = handler
            if not methods:
                return False
        request = Request(scope, receive, send, params)
        found = methods.get(scope["method"])
        if found is None:
            allowed = ", ".join(sorted(methods))
            await send_refusal(request, Refusal("method_not_allowed", headers={"Allow": allowed}))
            return True
        try:
            await request.read()
            await found(request)
        except ClientGone:
            pass
        except Refusal as refusal:
            await send_refusal(request, refusal)
        return True
