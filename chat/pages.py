"""The chat's pages: ``/c``, ``/c/<id>`` and the HTML of one message.

A page is readable without a script: messages arrive rendered. The number of queries does not
depend on how long the conversation or the list of conversations is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Case, F, TextField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import access, conversations, markdown
from chat.models import AIModel, Conversation, Generation, Message
from oneai.kit.clock import now

LISTED: Final = 50
SHOWN: Final = 200
_FINAL: Final = frozenset({Message.Status.COMPLETE, Message.Status.STOPPED, Message.Status.INTERRUPTED})
_MESSAGE_FIELDS: Final = (
    "id role content content_html html_version reasoning status model_id tokens_used finish_reason error usage "
    "parent_message_id created_at"
).split()


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as the template says it. ``html`` is empty for a person's own words, which stay text."""

    id: UUID
    role: str
    text: str
    html: SafeString
    reasoning: str
    status: str
    model: str
    finish_reason: str
    error: dict[str, Any] | None
    usage: dict[str, Any] | None
    parent_id: UUID | None
    turn_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations of one stretch of time."""

    name: str
    items: list[Conversation]


def _rendered(messages: Iterable[Message]) -> None:
    """Renders answers whose cached HTML is missing or of an older version and saves them in one statement."""
    stale = [
        message
        for message in messages
        if message.role == Message.Role.ASSISTANT
        and message.status in _FINAL
        and message.html_version != markdown.RENDER_VERSION
    ]
    if not stale:
        return
    for message in stale:
        message.content_html = markdown.render(message.content)
    Message.objects.filter(pk__in=[message.pk for message in stale], status__in=_FINAL).update(
        content_html=Case(
            *(When(pk=message.pk, then=Value(message.content_html)) for message in stale), output_field=TextField()
        ),
        html_version=markdown.RENDER_VERSION,
    )


def _shown(messages: list[Message]) -> list[ShownMessage]:
    _rendered(messages)
    streaming = [message.pk for message in messages if message.status == Message.Status.STREAMING]
    turns: dict[UUID | None, UUID] = {}
    if streaming:
        turns = dict(Generation.objects.filter(message_id__in=streaming).values_list("message_id", "turn_id"))
    return [
        ShownMessage(
            id=message.pk,
            role=message.role,
            text=message.content if message.role == Message.Role.USER else "",
            html=mark_safe(_html(message)),  # noqa: S308 (the sanitiser's own output)
            reasoning=message.reasoning,
            status=message.status,
            model=message.model_id,
            finish_reason=message.finish_reason,
            error=message.error,
            usage=message.usage,
            parent_id=message.parent_message_id,
            turn_id=turns.get(message.pk),
            created_at=message.created_at,
        )
        for message in messages
    ]


def _html(message: Message) -> str:
    if message.role == Message.Role.USER:
        return ""
    if message.status in _FINAL:
        return message.content_html
    return markdown.render(message.content) if message.content else ""


def _grouped(rows: Iterable[Conversation], at: datetime) -> list[Group]:
    """By age, as a person thinks of it; the list comes newest first."""
    today = at.date()
    groups: list[Group] = []
    for conversation in rows:
        day = (conversation.last_message_at or conversation.created_at).date()
        if day >= today:
            name = "Today"
        elif day == today - timedelta(days=1):
            name = "Yesterday"
        elif day > today - timedelta(days=7):
            name = "This week"
        elif day > today - timedelta(days=30):
            name = "This month"
        else:
            name = f"{day:%B %Y}"
        if not groups or groups[-1].name != name:
            groups.append(Group(name, []))
        groups[-1].items.append(conversation)
    return groups


def _listed(user_id: UUID, query: str) -> list[Conversation]:
    rows = conversations.listed(user_id).filter(archived=False)
    if query:
        rows = rows.filter(title__icontains=query)
    recent = rows.order_by(F("last_message_at").desc(nulls_last=True), "-id")
    return list(recent.only("id", "title", "last_message_at", "created_at")[: LISTED + 1])


def _default_model(preferences: dict[str, Any], conversation: Conversation | None) -> str:
    """The conversation's own, the person's choice, or the model on this machine; else the page's script picks."""
    if conversation is not None and conversation.model:
        return conversation.model
    chosen = preferences.get("default_model")
    if isinstance(chosen, str) and chosen:
        return chosen
    local = AIModel.objects.filter(slug__startswith="local/", is_enabled=True, is_listed=True, unusable_reason="")
    return local.order_by("slug").values_list("slug", flat=True).first() or ""


@require_safe
@never_cache
@login_required
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The chat: an empty one, or a conversation with the last of its messages.

    ``?q=`` filters the list by title; ``?before=<message id>`` shows the messages above that one.
    """
    user = request.user
    assert user.is_authenticated
    conversation = access.conversation_for(user.pk, conversation_id) if conversation_id else None
    messages: list[Message] = []
    earlier: UUID | None = None
    partial = False
    if conversation is not None:
        trail = conversations.active_path(conversation.pk, conversation.active_message_id)
        if (edge := _as_uuid(request.GET.get("before"))) in trail:
            trail, partial = trail[: trail.index(edge)], True
        shown = trail[-SHOWN:]
        earlier = shown[0] if len(trail) > len(shown) else None
        by_id = Message.objects.filter(conversation=conversation).only(*_MESSAGE_FIELDS).in_bulk(shown)
        messages = [by_id[pk] for pk in shown if pk in by_id]
    query = request.GET.get("q", "").strip()[:200]
    listed = _listed(user.pk, query)
    return render(
        request,
        "chat/page.html",
        {
            "conversation": conversation,
            "messages": _shown(messages),
            "earlier": earlier,
            "partial": partial,
            "groups": _grouped(listed[:LISTED], now()),
            "more": len(listed) > LISTED,
            "query": query,
            "default_model": _default_model(user.preferences or {}, conversation),
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
    return render(request, "chat/messages.html", {"messages": _shown([found]), "conversation": conversation})


def _as_uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


urlpatterns = [
    path("c", chat, name="chat"),
    path("c/<uuid:conversation_id>", chat, name="conversation"),
    path("c/<uuid:conversation_id>/messages/<uuid:message_id>", message, name="message-html"),
]
