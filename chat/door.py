"""What the doors of the engine share: who asks, which model, which headers, and when the caller leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings

from accounts.addresses import believed_address
from accounts.apikeys import START, former_digests
from accounts.authentication import authenticate, bearer, check_csrf, key_digest
from accounts.claims import Claim
from accounts.models import User
from accounts.principal import Principal
from chat import catalog, engine, presets
from chat.catalog import CatalogModel
from chat.requests import ChatRequest
from chat.turn_jobs import Start
from oneai.kit import database
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.hot import Headers, Request
from quotas.ledger import Admitted

Result = TypeVar("Result")

LONGEST_IDEMPOTENCY_KEY = 200
LAST_WORD_SECONDS = 1.0


def address(request: Request) -> str:
    """The client's address, as far as it can be believed."""
    peer = request.scope.get("client")
    forwarded = request.headers.get("x-forwarded-for", "")
    return believed_address(peer[0] if peer else "", forwarded, settings.TRUSTED_PROXIES)


async def identify(request: Request, *, unsafe: bool) -> Principal:
    """The principal of a request. Refusal 401 when there is none; ``unsafe`` needs a CSRF token from a session."""
    principal = await database.run(authenticate, request.headers, request.cookies, address(request))
    if principal is None:
        raise Refusal("not_authenticated")
    if unsafe and principal.method == "session":
        check_csrf(request.scope, request.method)
    return principal


async def knock(request: Request) -> None:
    """Asked before a byte of the body is read: 401 without a credential, and a large body only for a good one.

    A small body costs less than the look-up, which its handler does anyway.
    """
    sent = "authorization" in request.headers
    if not sent and (request.path.startswith("/v1/") or settings.SESSION_COOKIE_NAME not in request.cookies):
        raise Refusal("not_authenticated")
    if not request.incoming.small:
        principal = await identify(request, unsafe=True)
        request.incoming.belongs_to(str(principal.user_id))


async def claim(request: Request) -> Claim:
    """The claim of a request that starts a turn: a key goes as it is, admission reads its row anyway."""
    header = request.headers.get("authorization")
    if header is not None and (credential := bearer(header)).startswith(START):
        formers = former_digests(credential)
        return Claim(key_digest(credential), address(request), request_id=current_request_id(), formers=formers)
    principal = await identify(request, unsafe=True)
    return Claim(principal=principal, address=address(request), request_id=current_request_id())


async def known_first(request: Request, work: Awaitable[Result], scope: str) -> Result:
    """The result of ``work``; when it refuses the request, who asks is checked before that is told."""
    try:
        return await work
    except Refusal:
        (await identify(request, unsafe=True)).require(scope)
        raise


async def with_preset(asked: ChatRequest, who: Callable[[], Awaitable[Principal]]) -> ChatRequest:
    """``asked`` with what its preset says, if it names one of ``who``. Refusal ``not_found``."""
    if asked.preset_id is None:
        return asked
    return await database.run(presets.applied, asked, asked.preset_id, (await who()).user_id)


def _preferred(user_id: UUID) -> str:
    preferences = User.objects.values_list("preferences", flat=True).get(id=user_id)
    slug = preferences.get("default_model") if isinstance(preferences, dict) else None
    return slug if isinstance(slug, str) else ""


async def models(slugs: Sequence[str], who: Callable[[], Awaitable[Principal]]) -> list[CatalogModel]:
    """The models to ask: those named, else the preferred one of ``who``, else the site's default.

    Refusals ``model_not_found``, ``model_not_usable``; ``param`` says which field named it.
    """
    if not slugs:
        return [await _default_model((await who()).user_id)]
    try:
        return [priced(catalog.usable(slug)) for slug in slugs]
    except Refusal as refusal:
        if len(slugs) > 1:
            refusal.param = "models"
        raise


def priced(found: CatalogModel) -> CatalogModel:
    """``found`` when it has a price. Refusal ``model_not_usable``."""
    if found.price is None:
        raise Refusal("model_not_usable", param="model")
    return found


