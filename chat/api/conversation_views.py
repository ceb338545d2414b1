"""Conversations over HTTP: list, make, read, change, put in the bin, take out of it."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import branches, conversations
from chat.access import conversation_for
from chat.api.shapes import ConversationChange, ConversationShape, ConversationTitle, NewConversation
from chat.models import Conversation
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter, flag_parameter, read_body, text_parameter
from oneai.kit.paging import PAGE_PARAMETERS, Pages, any_text

SORTS: Final = {
    "-last_message_at": ("-last_message_at", "-id"),
    "last_message_at": ("last_message_at", "id"),
    "-created_at": ("-created_at", "-id"),
    "created_at": ("created_at", "id"),
    "title": ("title", "id"),
    "-title": ("-title", "-id"),
}


def conversation_response(conversation: Conversation, status: int = 200) -> Response:
    """A conversation as an answer."""
    return Response(ConversationShape(conversation).data, status=status)


class ConversationList(ScopedView):
    """A person's conversations."""

    scope = "conversations"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="conversations_list",
        parameters=[
            OpenApiParameter("q", str, description="Part of the title or of a message, up to 200 characters."),
            OpenApiParameter("tag", str),
            OpenApiParameter("archived", bool),
            OpenApiParameter("pinned", bool),
            OpenApiParameter("sort", str, enum=list(SORTS), default="-last_message_at"),
            *PAGE_PARAMETERS,
        ],
        responses=ConversationShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """The person's conversations, the last used one first. Deleted and temporary ones are left out."""
        order = choice_parameter(request, "sort", SORTS, "-last_message_at")
        found = conversations.listed(principal(request).user_id)
        for name in ("archived", "pinned"):
            wanted = flag_parameter(request, name)
            if wanted is not None:
                found = found.filter(**{name: wanted})
        if tag := text_parameter(request, "tag"):
            found = conversations.tagged(found, tag)
        if q := text_parameter(request, "q"):
            found = conversations.containing(found, principal(request).user_id, q)
        pages = Pages(order, any_text if order[0].endswith("title") else None)
        page: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(ConversationShape(page, many=True).data)

    @extend_schema(operation_id="conversations_create", request=NewConversation, responses={201: ConversationShape})
    def post(self, request: Request) -> Response:
        """Make an empty conversation."""
        values = read_body(NewConversation, request)
        return conversation_response(conversations.create(principal(request).user_id, values), 201)


class ConversationDetail(ScopedView):
    """One conversation."""

    scope = "conversations"

    @extend_schema(operation_id="conversations_read", responses=ConversationShape)
    def get(self, request: Request, conversation_id: str) -> Response:
        """A conversation, without its messages."""
        return conversation_response(conversation_for(principal(request), conversation_id))

    @extend_schema(operation_id="conversations_change", request=ConversationChange, responses=ConversationShape)
    def patch(self, request: Request, conversation_id: str) -> Response:
        """Change what is given. ``active_message_id`` shows the branch through that message, to its newest end."""
        conversation = conversation_for(principal(request), conversation_id)
        values = read_body(ConversationChange, request)
        shown = values.pop("active_message_id", None)
        if shown is None:
            return conversation_response(conversations.change(conversation, values))
        try:
            return conversation_response(branches.show(conversation, shown, values))
        except Refusal as refusal:
            raise Refusal("not_found", param="active_message_id") from refusal

    @extend_schema(operation_id="conversations_delete", responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        """Put the conversation in the bin; ``restore`` takes it out again."""
        conversations.put_in_bin(conversation_for(principal(request), conversation_id))
        return Response(status=204)


class ConversationTitleView(ScopedView):
    """A conversation's title."""

    scope = "conversations"

    @extend_schema(operation_id="conversations_rename", request=ConversationTitle, responses=ConversationShape)
    def patch(self, request: Request, conversation_id: str) -> Response:
        """Rename the conversation."""
        conversation = conversation_for(principal(request), conversation_id)
        values = read_body(ConversationTitle, request)
        if "title" not in values:
            raise Refusal("missing_required_parameter", param="title")
        return conversation_response(conversations.change(conversation, values))


class ConversationRestore(ScopedView):
    """The way out of the bin."""

    scope = "conversations"

    @extend_schema(operation_id="conversations_restore", request=None, responses=ConversationShape)
    def post(self, request: Request, conversation_id: str) -> Response:
        """Undo the deletion of a conversation."""
        conversation = conversation_for(principal(request), conversation_id, deleted=True)
        return conversation_response(conversations.take_out_of_bin(conversation))
