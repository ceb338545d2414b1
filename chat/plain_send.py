"""Sending and stopping by a form, for a browser that runs no scripts.

The answer is written as it always is; the page shows how far it came, and asks again until it is there.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.addresses import client_address
from accounts.authentication import authenticate
from accounts.claims import Claim
from accounts.principal import Principal
from chat import catalog, door, engine, requests
from oneai.kit import database
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id

_FIELDS: Final = ("content", "model", "conversation_id")


def offered() -> list[str]:
    """The models that may be asked now, for a list to choose from; synchronous."""
    return [model.slug for model in catalog.current().offered if model.listed]


@require_POST
@never_cache
@login_required
async def send(request: HttpRequest) -> HttpResponse:
    """Start a turn from the fields ``content``, ``model`` and ``conversation_id``, then show the conversation.

    What is refused comes back with the text that was typed, to be sent again.
    """
    body = {name: value for name in _FIELDS if (value := request.POST.get(name, "").replace("\r\n", "\n"))}
    try:
        asked = requests.read(body)
        principal = await _who(request)
        claim = Claim(principal=principal, address=client_address(request), request_id=current_request_id())

        async def who() -> Principal:
            return principal

        models = await door.models(asked.models, who)
        running = engine.current()
        start = door.send(asked, models, claim, "api", running.worker, None, "")
        _, started = await running.start_turn(start)
    except Refusal as refusal:
        return await sync_to_async(_not_sent)(request, refusal, body)
    conversation_id = started.conversation_id if started else asked.conversation_id
    return redirect(_address(conversation_id))


@require_POST
@never_cache
@login_required
async def stop(request: HttpRequest, turn_id: UUID) -> HttpResponse:
    """End the answers of a turn; the page that the form was on is shown again."""
    running = engine.current()
    try:
        conversation_id = requests.identity({"id": request.POST.get("conversation_id") or None}, "id")
        await running.stop_turn((await _who(request)).user_id, turn_id, None)
    except Refusal as refusal:
        return await sync_to_async(_not_sent)(request, refusal, {})
    return redirect(_address(conversation_id))


async def _who(request: HttpRequest) -> Principal:
    """The person, as the door of every stream knows them; Refusal ``not_authenticated``."""
    found = await database.run(authenticate, {}, dict(request.COOKIES), client_address(request))
    if found is None:
        raise Refusal("not_authenticated")
    return found


def _address(conversation_id: UUID | None) -> str:
    return reverse("conversation", args=[conversation_id]) + "#end" if conversation_id else reverse("chat")


def _not_sent(request: HttpRequest, refusal: Refusal, body: dict[str, Any]) -> HttpResponse:
    context = {"said": refusal.text, "code": refusal.code, "body": body, "models": offered() if body else []}
    status = HTTPStatus.CONFLICT if refusal.status == HTTPStatus.UNAUTHORIZED else refusal.status
    return render(request, "chat/not_sent.html", context, status=status)


urlpatterns = [
    path("c/send", send, name="plain-send"),
    path("c/stop/<uuid:turn_id>", stop, name="plain-stop"),
]
