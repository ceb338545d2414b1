"""What a send would be allowed and cost at most, asked before it is sent: nothing is held, nothing written."""

from __future__ import annotations

from typing import Any

from accounts.claims import Claim, Standing
from accounts.principal import Principal
from chat import door, engine, requests, turn_start
from chat.catalog import CatalogModel
from chat.turn_jobs import Start
from oneai.kit import database
from oneai.kit.clock import now, uuid7
from oneai.kit.hot import Request, send_json
from quotas.ledger import Book


async def quote(request: Request) -> None:
    """POST /api/chat/quote: the body of a send. Refused as that send would be refused now."""
    principal = await door.identify(request, unsafe=True)
    principal.require("chat")

    async def who() -> Principal:
        return principal

    asked = await door.with_preset(requests.read(request.json()), who)
    models: list[CatalogModel] = await door.models(asked.models, who)
    job = door.send(
        asked,
        models,
        Claim(principal=principal, address=door.address(request)),
        "api",
        engine.current().worker,
        None,
        "",
    )
    await send_json(request, 200, await database.run(_quote, job))


def _quote(job: Start) -> dict[str, Any]:
    at = now()
    standing = turn_start.read_standings([job], at)[id(job)]
    if not isinstance(standing, Standing):
        raise standing
    user_id = standing.principal.user_id
    book = Book.look(user_id, standing.user["created_at"], at)
    read = turn_start.read_rows([job], [user_id], at, lock=False)
    candidate = turn_start.cheaply(job, standing, read, book)
    assert isinstance(candidate, turn_start.Candidate)  # no key, so no turn to attach to
    turn_start.measure([candidate], read)
    portions = turn_start.portions_of(candidate, [uuid7() for _ in job.models], read)
    decisions = book.consider([one.ask for one in portions])
    left = [decision.remaining_tokens for decision in decisions if decision.remaining_tokens is not None]
    total = turn_start.quote_of([one.max_tokens for one in decisions], [one.nano_usd for one in decisions])
    return total | {"remaining_after": min(left, default=None)}
