"""/api/user/export: everything of mine as a file; /api/user/delete: the end of the account, which can be undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import closing, exporting, second_step, throttles
from accounts.api.doors import PersonView, person
from accounts.models import Closing, Export, User
from accounts.team_places import the_id
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, Text, read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages, list_response, slice_of


class ExportShape(serializers.Serializer[Any]):
    """An export; ``url`` is there once it can be fetched."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Export.State.choices)
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    size = serializers.IntegerField(help_text="In bytes.")
    url = serializers.CharField(allow_null=True)


class ClosingShape(serializers.Serializer[Any]):
    """When the account is deleted; ``due_at`` null: it is not."""

    due_at = serializers.DateTimeField(allow_null=True)


class Proof(Body):
    """That it is really them: the password, or without one the account's address; and a code where one is needed."""

    password = Text(max_length=200, trim_whitespace=False)
    email = Text(max_length=254)
    second_factor = Text(max_length=20)


def prove(user: User, given: dict[str, Any]) -> None:
    """Refusal ``invalid_value`` or ``missing_required_parameter`` unless the body proves that it is ``user``."""
    name = "password" if user.has_usable_password() else "email"
    if not given.get(name):
        raise Refusal("missing_required_parameter", f"The field {name!r} is required.", param=name)
    ticket = throttles.take(throttles.PASSWORD_BY_ACCOUNT, str(user.pk))
    good = user.check_password(given[name]) if name == "password" else given[name].strip().lower() == user.email
    if not good:
        raise Refusal("invalid_value", "That is not right.", param=name)
    throttles.give_back(ticket)
    if second_step.is_on(user):
        if not given.get("second_factor"):
            raise Refusal("missing_required_parameter", "A code is required.", param="second_factor")
        second_step.check_code(user, given["second_factor"])


def _shown(row: Export) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state,
        "asked_at": row.asked_at,
        "expires_at": row.expires_at,
        "size": row.size,
        "url": f"/api/user/export/{row.pk}" if row.state == Export.State.READY else None,
    }


class ExportList(PersonView):
    """The person's exports; closed to API keys."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="user_exports", tags=["user"], parameters=PAGE_PARAMETERS, responses=ExportShape(many=True)
    )
    def get(self, request: Request) -> Response:
        """Those that are being made or can be fetched, the newest first."""
        page, following, before = slice_of(request, exporting.of(person(request).pk))
        return list_response([_shown(row) for row in page], following, before)

    @extend_schema(operation_id="user_export", tags=["user"], request=None, responses={202: ExportShape})
    def post(self, request: Request) -> Response:
        """Have everything put into a ZIP; a mail says when it can be fetched, and it can be for a week."""
        return Response(_shown(exporting.ask(person(request))), status=202)


class AnyAccepted(DefaultContentNegotiation):
    """Takes whatever the client accepts: the answer is a file."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


async def _pieces(export_id: UUID) -> AsyncIterator[bytes]:
    number = 0
    while piece := await sync_to_async(exporting.part)(export_id, number):
        yield piece
        number += 1


def as_file(row: Export) -> StreamingHttpResponse:
    """The ZIP, read piece by piece."""
    return StreamingHttpResponse(
        _pieces(row.pk),
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="export-{row.asked_at:%Y-%m-%d}.zip"',
            "Content-Length": str(row.size),
            "Cache-Control": "no-store, private",
        },
    )


class ExportFile(PersonView):
    """One export's file."""

    content_negotiation_class = AnyAccepted

    @extend_schema(
        operation_id="user_export_file",
        tags=["user"],
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, export_id: str) -> StreamingHttpResponse:
        """The ZIP; 404 once its week is over."""
        return as_file(exporting.find(person(request).pk, the_id(export_id)))


class ClosingView(PersonView):
    """The end of the account; closed to API keys."""

    def _answer(self, row: Closing | None, status: int = 200) -> Response:
        return Response({"due_at": row.due_at if row is not None else None}, status=status)

    @extend_schema(operation_id="user_delete_state", tags=["user"], responses=ClosingShape)
    def get(self, request: Request) -> Response:
        """Whether the account is going to be deleted, and when."""
        return self._answer(closing.of(person(request)))

    @extend_schema(operation_id="user_delete", tags=["user"], request=Proof, responses={202: ClosingShape})
    def post(self, request: Request) -> Response:
        """Delete the account when the days of grace are over. Keys end at once."""
        user = person(request)
        given = read_body(Proof, request)
        closing.check(user)
        prove(user, given)
        return self._answer(closing.ask(user), 202)

    @extend_schema(
        operation_id="user_delete_undo", tags=["user"], responses={204: OpenApiResponse(description="It stays.")}
    )
    def delete(self, request: Request) -> Response:
        """Take it back: the account stays."""
        closing.undo(person(request))
        return Response(status=204)
