"""The chat stream over server-sent events: send, resume, stop. The door only watches."""

from __future__ import annotations

from functools import partial
from typing import Final

from accounts.claims import Claim
from chat import door, engine, events, requests
from chat.catalog import CatalogModel
from chat.replay import TurnStream, follow
from chat.turn_jobs import Started
from oneai.kit import sse
from oneai.kit.hot import Headers, Request, send_json

STREAM_HEADERS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, private"),
    (b"x-accel-buffering", b"no"),
]


async def send_message(request: Request) -> None:
    """POST /api/chat/stream: start a turn and follow it."""
    running = engine.current()

    async def read() -> tuple[requests.ChatRequest, str | None, list[CatalogModel]]:
        who = partial(door.identify, request, unsafe=True)
        asked = await door.with_preset(requests.read(request.json()), who)
        key = door.idempotency_key(request)
        return asked, key, await door.models(asked.models, who)

    asked, key, models = await door.known_first(request, read(), "chat")
    claim = await door.claim(request)
    digest = door.body_digest(request) if key else ""
    stream, started = await running.start_turn(door.send(asked, models, claim, "api", running.worker, key, digest))
    await watch_turn(request, stream, started, claim)


async def watch_turn(request: Request, stream: TurnStream, started: Started | None, claim: Claim) -> None:
    """Answer with the events of a turn from its beginning; None in ``started`` when it had begun before."""
    await _watch(request, stream, None, claim, door.rate_headers(started.admitted if started else None))


async def resume(request: Request) -> None:
    """GET /api/chat/stream/{turn_id}: what is missing after ``Last-Event-ID`` (or ``?after=``), then live."""
    principal = await door.identify(request, unsafe=False)
    principal.require("chat")
    stream = await engine.current().find_turn(door.turn_id(request), principal.user_id)
    place = request.headers.get("last-event-id") or request.query.get("after")
    after = None if place is None else events.place_in(place, len(stream.answers))
    await _watch(request, stream, after, Claim(principal=principal, address=door.address(request)), [])


async def stop(request: Request) -> None:
    """POST /api/chat/stream/{turn_id}/stop: 202; what is there is kept and settled."""
    principal = await door.identify(request, unsafe=True)
    principal.require("chat")
    body = request.json() if request.body.strip() else {}
    requests.known_fields(body, ("message_id",))
    message_id = requests.identity(body, "message_id")
    await engine.current().stop_turn(principal.user_id, door.turn_id(request), message_id)
    await send_json(request, 202, {"status": "stopping"})


async def _watch(request: Request, stream: TurnStream, after: list[int] | None, claim: Claim, headers: Headers) -> None:
    await request.send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + headers})
    try:
        ended = await door.while_connected(request, _send_events(request, stream, after), claim)
    except door.Revoked:
        # The answer goes on and is kept for its owner. Whoever comes back for it is told why not.
        await door.cut_off(request)
        return
    if ended:
        await request.send({"type": "http.response.body", "body": b""})


async def _send_events(request: Request, stream: TurnStream, after: list[int] | None) -> None:
    send = request.send
    async for group in follow(stream, after):
        body = b"".join(map(events.encode, group)) if group else sse.COMMENT
        await send({"type": "http.response.body", "body": body, "more_body": True})
