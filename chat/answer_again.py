"""Another answer to a question, and the rest of an answer that was cut: hot routes that stream as a send does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from accounts.claims import Claim
from accounts.principal import Principal
from chat import catalog, door, engine, requests
from chat.access import message_for
from chat.catalog import CatalogModel
from chat.models import Message
from chat.sse import watch_turn
from chat.turn_jobs import Kind, Start
from oneai.kit import database
from oneai.kit.hot import Request

LONGEST_INSTRUCTION: Final = 2_000
REGENERATE_FIELDS: Final = ("model", "models", "instruction")
CONTINUE_FIELDS: Final = ("model",)


@dataclass(frozen=True, slots=True)
class _Target:
    """The message in the path: its conversation, and the model that its answer came from."""

    id: UUID
    conversation_id: UUID
    model: str


async def regenerate(request: Request) -> None:
    """POST /api/messages/{message_id}/regenerate: a new answer beside this one, or to this question."""
    await _answer(request, Kind.REGENERATE, REGENERATE_FIELDS)


async def go_on(request: Request) -> None:
    """POST /api/messages/{message_id}/continue: a new answer that begins with this one and goes on."""
    await _answer(request, Kind.CONTINUE, CONTINUE_FIELDS)


async def _answer(request: Request, kind: Kind, fields: tuple[str, ...]) -> None:
    principal = await door.identify(request, unsafe=True)
    principal.require("chat")
    body = request.json() if request.body.strip() else {}
    requests.known_fields(body, fields)
    named = requests.models(body)
    instruction = requests.text(body, "instruction", LONGEST_INSTRUCTION) or ""
    key = door.idempotency_key(request)
    target = await database.run(_find, principal, request.params["message_id"])
    running = engine.current()
    claim = Claim(principal=principal, address=door.address(request))
    start = Start(
        claim=claim,
        door="api",
        worker=running.worker,
        models=await _models(principal, named, target),
        kind=kind,
        conversation_id=target.conversation_id,
        message_id=target.id,
        instruction=instruction.strip(),
        idempotency_key=key,
        body_digest=door.body_digest(request) if key else "",
    )
    stream, started = await running.start_turn(start)
    await watch_turn(request, stream, started, claim)


def _find(principal: Principal, message_id: str) -> _Target:
    message = message_for(principal, message_id)
    model = message.model_id if message.role == Message.Role.ASSISTANT else message.conversation.model
    return _Target(message.pk, message.conversation_id, model)


async def _models(principal: Principal, named: tuple[str, ...], target: _Target) -> list[CatalogModel]:
    """Those named, else the one that answered before if it still can, else the person's usual one."""
    before = catalog.find(target.model)
    if not named and before is not None and before.usable:
        return [door.priced(before)]

    async def who() -> Principal:
        return principal

    return await door.models(named, who)
