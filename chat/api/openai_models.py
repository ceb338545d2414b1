"""``/v1/models`` and ``/v1/models/{id}``, in OpenAI's shape: what the key may use, in one page."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import BearerView, principal
from chat import catalog
from chat.api.permitted import permitted
from chat.api.shapes import OpenAIModelList, OpenAIModelShape
from chat.catalog import CatalogModel
from oneai.kit.errors import Refusal


def _shape(model: CatalogModel) -> dict[str, Any]:
    return {
        "id": model.slug,
        "object": "model",
        "created": int(model.released_at.timestamp()) if model.released_at else 0,
        "owned_by": model.slug.partition("/")[0],
        "context_length": model.context_length,
    }


class OpenAIModels(BearerView):
    """The models that the key may use."""

    scope = "models"

    @extend_schema(operation_id="v1_models_list", responses=OpenAIModelList)
    def get(self, request: Request) -> Response:
        """Every model that the key may use now."""
        may = permitted(principal(request))
        offered = [_shape(model) for model in catalog.current().offered if may.use(model.slug)]
        return Response({"object": "list", "data": offered})


class OpenAIModel(BearerView):
    """One model that the key may use."""

    scope = "models"

    @extend_schema(operation_id="v1_models_read", responses=OpenAIModelShape)
    def get(self, request: Request, model_id: str) -> Response:
        """One model; its id may have slashes and colons in it."""
        model = catalog.current().models.get(model_id)
        if model is None or not model.usable or not permitted(principal(request)).use(model.slug):
            raise Refusal("model_not_found", param="model")
        return Response(_shape(model))
