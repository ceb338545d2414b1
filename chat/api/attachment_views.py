"""Files over HTTP: sent, listed, fetched by their owner, deleted. Closed to API keys."""

from __future__ import annotations

from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView, principal
from chat import attachment_store, attachments
from chat.api.attachment_shapes import AttachmentShape, FileForm, NewAttachment
from chat.attachment_models import Attachment
from oneai.kit.errors import Refusal
from oneai.kit.paging import PAGE_PARAMETERS, Pages

_ORDER: Final = ("-created_at", "-id")


def _file(request: Request) -> UploadedFile[Any]:
    form: Any = request.data
    for name in form:
        if name != "file":
            raise Refusal("unknown_field", f"The field {str(name)[:100]!r} is not known.", param=str(name)[:100])
    given = form.getlist("file")
    if not given:
        raise Refusal("missing_required_parameter", "file is required.", param="file")
    if len(given) > 1 or not isinstance(given[0], UploadedFile):
        raise Refusal("invalid_value", "Send one file.", param="file")
    return given[0]


class AttachmentList(PersonView):
    """A person's files."""

    parser_classes = [FileForm]
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(operation_id="attachments_list", parameters=PAGE_PARAMETERS, responses=AttachmentShape(many=True))
    def get(self, request: Request) -> Response:
        """The person's files, the newest first."""
        pages = Pages(_ORDER)
        found = attachments.of(principal(request).user_id).defer("text")
        page: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(AttachmentShape(page, many=True).data)

    @extend_schema(operation_id="attachments_create", request=NewAttachment, responses={201: AttachmentShape})
    def post(self, request: Request) -> Response:
        """Send a file of up to 20 MiB; without a message that holds it, it goes after a day."""
        sent = _file(request)
        made = attachments.receive(principal(request).user_id, sent.name or "", sent.read())
        return Response(AttachmentShape(made).data, status=201)


class AttachmentDetail(PersonView):
    """One file."""

    @extend_schema(operation_id="attachments_read", responses=AttachmentShape)
    def get(self, request: Request, attachment_id: str) -> Response:
        """What is known of the file."""
        return Response(AttachmentShape(attachments.attachment_for(principal(request).user_id, attachment_id)).data)

    @extend_schema(operation_id="attachments_delete", responses={204: None})
    def delete(self, request: Request, attachment_id: str) -> Response:
        """Delete a file that no message holds; one that is held goes with its message."""
        attachments.delete(principal(request).user_id, attachment_id)
        return Response(status=204)


class AttachmentContent(PersonView):
    """The bytes of one file."""

    @extend_schema(
        operation_id="attachments_content",
        responses={
            (200, kind): OpenApiResponse(OpenApiTypes.BINARY, "The file.")
            for kind in ("application/octet-stream", "image/png", "image/jpeg")
        },
    )
    def get(self, request: Request, attachment_id: str) -> HttpResponse:
        """The file: a picture as made anew, anything else byte for byte and as bytes only."""
        found = attachments.attachment_for(principal(request).user_id, attachment_id)
        kind = found.content_type if found.kind == Attachment.Kind.IMAGE else "application/octet-stream"
        response = HttpResponse(attachment_store.load(found.pk), content_type=kind)
        response["Content-Disposition"] = content_disposition_header(True, _file_name(found))
        return response


def _file_name(found: Attachment) -> str:
    """The name that fits the bytes: a picture may be of another kind now than it was sent as."""
    if found.kind != Attachment.Kind.IMAGE:
        return found.name
    usual = {"image/png": (".png",), "image/jpeg": (".jpg", ".jpeg")}[found.content_type]
    return found.name if found.name.lower().endswith(usual) else found.name + usual[0]