async def _default_model(user_id: UUID) -> CatalogModel:
    preferred = catalog.find(await database.run(_preferred, user_id))
    found = preferred if preferred is not None and preferred.usable else catalog.default_model()
    if found is None:
        raise Refusal("model_not_usable", "No model is available at the moment.")
    return priced(found)


def send(
    asked: ChatRequest, models: list[CatalogModel], claim: Claim, door: str, worker: str, key: str | None, digest: str
) -> Start:
    """The job of a checked body, for every door that takes one. ``digest`` tells bodies under one ``key`` apart."""
    return Start(
        claim=claim,
        door=door,
        worker=worker,
        models=models,
        content=asked.content,
        attachments=asked.attachments,
        conversation_id=asked.conversation_id,
        parent_message_id=asked.parent_message_id,
        system=asked.system,
        max_tokens=asked.max_tokens,
        params=asked.params,
        temporary=asked.temporary,
        idempotency_key=key,
        body_digest=digest if key else "",
    )


def idempotency_key(request: Request) -> str | None:
    """The ``Idempotency-Key`` header, None when it was not sent."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY or not key.isprintable():
        raise Refusal("invalid_value", "Idempotency-Key must have 1 to 200 printable characters.")
    return key


def body_digest(request: Request) -> str:
    """What tells one body from another under the same idempotency key."""
    return hashlib.sha256(request.path.encode() + b"\n" + request.body).hexdigest()


def turn_id(request: Request) -> UUID:
    """The turn's id in the path. Refusal ``not_found`` when it is not an id."""
    try:
        return UUID(request.params["turn_id"])
    except ValueError as error:
        raise Refusal("not_found") from error


def rate_headers(admitted: Admitted | None) -> Headers:
    """The rate-limit headers of an admitted turn; an unlimited rate has none."""
    if admitted is None:
        return []
    rate = admitted.rate
    headers: Headers = []
    for kind, limit, remaining, reset in (
        (b"requests", rate.limit_requests, rate.remaining_requests, rate.reset_requests),
        (b"tokens", rate.limit_tokens, rate.remaining_tokens, rate.reset_tokens),
    ):
        if limit is not None:
            headers += [
                (b"x-ratelimit-limit-" + kind, b"%d" % limit),
                (b"x-ratelimit-remaining-" + kind, b"%d" % (remaining or 0)),
                (b"x-ratelimit-reset-" + kind, b"%ds" % reset),
            ]
    if admitted.remaining_tokens is not None:
        headers.append((b"x-quota-remaining-tokens", b"%d" % admitted.remaining_tokens))
    return headers


async def until_gone(request: Request) -> None:
    """Returns when the client has left."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return


class Revoked(Exception):
    """Whoever reads may not read on; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


async def while_connected(request: Request, work: Coroutine[Any, Any, None], claim: Claim) -> bool:
    """Run ``work`` until it ends or the client leaves; whether it ended. Revoked when ``claim`` holds no more."""
    task = asyncio.current_task()
    assert task is not None
    left = False
    why: Refusal | None = None

    def gone(_: asyncio.Task[None]) -> None:
        nonlocal left
        if not watcher.cancelled() and why is None:
            left = True
            task.cancel()

    def revoked(refusal: Refusal) -> None:
        nonlocal why
        if not left:
            why = refusal
            task.cancel()

    watches = engine.current().watches
    watch = watches.open(claim, revoked)
    watcher = asyncio.create_task(until_gone(request))
    watcher.add_done_callback(gone)
    try:
        await work
        return True
    except asyncio.CancelledError:
        if (left or why) and task.uncancel() == 0:
            if why is not None:
                raise Revoked(why) from None
            return False
        raise
    finally:
        watches.close(watch)
        watcher.remove_done_callback(gone)
        watcher.cancel()


async def cut_off(request: Request, last: bytes = b"") -> None:
    """End a streamed body now, with ``last``; who does not read that within a second does not get it."""
    try:
        async with asyncio.timeout(LAST_WORD_SECONDS):
            await request.send({"type": "http.response.body", "body": last})
    except TimeoutError:
        pass
