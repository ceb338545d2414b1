"""The list of models, for people's own programs and the model picker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import catalog
from chat.api.permitted import permitted
from chat.api.shapes import ModelShape
from chat.catalog import CatalogModel
from oneai.kit.fields import choice_parameter, text_parameter
from oneai.kit.money import per_million_string
from oneai.kit.paging import PAGE_PARAMETERS, Pages, list_response, slice_of

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _price(model: CatalogModel) -> int:
    return model.price.prompt_pico + model.price.completion_pico if model.price else 0


SORTS: Final[Mapping[str, tuple[Callable[[CatalogModel], Any], bool]]] = {
    "id": (lambda model: model.slug, False),
    "-id": (lambda model: model.slug, True),
    "name": (lambda model: (model.name.casefold(), model.slug), False),
    "-name": (lambda model: (model.name.casefold(), model.slug), True),
    "price": (lambda model: (_price(model), model.slug), False),
    "-price": (lambda model: (_price(model), model.slug), True),
    "context_length": (lambda model: (model.context_length or 0, model.slug), False),
    "-context_length": (lambda model: (model.context_length or 0, model.slug), True),
    "created": (lambda model: (model.released_at or _EARLIEST, model.slug), False),
    "-created": (lambda model: (model.released_at or _EARLIEST, model.slug), True),
}


def _fits(model: CatalogModel, capability: str, words: list[str]) -> bool:
    if capability and capability not in model.supports and capability not in model.input_modalities:
        return False
    text = f"{model.slug} {model.name}".casefold()
    return all(word in text for word in words)


class ModelList(ScopedView):
    """The models that may be asked now."""

    scope = "models"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="models_list",
        parameters=[
            OpenApiParameter("capability", str, description="A supported parameter or kind of input: tools, image …"),
            OpenApiParameter("q", str, description="Words of the id or the name, up to 200 characters."),
            OpenApiParameter("sort", str, enum=list(SORTS), default="name"),
            *PAGE_PARAMETERS,
        ],
        responses=ModelShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Models that can be used now, with what they cost and whether the plan includes them."""
        key, backwards = choice_parameter(request, "sort", SORTS, "name")
        capability = text_parameter(request, "capability")
        words = text_parameter(request, "q").casefold().split()
        found = [model for model in catalog.current().offered if _fits(model, capability, words)]
        found.sort(key=key, reverse=backwards)
        page, following, before = slice_of(request, found)
        may = permitted(principal(request))
        shown = [
            {
                "id": model.slug,
                "name": model.name,
                "context_length": model.context_length,
                "max_output": model.max_output,
                "input_modalities": model.input_modalities,
                "supports": model.supports,
                "pricing": {
                    "prompt": per_million_string(model.price.prompt_pico if model.price else 0),
                    "completion": per_million_string(model.price.completion_pico if model.price else 0),
                },
                "allowed": may.use(model.slug),
                "quota": may.limit_of(model.slug),
                "local": model.local,
            }
            for model in page
        ]
        return list_response(shown, following, before)
