"""Messages over HTTP: those of a conversation, and a person's whole history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import branches, conversations, requests
from chat.access import conversation_for
from chat.api.shapes import MESSAGE_COLUMNS, FoundMessageShape, MessageContent, MessageShape, messages_shown
from chat.models import Conversation, Message
from chat.search import Search, in_time
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter, flag_parameter, moment_parameter, text_parameter
from oneai.kit.paging import PAGE_PARAMETERS, Pages, list_response, slice_of

_NEWEST_FIRST: Final = ("-created_at", "-id")
ROLES: Final = {"": "", "user": "user", "assistant": "assistant"}
_MODEL: Final = OpenApiParameter("model", str, description="Answers of this model only.")


class ConversationMessages(ScopedView):
    """The messages of a conversation."""

    scope = "conversations"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="conversations_messages",
        parameters=[
            OpenApiParameter("tree", bool, description="All branches, not just the one that is shown."),
            OpenApiParameter("role", str, enum=["user", "assistant"]),
            _MODEL,
            OpenApiParameter("q", str, description="Part of the text, up to 200 characters."),
            *PAGE_PARAMETERS,
        ],
        responses=MessageShape(many=True),
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        """Messages, oldest first: of the branch that is shown, or with ``tree`` of all."""
        conversation = conversation_for(principal(request), conversation_id)
        role = choice_parameter(request, "role", ROLES, "")
        model, q = text_parameter(request, "model"), text_parameter(request, "q")
        if flag_parameter(request, "tree"):
            found = _narrowed(Message.objects.filter(conversation=conversation), model, q)
            if role:
                found = found.filter(role=role)
            return _pages(self, request, found, ("created_at", "id"))
        return _path(request, conversation, role, model, q)


def _path(request: Request, conversation: Conversation, role: str, model: str, q: str) -> Response:
    ids = conversations.active_path(conversation.pk, conversation.active_message_id, role=role, model=model, contains=q)
    page, following, before = slice_of(request, ids)
    rows: dict[UUID, Message] = Message.objects.only(*MESSAGE_COLUMNS).in_bulk(list(page))
    shown = [rows[message_id] for message_id in page if message_id in rows]
    return list_response(messages_shown(shown), following, before)


def _narrowed(found: QuerySet[Message], model: str, q: str) -> QuerySet[Message]:
    if model:
        found = found.filter(model_id=model)
    if q:
        found = found.filter(content__icontains=q)
    return found


def _pages(view: Any, request: Request, found: QuerySet[Message], order: tuple[str, ...]) -> Response:
    pages = Pages(order)
    page: Any = pages.paginate_queryset(found.only(*MESSAGE_COLUMNS), request, view)
    return pages.get_paginated_response(messages_shown(page))


class MessageDetail(ScopedView):
    """One message of a conversation's tree."""

    scope = "conversations"

    @extend_schema(operation_id="messages_edit", request=MessageContent, responses={201: MessageShape})
    def patch(self, request: Request, message_id: str) -> Response:
        """Put a message with other text beside this one, and show it; this one stays as it was."""
        if not isinstance(request.data, Mapping):
            raise Refusal("invalid_request", "The body must be a JSON object.")
        requests.known_fields(request.data, ("content",))
        made = branches.edit(principal(request), message_id, requests.content(request.data))
        return Response(messages_shown([made])[0], status=201)

    @extend_schema(operation_id="messages_delete", responses={204: None})
    def delete(self, request: Request, message_id: str) -> Response:
        """Delete a message and everything below it."""
        branches.delete(principal(request), message_id)
        return Response(status=204)


class History(ScopedView):
    """Everything that a person said and was answered."""

    scope = "conversations"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="chat_history",
        parameters=[
            OpenApiParameter("from", str, description="A date or a time in ISO 8601, the first included."),
            OpenApiParameter("to", str, description="A date or a time in ISO 8601, the last included."),
            OpenApiParameter("conversation", str, description="The id of one conversation."),
            _MODEL,
            OpenApiParameter("q", str, description="Beginnings of words, all of which must be there."),
            *PAGE_PARAMETERS,
        ],
        responses=FoundMessageShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Messages of all conversations that are not deleted, the newest first.

        With ``q`` each has in ``highlights`` the piece of its text in which the words are.
        """
        who = principal(request)
        found = Message.objects.filter(
            user_id=who.user_id, conversation__deleted_at=None, conversation__temporary=False
        )
        if conversation_id := text_parameter(request, "conversation"):
            found = found.filter(conversation=conversation_for(who, conversation_id))
        if start := moment_parameter(request, "from"):
            found = found.filter(created_at__gte=start)
        if end := moment_parameter(request, "to", end=True):
            found = found.filter(created_at__lte=end)
        found = _narrowed(found, text_parameter(request, "model"), "")
        q = text_parameter(request, "q")
        if not q:
            return _pages(self, request, found, _NEWEST_FIRST)
        search, pages = Search.of(who.user_id, q), Pages(_NEWEST_FIRST)
        with in_time():
            page: Any = pages.paginate_queryset(search.messages(found).only(*MESSAGE_COLUMNS), request, self)
        shown = [
            {**said, "highlights": [asdict(part) for part in search.excerpt(row.content)]}
            for row, said in zip(page, messages_shown(page), strict=True)
        ]
        return pages.get_paginated_response(shown)
