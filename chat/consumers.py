"""The chat stream over a WebSocket: send, follow and stop, several turns at once on one socket.

The same authenticator, the same parser, the same engine and the same events as over server-sent
events; only the frame around an event is another (docs/websocket.md). A socket that leaves changes
nothing for the turns.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts.authentication import check_origin
from accounts.claims import Claim, Standing
from accounts.principal import Principal
from chat import door, engine, events, requests, watching
from chat.replay import TurnStream, follow
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.hot import Request
from oneai.kit.jsonbody import read_json
from oneai.kit.socket_gate import close_code

log = structlog.get_logger("socket")

FRAME_LIMIT: Final = 512 * 1024
MOST_TURNS: Final = 8
MOST_SOCKETS: Final = 256  # of one person in one process
MOST_REFUSED: Final = 60
REFUSED_SECONDS: Final = 60.0
LONGEST_REQUEST_ID: Final = 200

POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
RESTARTING: Final = 1012

_sockets: Counter[UUID] = Counter()

Frame = dict[str, Any]


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket of one person."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[asyncio.Task[None], str | None] = {}
        self._refused: deque[float] = deque(maxlen=MOST_REFUSED)
        self._main: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._watches: watching.Watches | None = None
        self._watch: watching.Watch | None = None
        self._claim = Claim()

    # Life -----------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._main = asyncio.current_task()
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if self._ending is None:  # the server stops
                await self._close(RESTARTING, "restarting")
                await asyncio.sleep(0.1)  # Daphne writes it in one of its next steps, if it has any left
                raise
        finally:
            for reader in self._readers:
                reader.cancel()
            if self._watches is not None and self._watch is not None:
                self._watches.close(self._watch)
                self._count(-1)

    async def dispatch(self, message: Any) -> None:
        """As Channels has it, without its hop to a thread: nothing here holds a connection to the database."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def connect(self) -> None:
        """Accept whoever may chat. A Refusal ends the handshake (oneai.kit.socket_gate)."""
        request = Request({**self.scope, "method": "GET"}, None, self.base_send, {})  # type: ignore[arg-type]
        origins = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"origin"]
        if origins or settings.SESSION_COOKIE_NAME in request.cookies:
            check_origin(origins, bearer="authorization" in request.headers)
        principal = await door.identify(request, unsafe=False)
        principal.require("chat")
        running = engine.current()
        if not running.accepting:
            raise Refusal("shutting_down", retry_after=3)
        if _sockets[principal.user_id] >= MOST_SOCKETS:
            raise Refusal("rate_limited", "Too many sockets are open.", retry_after=10)
        self._claim = Claim(principal=principal, address=door.address(request), request_id=current_request_id())
        self._watches = running.watches
        self._watch = running.watches.open(self._claim, self._revoked)
        self._count(1)
        await self.accept()

    def _count(self, step: int) -> None:
        user_id = self._principal.user_id
        _sockets[user_id] += step
        if not _sockets[user_id]:
            del _sockets[user_id]

    @property
    def _principal(self) -> Principal:
        assert self._claim.principal is not None
        return self._claim.principal

    def _revoked(self, refusal: Refusal) -> None:
        """The credential does not hold any more: say so and hang up."""
        self._end(close_code(refusal), refusal)

    def _end(self, code: int, refusal: Refusal) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._hang_up(code, refusal))

    async def _hang_up(self, code: int, refusal: Refusal) -> None:
        for reader in self._readers:
            reader.cancel()
        if not await self._close(code, refusal.code, _error(None, refusal)) and self._main is not None:
            self._main.cancel()  # it reads nothing, not even this

    async def _close(self, code: int, reason: str, last: str = "") -> bool:
        """Say ``last`` and close, within a second; whether that could be written."""
        steps = [self.close(code, reason)]
        if last:
            steps.insert(0, self._say(last))
        written = True
        for step in steps:
            try:
                await asyncio.wait_for(step, door.LAST_WORD_SECONDS / len(steps))
            except (TimeoutError, OSError, RuntimeError):
                written = False
        return written

    # Frames ---------------------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame of the client's: do it, or refuse it with an ``error`` frame."""
        if self._ending is not None:
            return
        request_id = None
        try:
            frame = _read(text_data)
            request_id = _request_id(frame)
            await self._take(frame, request_id)
        except Refusal as refusal:
            await self._refuse(request_id, refusal)
        except _TooBig:
            self._end(TOO_BIG, Refusal("payload_too_large", details={"limit_bytes": FRAME_LIMIT}))

    async def _take(self, frame: Frame, request_id: str | None) -> None:
        match frame.pop("type", None):
            case "send":
                self._start(self._send(frame, request_id), request_id)
            case "follow":
                requests.known_fields(frame, ("turn_id", "after"))
                self._start(self._follow(_turn_id(frame), requests.text(frame, "after", 200), request_id), request_id)
            case "stop":
                requests.known_fields(frame, ("turn_id", "message_id"))
                turn_id, message_id = _turn_id(frame), requests.identity(frame, "message_id")
                await self._still()
                await engine.current().stop_turn(self._principal.user_id, turn_id, message_id)
            case None:
                raise Refusal("missing_required_parameter", "type is required.", param="type")
            case _:
                raise Refusal("invalid_value", "type must be send, follow or stop.", param="type")

    def _start(self, work: Coroutine[Any, Any, None], request_id: str | None) -> None:
        """A task that reads one turn for this socket."""
        refusal = None
        if len(self._readers) >= MOST_TURNS:
            refusal = Refusal("too_many_generations", f"A socket follows at most {MOST_TURNS} turns at once.")
        elif request_id is not None and request_id in self._readers.values():
            refusal = Refusal("conflict", "The request_id is in use on this socket.", param="request_id")
        if refusal is not None:
            work.close()
            raise refusal
        reader = asyncio.create_task(self._guarded(work, request_id))
        self._readers[reader] = request_id
        reader.add_done_callback(self._readers.pop)

    async def _guarded(self, work: Coroutine[Any, Any, None], request_id: str | None) -> None:
        try:
            await work
        except Refusal as refusal:
            await self._refuse(request_id, refusal)
        except OSError:
            pass  # the client has left
        except Exception:
            log.exception("reader_failed")
            await self._refuse(request_id, Refusal("internal_error"))

    async def _refuse(self, request_id: str | None, refusal: Refusal) -> None:
        """Answer a frame with ``error``; too many in a minute close the socket."""
        if refusal.status == 401:  # admission has found what the next look would have
            self._revoked(refusal)
            return
        at = asyncio.get_running_loop().time()
        flood = len(self._refused) == MOST_REFUSED and at - self._refused[0] < REFUSED_SECONDS
        self._refused.append(at)
        if flood:
            self._end(POLICY_VIOLATION, Refusal("rate_limited", "Too many frames were refused."))
            return
        try:
            await self._say(_error(request_id, refusal))
        except OSError:
            pass

    async def _say(self, text: str) -> None:
        # Not by way of Channels' own send: this is done for every token.
        await self.base_send({"type": "websocket.send", "text": text})

    # Turns ----------------------------------------------------------------------------------------

    async def _still(self) -> None:
        """Refusal unless whoever opened the socket may still chat."""
        standing = (await watching.standing_of([self._claim]))[0]
        refusal = standing if isinstance(standing, Refusal) else None
        if isinstance(standing, Standing) and self._watch is not None:
            refusal = self._watch.judge(standing)
        if refusal is not None:
            raise refusal

    async def _who(self) -> Principal:
        return self._principal

    async def _send(self, frame: Frame, request_id: str | None) -> None:
        running = engine.current()
        asked = await door.with_preset(requests.read(frame), self._who)
        models = await door.models(asked.models, self._who)
        start = door.send(asked, models, self._claim, "ws", running.worker, None, "")
        # A task of the engine's: a turn that is admitted is produced, also when the socket has just left.
        starting = running.spawn(running.start_turn(start))
        starting.add_done_callback(lambda done: done.cancelled() or done.exception())
        stream, _ = await asyncio.shield(starting)
        await self._read_on(stream, None, request_id)

    async def _follow(self, turn_id: UUID, place: str | None, request_id: str | None) -> None:
        await self._still()
        stream = await engine.current().find_turn(turn_id, self._principal.user_id)
        after = None if place is None else events.place_in(place, len(stream.answers))
        await self._read_on(stream, after, request_id)

    async def _read_on(self, stream: TurnStream, after: list[int] | None, request_id: str | None) -> None:
        async for group in follow(stream, after):
            for event in group:
                await self._say(events.frame(event, request_id))


class _TooBig(Exception):
    """A frame has more than ``FRAME_LIMIT`` bytes."""


def _read(text: str | None) -> Frame:
    if text is None:
        raise Refusal("unsupported_media_type", "Send text frames that hold JSON.")
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > FRAME_LIMIT:
        raise _TooBig
    frame = read_json(raw)
    if not isinstance(frame, dict):
        raise Refusal("invalid_json", "A frame must be a JSON object.")
    return frame


def _request_id(frame: Frame) -> str | None:
    request_id = requests.text(frame, "request_id", LONGEST_REQUEST_ID)
    frame.pop("request_id", None)
    return request_id


def _turn_id(frame: Frame) -> UUID:
    turn_id = requests.identity(frame, "turn_id")
    if turn_id is None:
        raise Refusal("missing_required_parameter", "turn_id is required.", param="turn_id")
    return turn_id


def _error(request_id: str | None, refusal: Refusal) -> str:
    body = {"type": "error", "request_id": request_id} | refusal.body(current_request_id())
    if refusal.retry_after is not None:
        body["retry_after"] = max(1, refusal.retry_after)
    return orjson.dumps(body, default=str).decode()
