"""Presets over HTTP. Closed to API keys; a message names one by ``preset_id``, also with a key."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView, principal
from chat import presets
from chat.api.preset_shapes import NewPreset, PresetChange, PresetShape, columns, needed
from oneai.kit.fields import read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages, any_text

_ORDER: Final = ("name", "id")


class PresetList(PersonView):
    """A person's presets."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(operation_id="presets_list", parameters=PAGE_PARAMETERS, responses=PresetShape(many=True))
    def get(self, request: Request) -> Response:
        """The person's presets, by name."""
        pages = Pages(_ORDER, any_text)
        page: Any = pages.paginate_queryset(presets.of(principal(request).user_id), request, self)
        return pages.get_paginated_response(PresetShape(page, many=True).data)

    @extend_schema(operation_id="presets_create", request=NewPreset, responses={201: PresetShape})
    def post(self, request: Request) -> Response:
        """Make a preset."""
        values = needed(columns(read_body(NewPreset, request)))
        return Response(PresetShape(presets.create(principal(request).user_id, values)).data, status=201)


class PresetDetail(PersonView):
    """One preset."""

    @extend_schema(operation_id="presets_read", responses=PresetShape)
    def get(self, request: Request, preset_id: str) -> Response:
        """The preset."""
        return Response(PresetShape(presets.preset_for(principal(request).user_id, preset_id)).data)

    @extend_schema(operation_id="presets_change", request=PresetChange, responses=PresetShape)
    def patch(self, request: Request, preset_id: str) -> Response:
        """Change what is given."""
        preset = presets.preset_for(principal(request).user_id, preset_id)
        return Response(PresetShape(presets.change(preset, columns(read_body(PresetChange, request)))).data)

    @extend_schema(operation_id="presets_delete", responses={204: None})
    def delete(self, request: Request, preset_id: str) -> Response:
        """Delete the preset."""
        presets.delete(presets.preset_for(principal(request).user_id, preset_id))
        return Response(status=204)
