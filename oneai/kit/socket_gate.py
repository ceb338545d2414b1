"""The gate of WebSockets: what holds for every socket, whichever part of the house takes it.

The sibling of ``oneai.kit.gate``: request id, header limits, TLS only where the site has TLS, one
line of access log, and an answer for what nobody caught. A handshake is refused before the socket
exists, with the status and the body of every other error where the server can send them (the ASGI
extension ``websocket.http.response``), else with the server's bare 403.
"""

from __future__ import annotations

import time
from typing import Final

import orjson
import structlog

from oneai.kit.connections import connections
from oneai.kit.errors import Refusal
from oneai.kit.gate import App, Gate, Message, Receive, Scope, Send, new_request_id
from oneai.kit.heads import Head
from oneai.kit.logs import access_line, loggable
from oneai.kit.request_id import request_ids

log = structlog.get_logger("access")

INTERNAL_ERROR: Final = 1011
GONE: Final = 1006
PRIVATE: Final = 3000
TRY_AGAIN_LATER: Final = 1013
CODES_OF_STATUS: Final = {400: 1008, 401: 4401, 403: 4403, 404: 4404, 429: 4429, 431: 1008, 503: TRY_AGAIN_LATER}


def close_code(refusal: Refusal) -> int:
    """The code that a socket is closed with for ``refusal``; mostly 4000 and the status that HTTP would have."""
    return CODES_OF_STATUS.get(refusal.status, INTERNAL_ERROR)


async def _close(send: Send, message: Message) -> None:
    """Send a close. Daphne raises for the codes below 3000, which it keeps for itself: it gets 3000 more."""
    try:
        await send(message)
    except (OSError, RuntimeError):
        raise
    except Exception:
        code = message.get("code", 1000)
        if not 1000 < code < 3000:
            raise
        await send({**message, "code": code + PRIVATE})


class SocketGate:
    """Wraps the application of sockets; ``inner`` raises a Refusal instead of accepting what it does not want."""

    def __init__(self, inner: App, gate: Gate) -> None:
        self.inner = inner
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = new_request_id()
        request_ids.set(request_id)
        scope["scheme"] = "wss" if self.gate.policy.tls else scope.get("scheme", "ws")
        status = code = 0

        async def noted_send(message: Message) -> None:
            nonlocal status, code
            if message["type"] == "websocket.accept":
                status = 101
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            elif message["type"] == "websocket.close":
                code = code or message.get("code", 1000)
                await _close(send, message)
                return
            await send(message)

        async def noted_receive() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = code or message.get("code") or GONE
            return message

        try:
            self._check(scope)
            if connections.crowded:  # a socket keeps its descriptor for long
                raise Refusal("unavailable", retry_after=5)
            await self.inner(scope, noted_receive, noted_send)
        except Refusal as refusal:
            if status:
                await noted_send({"type": "websocket.close", "code": close_code(refusal), "reason": refusal.code})
            else:
                status, code = refusal.status, close_code(refusal)
                await self._refuse(scope, send, refusal, request_id)
        except Exception:
            log.exception("unhandled", path=scope["path"])
            if status:
                await noted_send({"type": "websocket.close", "code": INTERNAL_ERROR})
            else:
                status, code = 500, INTERNAL_ERROR
                await self._refuse(scope, send, Refusal("internal_error"), request_id)
        finally:
            access_line(
                {
                    "method": "WEBSOCKET",
                    "path": loggable(scope["path"]),
                    "status": status,
                    "code": code or GONE,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "request_id": request_id,
                }
            )

    def _check(self, scope: Scope) -> None:
        head = Head(scope)
        if head.problem is not None:
            raise head.problem
        self.gate.policy.check_host(scope["path"], head)
        came_by = head.get(b"x-forwarded-proto")
        if self.gate.policy.plain(scope["path"], {b"ws": b"http"}.get(came_by, came_by)):
            raise Refusal("permission_denied", "This site takes wss:// only.")

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal, request_id: str) -> None:
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": close_code(refusal), "reason": refusal.code})
            return
        body = orjson.dumps(refusal.body(request_id))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in refusal.answer_headers().items()]
        headers.append((b"cache-control", b"no-store, private"))
        headers = self.gate.finish(scope["path"], headers, request_id)
        await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body})
