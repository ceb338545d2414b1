"""The server's parser of HTTP/1.1, bounded: what uvicorn's own would take in before the application sees anything.

uvicorn's protocol keeps the head of a request in memory however long it becomes and however slowly
it comes, and adds the fields that may follow a chunked body to the head that was checked before. It also
closes a connection under a body that is still on its way, and the client then loses the answer; and, where the
process has stood still for seconds, under a request that has come in time and lies unread.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oneai.kit.errors import Refusal
from oneai.kit.gate import new_request_id
from oneai.kit.logs import access_line

HEAD_LIMIT: Final = 64 * 1024  # bytes of a head that never ended; the gate's limit for whole ones is lower
HEAD_SECONDS: Final = 15.0
LINGER_SECONDS: Final = 2.0
SECOND_LOOK_SECONDS: Final = 0.05
#: Chunks of one byte have five bytes around each; more than this beside the body is no body.
_FRAMING: Final = 16


class _Answering:
    """The transport as whoever answers has it: ending it leaves the client the time to read its answer."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: Protocol) -> None:
        transport = protocol.transport
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, protocol.end


class Protocol(HttpToolsProtocol):
    """One connection. Refuses heads over 64 KiB with 431 and those not whole after 15 seconds with 408."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_body = False
        self._beside_body = 0  # bytes since the head was whole (or the last request ended), less those of the body
        self._head_timer: asyncio.TimerHandle | None = None
        self._lingers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answering = _Answering(self)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._lingers is not None:
            self._lingers.cancel()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what it keeps to itself."""
        if self._is_lingering():
            return
        self._beside_body += len(data)
        super().data_received(data)
        if self._is_lingering():
            return
        if self._in_body:
            self._stop_timer()
            if self._beside_body > HEAD_LIMIT:
                self._refuse("invalid_request")
        elif not self._beside_body:
            self._stop_timer()  # between two requests, where uvicorn has a timer of its own
        elif self._beside_body > HEAD_LIMIT:
            self._refuse("headers_too_large")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those after a chunked body are dropped: everything was decided without them."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._beside_body = 0
        begun = self.cycle
        super().on_headers_complete()
        if self.cycle is not None and self.cycle is not begun:
            self.cycle.transport = self._answering  # type: ignore[assignment]

    def end(self) -> None:
        """Close after the last answer; where the request has not been read to its end, not before the client knows.

        What reaches a closed socket is answered by a reset, and a client that hears one while it sends, as
        proxies do, drops the answer that it was given. So our side ends, and what still comes is dropped unread
        until the client ends its own, for at most LINGER_SECONDS.
        """
        if self._in_body:
            self._linger()
        else:
            self.transport.close()

    def _is_lingering(self) -> bool:
        return self._lingers is not None

    def _linger(self) -> None:
        if not self._is_lingering() and not self.transport.is_closing():
            self._stop_timer()
            self._lingers = self.loop.call_later(LINGER_SECONDS, self.transport.close)
            self.pipeline.clear()
            self.flow.resume_reading()
            self.transport.write_eof()

    def on_body(self, body: bytes) -> None:
        self._beside_body -= len(body) * _FRAMING
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._beside_body = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is not HTTP, in our form."""
        self._refuse("invalid_request")

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, when its socket has been looked into once more.

        After a pause of the process timers run before sockets are read, and a request in one is answered first.
        """
        self.timeout_keep_alive_task = self.loop.call_later(SECOND_LOOK_SECONDS, super().timeout_keep_alive_handler)

    def _head_is_late(self) -> None:
        self._head_timer = self.loop.call_later(SECOND_LOOK_SECONDS, self._head_is_missing)

    def _head_is_missing(self) -> None:
        self._head_timer = None
        if self._beside_body:
            self._refuse("request_timeout")
        else:
            self.transport.close()  # nobody has said anything: there is nothing to answer

    def _refuse(self, code: str) -> None:
        """Answer, unless an answer is on its way already, and close: nothing after this can be understood."""
        self._stop_timer()
        if self._is_lingering() or self.transport.is_closing():
            return
        refusal = Refusal(code)
        request_id = new_request_id()
        cycle = self.cycle
        waiting = cycle is not None and not cycle.response_started
        if not self.pipeline and (cycle is None or waiting or cycle.response_complete):
            if waiting:
                cycle.disconnected = True  # whoever waits for the rest of the body need not
                cycle.message_event.set()
            body = orjson.dumps(refusal.body(request_id))
            head = (
                f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
                "x-content-type-options: nosniff\r\nx-frame-options: DENY\r\ncache-control: no-store, private\r\n"
                "content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        access_line({"status": refusal.status, "request_id": request_id, "unread": True})
        self._linger()
