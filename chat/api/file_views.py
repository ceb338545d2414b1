"""Conversations as files: export in five formats, import of our own JSON and of ChatGPT's."""

from __future__ import annotations

import threading
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from accounts.throttles import Limit, take
from chat.access import conversation_for
from chat.exporting import files as exports
from chat.importing import files, writing
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter

EXPORTS_BY_PERSON: Final = Limit("export/account", 120, 600)
#: A file of 20 MiB is some hundred MiB as objects: a process reads one at a time.
_reading = threading.BoundedSemaphore(1)


class AnyForm(BaseContentNegotiation):
    """The format is in the query: whatever a browser says that it accepts, it gets the file."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0] if parsers else None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ConversationExport(ScopedView):
    """A conversation as a file."""

    scope = "conversations"
    content_negotiation_class = AnyForm

    @extend_schema(
        operation_id="conversations_export",
        parameters=[OpenApiParameter("format", str, enum=list(exports.FORMATS), required=True)],
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/markdown"): OpenApiTypes.STR,
            (200, "text/html"): OpenApiTypes.STR,
            (200, "text/plain"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """The branch that is shown as md, html, txt or pdf; every branch as json, which can be imported again."""
        file_format = choice_parameter(request, "format", {name: name for name in exports.FORMATS}, "")
        conversation = conversation_for(principal(request), conversation_id)
        take(EXPORTS_BY_PERSON, str(conversation.user_id))
        file = exports.export(conversation, file_format)
        answer = HttpResponse(file.body, content_type=file.content_type)
        answer["Content-Disposition"] = file.disposition
        answer["Cache-Control"] = "no-store, private"
        return answer


class Bytes(BaseParser):
    """A body as it came; the gate has counted it."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return bytes(stream.read())


class SkippedShape(serializers.Serializer[Any]):
    """A conversation that did not come in; ``index`` counts from 0."""

    index = serializers.IntegerField()
    reason = serializers.CharField()


class ImportedShape(serializers.Serializer[Any]):
    """What came in. ``ids`` and ``reasons`` name the first hundred."""

    conversations = serializers.IntegerField()
    messages = serializers.IntegerField()
    ids = serializers.ListField(child=serializers.UUIDField())
    skipped = serializers.IntegerField()
    reasons = SkippedShape(many=True)


def _body(request: Request) -> bytes:
    data: Any = request.data
    return data if isinstance(data, bytes) else b""  # REST framework's own for an empty one


#: Our own export is an object, ChatGPT's an array; what in it is no conversation is left out and named in the answer.
FILE: Final = {"oneOf": [{"type": "object"}, {"type": "array", "minItems": 1, "items": {}}]}


class ConversationImport(ScopedView):
    """Conversations from a file."""

    scope = "conversations"
    parser_classes = [Bytes]

    @extend_schema(
        operation_id="conversations_import",
        request={"application/json": FILE, "application/zip": OpenApiTypes.BINARY},
        responses={201: OpenApiResponse(ImportedShape)},
    )
    def post(self, request: Request) -> Response:
        """Bring in our own JSON export, or ChatGPT's `conversations.json`, by itself or in its ZIP; up to 20 MiB."""
        if not _reading.acquire(timeout=5):
            raise Refusal("unavailable", "Another file is being brought in.", retry_after=10)
        try:
            done = writing.bring_in(principal(request).user_id, files.entries(_body(request)))
        finally:
            _reading.release()
        return Response(ImportedShape(done).data, status=201)
