"""The gate: what holds for every answer, whichever part of the house gives it.

A pure ASGI wrapper around everything (static files, hot routes, Django): request id, security
headers and content policy (by kind of answer), the site's names, CORS, what a head and a body may be, the
access log, and an error body for what nobody caught. Being in front, no sibling route can miss it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import structlog

from oneai.kit import entropy, metrics, traces
from oneai.kit.connections import connections
from oneai.kit.errors import Refusal
from oneai.kit.heads import Head
from oneai.kit.hosts import Hosts
from oneai.kit.intake import Body, body_limit
from oneai.kit.logs import access_line, loggable
from oneai.kit.pages_errors import error_page
from oneai.kit.request_id import noted, request_ids

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger("access")

API_PREFIXES: Final = ("/api/", "/v1/")
ADMIN: Final = "/admin/"
PRIVATE: Final = ("/c", "/s/", "/admin", "/accounts", "/settings")  # kept by no cache, errors included
PAYING: Final = ("/billing/pay/", "/billing/method/")  # pages that open Razorpay's window
LETTERS: Final = "/admin/billing/notice/shown/"  # mails as HTML, in a frame of the desk


def current_request_id() -> str:
    """The id of the request that this task serves; empty outside of one."""
    return request_ids.get()


def new_request_id() -> str:
    """128 random bits, base32, 26 characters."""
    return base64.b32encode(entropy.take(16)).decode().rstrip("=").lower()


def is_api(path: str) -> bool:
    """Whether errors on ``path`` are JSON for programs rather than pages for people."""
    return path.startswith(API_PREFIXES) or path in {"/api", "/v1", "/metrics"}


class Policy:
    """The headers of this site, worked out once from its settings."""

    def __init__(
        self,
        *,
        site_url: str,
        form_targets: Iterable[str],
        cors_origins: Iterable[str],
        proxies: int = 0,
        payment_origins: Iterable[str] = (),
        hosts: Iterable[str] = ("*",),
    ) -> None:
        parts = urlsplit(site_url)
        self.site_url = site_url
        self.tls = parts.scheme == "https"
        self.proxied = proxies > 0
        self.hosts = Hosts(hosts)
        self.cors_origins = frozenset(cors_origins)
        socket = f"{'wss' if self.tls else 'ws'}://{parts.netloc}"
        forms = " ".join(["'self'", *dict.fromkeys(form_targets)])
        tail = "; upgrade-insecure-requests" if self.tls else ""
        rest = (
            f"img-src 'self' data: blob:; font-src 'self'; connect-src 'self' {socket}; form-action {forms}; "
            "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; worker-src 'self'; "
            f"manifest-src 'self'{tail}"
        )
        self._page = "default-src 'none'; script-src 'nonce-%s' 'strict-dynamic'; style-src 'self' 'nonce-%s'; " + rest
        self._admin = "default-src 'none'; script-src 'self'; style-src 'self'; " + rest
        self._data = "default-src 'none'; frame-ancestors 'none'; sandbox"
        paying = " ".join(dict.fromkeys(payment_origins))
        self._paying = (
            self._page.replace("connect-src 'self'", f"connect-src 'self' {paying}")
            .replace("frame-src 'self'", f"frame-src 'self' {paying}")
            .replace("form-action 'self'", f"form-action 'self' {paying}")
        )
        # A mail carries its styles on its elements. Nothing else of it does anything.
        self._letter = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
        common = {
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "x-frame-options": "DENY",
            "permissions-policy": (
                "camera=(), microphone=(), geolocation=(), usb=(), midi=(), serial=(), display-capture=(), "
                'browsing-topics=(), payment=(self "https://api.razorpay.com"), clipboard-write=(self)'
            ),
        }
        if self.tls:
            common["strict-transport-security"] = "max-age=31536000"
        self._common = [(name.encode(), value.encode()) for name, value in common.items()]
        self._data_csp = (b"content-security-policy", self._data.encode())
        # The window opens others, of banks, which have to find it again.
        self._opening = [
            (name, b"same-origin-allow-popups" if name == b"cross-origin-opener-policy" else value)
            for name, value in self._common
        ]
        framed = [(name, value) for name, value in self._common if name != b"x-frame-options"]
        self._framed = [*framed, (b"content-security-policy", self._letter.encode())]

    def headers(self, path: str, content_type: bytes, nonce: str) -> list[tuple[bytes, bytes]]:
        """The headers for an answer of ``content_type`` on ``path``."""
        if content_type.startswith(b"text/html"):
            if path.startswith(LETTERS):
                return self._framed
            if path.startswith(PAYING):
                return [*self._opening, (b"content-security-policy", (self._paying % (nonce, nonce)).encode())]
            policy = self._admin if path.startswith(ADMIN) else self._page % (nonce, nonce)
            csp = (b"content-security-policy", policy.encode())
        else:
            csp = self._data_csp
        return [*self._common, csp]

    def plain(self, path: str, came_by: bytes) -> bool:
        """Whether a trusted proxy says that the request came without TLS, where the site has it.

        Health checks come from inside and are answered either way.
        """
        return self.tls and self.proxied and came_by == b"http" and path not in {"/healthz", "/readyz"}

    def check_host(self, path: str, head: Head) -> None:
        """Refusal ``invalid_request`` when the request is for another host."""
        if self.hosts.foreign(path, head.get(b"host")):
            raise Refusal("invalid_request", "This site has another name than the request's Host.")

    def cors(self, path: str, origin: bytes) -> list[tuple[bytes, bytes]]:
        """CORS: ``/v1`` for everyone without credentials, ``/api`` for listed origins, pages for nobody."""
        if not origin:
            return []
        if path.startswith("/v1/"):
            allowed = b"*"
        elif path.startswith("/api/") and origin.decode("latin-1") in self.cors_origins:
            allowed = origin
        else:
            return []
        headers = [
            (b"access-control-allow-origin", allowed),
            (
                b"access-control-expose-headers",
                (
                    b"X-Request-ID, Retry-After, X-Should-Retry, OpenAI-Processing-Ms, X-RateLimit-Limit-Requests, "
                    b"X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, X-RateLimit-Limit-Tokens, "
                    b"X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens, X-Quota-Remaining-Tokens"
                ),
            ),
        ]
        if allowed != b"*":
            headers.append((b"vary", b"Origin"))
        return headers


PREFLIGHT: Final = [
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        (
            b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, OpenAI-Organization, OpenAI-Project, "
            b"X-Stainless-Lang, X-Stainless-Package-Version, X-Stainless-OS, X-Stainless-Arch, X-Stainless-Runtime, "
            b"X-Stainless-Runtime-Version, X-Stainless-Async, X-Stainless-Retry-Count, X-Stainless-Timeout, "
            b"X-Stainless-Read-Timeout, X-Stainless-Helper-Method"
        ),
    ),
    (b"access-control-max-age", b"600"),
]


async def send_refusal(scope: Scope, send: Send, refusal: Refusal, request_id: str) -> None:
    """Answer with a refusal: JSON on the API, a page elsewhere."""
    path = scope["path"]
    if is_api(path):
        openai = path.startswith("/v1/")
        body = orjson.dumps(refusal.body(request_id, openai=openai))
        kind = b"application/json"
        extra = refusal.answer_headers(openai=openai)
    else:
        refusal.told()
        body = error_page(refusal.status, request_id, scope.get("csp_nonce", ""), retry_after=refusal.retry_after)
        kind = b"text/html; charset=utf-8"
        extra = refusal.answer_headers()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


async def send_elsewhere(scope: Scope, send: Send, site_url: str) -> None:
    """Redirect to the same path on ``site_url``, method and body kept (308)."""
    raw = scope.get("raw_path") or scope["path"].encode()
    if not raw.startswith(b"/"):  # the form `OPTIONS *`: it would become part of the host's name
        raw = b"/"
    query = scope.get("query_string") or b""
    location = site_url.encode() + raw + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Gate:
    """Wraps the whole application; ``inner`` must answer every http scope."""

    def __init__(self, inner: App, policy: Policy) -> None:
        self.inner = inner
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_request_id()
        request_ids.set(request_id)
        also: dict[str, Any] = {}
        noted.set(also)
        path: str = scope["path"]
        # The admin's policy has no nonce: a page there that carried one would have scripts refused.
        nonce = "" if path.startswith(ADMIN) else base64.b64encode(entropy.take(18)).decode()
        scope["csp_nonce"] = nonce
        head = Head(scope)
        origin = head.get(b"origin")
        if self.policy.tls:
            # TLS ends in front of us. What is built from the request (links, cookies, the address that
            # Google sends people back to) follows SITE_URL, not the hop behind the proxy.
            scope["scheme"] = "https"
        # A version of HTTP with frames needs neither header to carry a body.
        open_ended = bool(head.get(b"transfer-encoding")) or scope.get("http_version", "1.1") >= "2"
        body = Body(receive, body_limit(path), head.length, open_ended=open_ended)
        scope["body"] = body
        status = 0

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = scope["answered"] = message["status"]
                metrics.answered(path, status, time.perf_counter() - started)
                headers = self.finish(path, list(message.get("headers", ())), request_id, nonce, origin)
                if path.startswith("/v1/"):
                    headers.append((b"openai-processing-ms", b"%d" % ((time.perf_counter() - started) * 1000)))
                if not body.finished:
                    headers.append((b"connection", b"close"))  # what is still to come is read by nobody
                message["headers"] = headers
                body.release()
            await send(message)

        try:
            if head.problem is not None:
                raise head.problem
            self.policy.check_host(path, head)
            if self.policy.plain(path, head.get(b"x-forwarded-proto")):
                await send_elsewhere(scope, guarded_send, self.policy.site_url)
            elif scope["method"] == "OPTIONS" and origin and self.policy.cors(path, origin):
                await guarded_send({"type": "http.response.start", "status": 204, "headers": list(PREFLIGHT)})
                await guarded_send({"type": "http.response.body", "body": b""})
            else:
                body.check_announced()
                if traces.on():
                    await self._traced(scope, body.receive, guarded_send, request_id)
                else:
                    await self.inner(scope, body.receive, guarded_send)
        except Refusal as refusal:
            if status:
                raise
            await send_refusal(scope, guarded_send, refusal, request_id)
        except Exception:
            log.exception("unhandled", path=loggable(path))
            if status:
                raise
            await send_refusal(scope, guarded_send, Refusal("internal_error"), request_id)
        finally:
            body.release()
            line = {
                "method": scope["method"],
                "path": loggable(path),
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                "request_id": request_id,
            }
            if body.oversized:
                line["oversized"] = True
            access_line(line | also)

    async def _traced(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """As the inner application, within a span."""
        door = metrics.door_of(scope["path"])
        with traces.span(f"{scope['method']} {door}", **{"http.request.method": scope["method"]}) as span:
            span.set_attributes({"oneai.door": door, "oneai.request_id": request_id})
            try:
                await self.inner(scope, receive, send)
            finally:
                span.set_attribute("http.response.status_code", scope.get("answered", 0))

    def finish(
        self, path: str, headers: list[tuple[bytes, bytes]], request_id: str, nonce: str = "", origin: bytes = b""
    ) -> list[tuple[bytes, bytes]]:
        """The headers of an answer with those that every answer has."""
        ours = {b"x-request-id"}
        content_type = b""
        has_cache = has_referrer = False
        signed_in = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-type":
                content_type = value
            elif lowered == b"cache-control":
                has_cache = True
            elif lowered == b"referrer-policy":
                has_referrer = True
            elif lowered == b"vary" and b"ookie" in value:
                signed_in = True
        policy = self.policy.headers(path, content_type, nonce)
        ours.update(name for name, _ in policy)
        ours |= {b"server", b"x-powered-by"}
        kept = [(name, value) for name, value in headers if name.lower() not in ours]
        kept.append((b"x-request-id", request_id.encode()))
        kept += policy
        if not has_referrer:
            kept.append((b"referrer-policy", b"strict-origin-when-cross-origin"))
        if not has_cache and (signed_in or is_api(path) or path.startswith(PRIVATE)):
            kept.append((b"cache-control", b"no-store, private"))
        kept += self.policy.cors(path, origin)
        if connections.last_answer:
            kept.append((b"connection", b"close"))
        return kept
