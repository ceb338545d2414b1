"""A conversation's share link over HTTP: make or freeze anew, look at, end."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import sharing
from chat.access import conversation_for
from chat.models import SharedSnapshot
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, Flag, Text, WholeNumber, read_body


class ShareTerms(Body):
    """On which terms a conversation is shared. What is left out or null stays as it was."""

    expires_in = WholeNumber(required=False, help_text="Seconds from now, 60 to a year; 0: it does not end.")
    password = Text(
        max_length=128, required=False, allow_blank=True, trim_whitespace=False,
        help_text="At least 6 characters; empty: none is asked for.",
    )  # fmt: skip
    include_system = Flag(required=False, help_text="Show the system prompt too.")
    allow_continue = Flag(required=False, help_text="Readers may go on with a copy of their own.")

    def validate_expires_in(self, value: int) -> int:
        if value and not sharing.SHORTEST_SECONDS <= value <= sharing.LONGEST_SECONDS:
            raise serializers.ValidationError("Must be 60 seconds to a year, or 0.")
        return value

    def validate_password(self, value: str) -> str:
        if value and len(value) < 6:
            raise serializers.ValidationError("Must have at least 6 characters.")
        return value


class ShareShape(serializers.Serializer[SharedSnapshot]):
    """A share link, as its owner sees it."""

    url = serializers.SerializerMethodField()
    views = serializers.IntegerField(help_text="By others than the owner.")
    has_password = serializers.SerializerMethodField()
    include_system = serializers.BooleanField()
    allow_continue = serializers.BooleanField()
    message_count = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    frozen_at = serializers.DateTimeField(help_text="It shows the conversation as it was then.")
    expires_at = serializers.DateTimeField(allow_null=True)

    def get_url(self, snapshot: SharedSnapshot) -> str | None:
        return sharing.url_of(snapshot)

    def get_has_password(self, snapshot: SharedSnapshot) -> bool:
        return bool(snapshot.password)

    def get_message_count(self, snapshot: SharedSnapshot) -> int:
        return len(snapshot.messages)


class ConversationShare(ScopedView):
    """The share link of a conversation: one or none."""

    scope = "conversations"

    @extend_schema(operation_id="conversations_share_read", responses=ShareShape)
    def get(self, request: Request, conversation_id: str) -> Response:
        """The link and how often it was viewed; 404 when there is none."""
        snapshot = sharing.shared(conversation_for(principal(request), conversation_id))
        if snapshot is None:
            raise Refusal("not_found")
        return Response(ShareShape(snapshot).data)

    @extend_schema(operation_id="conversations_share", request=ShareTerms, responses={200: ShareShape, 201: ShareShape})
    def post(self, request: Request, conversation_id: str) -> Response:
        """Share what the conversation shows now. Where it is shared already, its address stays and shows this."""
        conversation = conversation_for(principal(request), conversation_id)
        terms: dict[str, Any] = read_body(ShareTerms, request)
        snapshot, made = sharing.share(conversation, terms)
        return Response(ShareShape(snapshot).data, status=201 if made else 200)

    @extend_schema(operation_id="conversations_share_end", responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        """End the link at once. Nothing happens when there is none."""
        sharing.end(conversation_for(principal(request), conversation_id))
        return Response(status=204)
