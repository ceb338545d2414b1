"""Conversations over HTTP: list, make, read, change, put in the bin, take out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import branches, bulk, conversations, folders
from chat.access import conversation_for, id_from
from chat.api.shapes import (
    BulkDeed,
    BulkResult,
    ConversationChange,
    ConversationShape,
    ConversationTitle,
    FoundConversationShape,
    NewConversation,
)
from chat.models import Conversation
from chat.search import Search, in_time
from chat.search_words import Part
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


def _folder(user_id: UUID, folder_id: str) -> UUID:
    """The id of a folder of the person. Refusal ``not_found`` that names the field."""
    try:
        return folders.folder_for(user_id, folder_id).pk
    except Refusal as refusal:
        raise Refusal("not_found", param="folder") from refusal


def _highlights(search: Search, found: Sequence[Conversation]) -> list[list[dict[str, Any]]]:
    """For each of ``found`` where the search hit: in the title, in the message that was said last."""
    said = search.newest_in([one.pk for one in found])
    marked = []
    for one in found:
        message = said.get(one.pk)
        places: list[tuple[str, UUID | None, list[Part]]] = [("title", None, search.excerpt(one.title))]
        if message is not None:
            places.append(("content", message.pk, search.excerpt(message.content)))
        marked.append(
            [
                {"field": field, "message_id": pk, "parts": [asdict(part) for part in parts]}
                for field, pk, parts in places
                if parts
            ]
        )
    return marked


class ConversationList(ScopedView):
    """A person's conversations."""

    scope = "conversations"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="conversations_list",
        parameters=[
            OpenApiParameter(
                "q", str, description="Beginnings of words of one message, or parts of the title; up to 200 characters."
            ),
            OpenApiParameter("folder", str, description="A folder's id, or `none`."),
            OpenApiParameter("tag", str),
            OpenApiParameter("archived", bool),
            OpenApiParameter("pinned", bool),
            OpenApiParameter("sort", str, enum=list(SORTS), default="-last_message_at"),
            *PAGE_PARAMETERS,
        ],
        responses=FoundConversationShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """The person's conversations, the last used one first. Deleted and temporary ones are left out.

        With ``q`` each says in ``highlights`` where it was found.
        """
        order = choice_parameter(request, "sort", SORTS, "-last_message_at")
        user_id = principal(request).user_id
        found = conversations.listed(user_id)
        for name in ("archived", "pinned"):
            wanted = flag_parameter(request, name)
            if wanted is not None:
                found = found.filter(**{name: wanted})
        if tag := text_parameter(request, "tag"):
            found = conversations.tagged(found, tag)
        if folder := text_parameter(request, "folder"):
            found = found.filter(folder=None if folder == "none" else _folder(user_id, folder))
        pages = Pages(order, any_text if order[0].endswith("title") else None)
        q = text_parameter(request, "q")
        if not q:
            page: Any = pages.paginate_queryset(found, request, self)
            return pages.get_paginated_response(ConversationShape(page, many=True).data)
        search = Search.of(user_id, q)
        with in_time():
            page = pages.paginate_queryset(conversations.containing(found, search), request, self)
            shown = [
                {**ConversationShape(row).data, "highlights": marks}
                for row, marks in zip(page, _highlights(search, page), strict=True)
            ]
        return pages.get_paginated_response(shown)

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
        if "folder" in values:
            folder = values.pop("folder")
            values["folder_id"] = _folder(principal(request).user_id, folder) if folder else None
        shown = values.pop("active_message_id", None)
        if shown is None:
            return conversation_response(conversations.change(conversation, values))
        try:
            return conversation_response(branches.show(conversation, shown, values))
        except Refusal as refusal:
            raise Refusal("not_found", param="active_message_id") from refusal

    @extend_schema(operation_id="conversations_delete", responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        """Put the conversation in the bin for thirty days; ``restore`` takes it out again. Its link ends."""
        conversations.put_in_bin([conversation_for(principal(request), conversation_id).pk])
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
        conversations.take_out_of_bin([conversation.pk])
        return conversation_response(conversation_for(principal(request), conversation.pk))


class ConversationBulk(ScopedView):
    """One deed on many conversations."""

    scope = "conversations"

    @extend_schema(operation_id="conversations_bulk", request=BulkDeed, responses=BulkResult)
    def post(self, request: Request) -> Response:
        """Archive, pin, move, tag, delete or restore up to 100 conversations at once."""
        values = read_body(BulkDeed, request)
        for name in ("ids", "action"):
            if name not in values:
                raise Refusal("missing_required_parameter", param=name)
        user_id, deed, tag = principal(request).user_id, values["action"], values.get("tag", "")
        asked = list(dict.fromkeys(values["ids"]))
        if not 1 <= len(asked) <= bulk.MOST:
            raise Refusal("invalid_value", f"Must be 1 to {bulk.MOST} ids.", param="ids")
        if deed in ("tag", "untag") and not tag:
            raise Refusal("missing_required_parameter", param="tag")
        if deed == "move" and "folder" not in values:
            raise Refusal("missing_required_parameter", param="folder")
        folder_id = _folder(user_id, values["folder"]) if deed == "move" and values["folder"] else None
        ids = {pk: text for text in asked if (pk := _id_or_none(text)) is not None}
        changed = bulk.do(user_id, list(ids), deed, folder_id=folder_id, tag=tag)
        done = {ids[pk] for pk in changed}
        return Response({"changed": changed, "not_found": [text for text in asked if text not in done]})


def _id_or_none(text: str) -> UUID | None:
    try:
        return id_from(text)
    except Refusal:
        return None
