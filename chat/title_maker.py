"""Titles by a model, beside the answers and never before them: one call at a time in each process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from django.conf import settings

from chat import catalog, context, title_rows, titles
from chat.openrouter.client import Call, Endpoint, Site, open_stream
from chat.openrouter.errors import refusal_of
from chat.openrouter.wire import Garbage, TextMender, Usage, identity, read_chunk
from chat.settling import charge_for, free_of_charge
from chat.title_rows import Wanted
from oneai.kit import database
from oneai.kit.errors import Refusal
from oneai.kit.http import HTTPFailure, Streams
from oneai.kit.sse import Decoder, LineTooLong
from quotas.ledger import Charge

log = structlog.get_logger("titles")

LOOK_SECONDS: Final = 1.0
CALL_SECONDS: Final = 20.0


class TitleMaker:
    """Looks for conversations that want a title, and asks TITLE_MODEL for one after the other."""

    def __init__(
        self, streams: Streams, endpoint: Callable[[str], Endpoint], site: Site, user: str, worker: str
    ) -> None:
        """``endpoint`` gives the place of an upstream's name, ``user`` is how the platform names itself there."""
        self._streams = streams
        self._endpoint = endpoint
        self._site = site
        self._user = user
        self._worker = worker

    async def run(self) -> None:
        """Until cancelled. A call that is cut off then is settled by whoever finds its hold."""
        while True:
            try:
                if not await self._make_one():
                    await asyncio.sleep(LOOK_SECONDS)
            except Refusal as refusal:
                log.warning("title_refused", code=refusal.code)
                await asyncio.sleep(10 * LOOK_SECONDS)
            except Exception:
                log.exception("title_failed")
                await asyncio.sleep(10 * LOOK_SECONDS)

    async def _make_one(self) -> bool:
        model = catalog.find(settings.TITLE_MODEL)
        if model is None or not model.usable:
            return False
        wanted = await database.run(title_rows.claim, model, self._worker)
        if wanted is None:
            return False
        said, charge = await self._ask(wanted, model)
        await database.run(title_rows.settle, wanted.hold_id, charge)
        if said is not None:
            await database.run(title_rows.keep, wanted.conversation_id, titles.from_model(said))
        return True

    async def _ask(self, wanted: Wanted, model: catalog.CatalogModel) -> tuple[str | None, Charge]:
        """What the model said, None when it failed, and what is to be charged."""
        call = Call(model.upstream_slug, wanted.messages, wanted.max_tokens, self._user, str(wanted.hold_id))
        parts: list[str] = []
        usage: Usage | None = None
        upstream_id = ""
        begun = whole = False
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await open_stream(self._streams, self._endpoint(model.upstream), self._site, call)
                upstream_id = identity(answer.headers.get("x-generation-id", ""))
                decoder, mender = Decoder(), TextMender()
                try:
                    async for data in answer.chunks():
                        for event in decoder.feed(data):
                            if event == b"[DONE]":
                                whole = True
                                break
                            chunk = read_chunk(event)
                            begun = True
                            upstream_id = upstream_id or chunk.id
                            usage = chunk.usage or usage
                            parts.append(mender.feed(chunk.text))
                            if chunk.error is not None:
                                raise refusal_of(chunk.error)
                finally:
                    answer.close()
        except (Refusal, HTTPFailure, Garbage, LineTooLong, TimeoutError) as error:
            log.warning("title_not_made", error=getattr(error, "code", type(error).__name__))
        source = "upstream_final"
        if usage is None and begun:
            usage = Usage(context.of_messages(wanted.messages).estimate, wanted.max_tokens)
            source = "local_estimate"
        said = "".join(parts) if whole else None
        if usage is None:
            return said, free_of_charge(upstream_id, wanted.conversation_id)
        return said, charge_for(usage, wanted.price, source, upstream_id, wanted.conversation_id)
