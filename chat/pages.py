"""The chat's pages: ``/c``, ``/c/<id>``, the HTML of one message, and the form that switches branches.

A page is readable without a script: messages arrive rendered. The number of queries does not
depend on how long the conversation or the list of conversations is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat import access, branches, conversations, plain_send, receipts, side_list
from chat.models import AIModel, Conversation, Message
from chat.shown import KEPT, MESSAGE_FIELDS, ShownMessage, shown

SHOWN: Final = 200


def _default_model(preferences: dict[str, Any], conversation: Conversation | None) -> str:
    """The conversation's own, the person's choice, or the model on this machine; else the page's script picks."""
    if conversation is not None and conversation.model:
        return conversation.model
    chosen = preferences.get("default_model")
    if isinstance(chosen, str) and chosen:
        return chosen
    local = AIModel.objects.filter(slug__startswith="local/", is_enabled=True, is_listed=True, unusable_reason="")
    return local.order_by("slug").values_list("slug", flat=True).first() or ""


def _thread(conversation: Conversation, before: UUID | None = None) -> dict[str, Any]:
    """What ``chat/thread.html`` shows: the last messages of the path, or those above ``before``."""
    trail = conversations.active_path(conversation.pk, conversation.active_message_id)
    partial = before in trail
    if before in trail:
        trail = trail[: trail.index(before)]
    ids = trail[-SHOWN:]
    by_id = Message.objects.filter(conversation=conversation).only(*MESSAGE_FIELDS).in_bulk(ids)
    return {
        "conversation": conversation,
        "messages": shown(conversation, [by_id[pk] for pk in ids if pk in by_id], columns=not partial),
        "earlier": ids[0] if len(trail) > len(ids) else None,
        "partial": partial,
    }


@require_safe
@never_cache
@login_required
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The chat: an empty one, or a conversation with the last of its messages.

    ``?q=`` searches the list, ``?view=`` chooses a folder or ``archived``; ``?before=<message id>`` shows the
    messages above that one; ``?part=thread`` gives the messages alone; ``?choose`` lists the models for a
    browser without scripts.
    """
    user = request.user
    assert user.is_authenticated
    conversation = access.conversation_for(user.pk, conversation_id) if conversation_id else None
    thread = _thread(conversation, _as_uuid(request.GET.get("before"))) if conversation else {}
    if conversation and _wants_thread(request):
        return render(request, "chat/thread.html", thread)
    listed = side_list.read(user.pk, request.GET.get("q", ""), request.GET.get("view", ""))
    return render(
        request,
        "chat/page.html",
        thread
        | listed
        | {
            "default_model": _default_model(user.preferences or {}, conversation),
            "models": plain_send.offered() if "choose" in request.GET else [],
            "running": _running(thread.get("messages", [])),
            # With a fragment an address is only loaded anew when something else of it changes.
            "look": "b" if request.GET.get("look") == "a" else "a",
        },
    )


@require_safe
@never_cache
@login_required
def message(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    """The HTML of one message, as the page itself would show it."""
    assert request.user.is_authenticated
    conversation = access.conversation_for(request.user.pk, conversation_id)
    found = access.message_in(conversation, message_id)
    context = {"messages": shown(conversation, [found], columns=False), "conversation": conversation}
    return render(request, "chat/messages.html", context)


@require_safe
@never_cache
@login_required
def receipt(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    """The receipt of an answer, as a page; ``?part=receipt`` gives the receipt alone."""
    assert request.user.is_authenticated
    conversation = access.conversation_for(request.user.pk, conversation_id)
    found = access.message_in(conversation, message_id)
    part = request.GET.get("part") == "receipt"
    template = "chat/receipt.html" if part else "chat/receipt_page.html"
    shown = {"receipt": receipts.receipt_of(found), "conversation": conversation, "message_id": found.pk}
    return render(request, template, shown)


@require_POST
@never_cache
@login_required
def show(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Show the branch through ``message``; with ``keep`` it is chosen among those side by side.

    A form of the page, so that branches are switched without a script too; ``?part=thread`` answers with
    the messages instead of sending the reader back to the page.
    """
    assert request.user.is_authenticated
    conversation = access.conversation_for(request.user.pk, conversation_id)
    chosen = access.message_in(conversation, request.POST.get("keep") or request.POST.get("message", ""))
    values: dict[str, Any] = {}
    if "keep" in request.POST:
        chosen.metadata |= {KEPT: True}
        chosen.save(update_fields=["metadata"])
        # The thread goes on with the model that was chosen.
        values["model"] = chosen.model_id
    conversation = branches.show(conversation, chosen.pk, values)
    if _wants_thread(request):
        return render(request, "chat/thread.html", _thread(conversation))
    return redirect(f"{reverse('conversation', args=[conversation.pk])}#m-{chosen.pk}")


def _running(messages: Iterable[ShownMessage]) -> UUID | None:
    """The turn of an answer that is being written, for a page that can't follow it."""
    return next((message.turn_id for message in messages if message.turn_id), None)


def _wants_thread(request: HttpRequest) -> bool:
    return request.GET.get("part") == "thread"


def _as_uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


urlpatterns = [
    *plain_send.urlpatterns,
    path("c", chat, name="chat"),
    path("c/<uuid:conversation_id>", chat, name="conversation"),
    path("c/<uuid:conversation_id>/messages/<uuid:message_id>", message, name="message-html"),
    path("c/<uuid:conversation_id>/messages/<uuid:message_id>/receipt", receipt, name="message-receipt"),
    path("c/<uuid:conversation_id>/show", show, name="show-branch"),
]
