"""How files look on the wire, and how one is sent: as a form with one file in it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import SuspiciousOperation
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser

from chat.attachment_models import Attachment
from oneai.kit.errors import Refusal


class FileForm(MultiPartParser):
    """A form of ``multipart/form-data``. Refusal ``invalid_request`` when it can't be read."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except (ParseError, SuspiciousOperation) as error:
            raise Refusal("invalid_request", "The form can't be read.") from error


class AttachmentShape(serializers.Serializer[Attachment]):
    """A file that somebody attached. ``truncated``: models get the beginning of its text alone."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Attachment.Kind.choices)
    content_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes, as stored.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    pages = serializers.IntegerField(allow_null=True)
    truncated = serializers.BooleanField(source="is_cut")
    url = serializers.SerializerMethodField(help_text="Its bytes, for its owner.")
    created_at = serializers.DateTimeField()

    @extend_schema_field(str)
    def get_url(self, attachment: Attachment) -> str:
        return f"/api/attachments/{attachment.pk}/content"


class NewAttachment(serializers.Serializer[Any]):
    """The form that sends a file."""

    file = serializers.FileField(help_text="PNG, JPEG, GIF, WebP, PDF or text; decided by its content.")
