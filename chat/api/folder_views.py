"""Folders over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import folders
from chat.api.shapes import FolderName, FolderShape
from chat.models import Folder
from oneai.kit.errors import Refusal
from oneai.kit.fields import read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages, list_response, slice_of


def _name(request: Request) -> str:
    values = read_body(FolderName, request)
    if "name" not in values:
        raise Refusal("missing_required_parameter", param="name")
    return str(values["name"])


def _response(folder: Folder, status: int = 200) -> Response:
    return Response(FolderShape(folder).data, status=status)


class FolderList(ScopedView):
    """A person's folders."""

    scope = "conversations"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(operation_id="folders_list", parameters=PAGE_PARAMETERS, responses=FolderShape(many=True))
    def get(self, request: Request) -> Response:
        """The person's folders, by name."""
        page, following, before = slice_of(request, list(folders.listed(principal(request).user_id)))
        shown: Any = list(page)
        return list_response(FolderShape(shown, many=True).data, following, before)

    @extend_schema(operation_id="folders_create", request=FolderName, responses={201: FolderShape})
    def post(self, request: Request) -> Response:
        """Make a folder."""
        return _response(folders.create(principal(request).user_id, _name(request)), 201)


class FolderDetail(ScopedView):
    """One folder."""

    scope = "conversations"

    @extend_schema(operation_id="folders_read", responses=FolderShape)
    def get(self, request: Request, folder_id: str) -> Response:
        """A folder."""
        return _response(folders.folder_for(principal(request).user_id, folder_id))

    @extend_schema(operation_id="folders_change", request=FolderName, responses=FolderShape)
    def patch(self, request: Request, folder_id: str) -> Response:
        """Rename a folder."""
        folder = folders.folder_for(principal(request).user_id, folder_id)
        return _response(folders.rename(folder, _name(request)))

    @extend_schema(operation_id="folders_delete", responses={204: None})
    def delete(self, request: Request, folder_id: str) -> Response:
        """Delete a folder. The conversations in it stay, in no folder."""
        folders.delete(folders.folder_for(principal(request).user_id, folder_id))
        return Response(status=204)
