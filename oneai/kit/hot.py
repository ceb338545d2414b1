"""Hot routes: bare ASGI handlers for the few paths where a thread per request would cost the most.

They stand behind the same gate as every other route and use the same authenticator, errors and
URL-visible behaviour (docs/decisions/0040-hot-routes.md).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from oneai.kit.errors import Refusal
from oneai.kit.gate import Message, Receive, Scope, Send, current_request_id
from oneai.kit.intake import Body
from oneai.kit.jsonbody import read_json

LARGE: Final = 256 * 1024  # bytes of a body that the loop does not read by itself
_readers = ThreadPoolExecutor(1, thread_name_prefix="bodies")


class Request:
    """What a hot handler sees of a request: headers in lower case, the whole body, the raw channel.

    The body is let go when the answer begins: a stream may last an hour.
    """

    __slots__ = (
        "_cookies",
        "_parsed",
        "_send",
        "body",
        "headers",
        "method",
        "params",
        "path",
        "receive",
        "scope",
        "send",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, params: dict[str, str]) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.send: Send = self._begin
        self.params = params
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        headers: dict[str, str] = {}
        for raw, value in scope["headers"]:
            name = raw.decode("latin-1").lower()
            # Those that may not be repeated don't come this far; the others are lists, also to Django.
            headers[name] = f"{headers[name]},{value.decode('latin-1')}" if name in headers else value.decode("latin-1")
        self.headers = headers
        self.body: bytes | bytearray = b""
        self._cookies: dict[str, str] | None = None
        self._parsed: Any = None

    async def _begin(self, message: Message) -> None:
        """The first message of the answer; those after it go out directly."""
        self.send = self._send
        self.body, self._parsed = b"", None
        await self._send(message)

    @property
    def incoming(self) -> Body:
        """The body as it comes in, before anything of it was read."""
        body: Body = self.scope["body"]
        return body

    async def read(self) -> None:
        """Read the body; the gate counts it against the path's limit."""
        whole: bytes | bytearray = b""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            if not whole:
                whole = part
            elif part:
                whole = bytearray(whole) if isinstance(whole, bytes) else whole
                whole += part  # grows in place: joining parts at the end would hold them twice
            if not message.get("more_body"):
                break
        self.body = whole
        if len(self.body) > LARGE and self._says_json:
            loop = asyncio.get_running_loop()
            try:
                self._parsed = await loop.run_in_executor(_readers, read_json, self.body)
            except Refusal as refusal:
                self._parsed = refusal  # raised where a small body would raise it

    @property
    def _says_json(self) -> bool:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"

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
        if not self._says_json:
            raise Refusal("unsupported_media_type")
        value = read_json(self.body) if self._parsed is None else self._parsed
        if isinstance(value, Refusal):
            raise value
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
Knock = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with ``{names}``, and its handler; ``open`` is for one that knows its callers otherwise."""

    method: str
    path: str
    handler: Handler
    open: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path) + r"\Z")


class HotRoutes:
    """Dispatches by exact path first, then by pattern; a known path with another method is 405.

    ``knock`` is asked before a byte of the body is read, unless the route is open; it raises a Refusal for
    who may not come in.
    """

    def __init__(self, routes: list[Route], knock: Knock) -> None:
        self.routes = routes
        self._knock = knock
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((route.pattern, route))
            else:
                self._exact.setdefault(route.path, {})[route.method] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer the request if its path is hot; False leaves it to the next."""
        path: str = scope["path"]
        params: dict[str, str] = {}
        methods = self._exact.get(path)
        if methods is None:
            methods = {}
            for pattern, route in self._patterns:
                if match := pattern.match(path):
                    params = match.groupdict()
                    methods[route.method] = route
            if not methods:
                return False
        request = Request(scope, receive, send, params)
        found = methods.get(scope["method"])
        if found is None:
            allowed = ", ".join(sorted(methods))
            await send_refusal(request, Refusal("method_not_allowed", headers={"Allow": allowed}))
            return True
        try:
            if not found.open:
                await self._knock(request)
            await request.read()
            await found.handler(request)
        except ClientGone:
            pass
        except Refusal as refusal:
            await send_refusal(request, refusal)
        return True
