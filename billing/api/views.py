"""The plans on sale."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView

from billing.api.serializers import PlanSerializer
from billing.models import Plan
from oneai.kit.paging import Pages


def _is_place(position: str) -> bool:
    return position.isascii() and position.isdigit() and len(position) < 10


class PlansInOrder(Pages):
    """Pages in the order of the price list."""

    def __init__(self) -> None:
        super().__init__(("position", "code"), _is_place)


@extend_schema_view(get=extend_schema(operation_id="subscription_plans", tags=["subscription"], auth=[]))
class PlansView(ListAPIView[Any]):
    """Every plan on sale, cheapest first; open to everybody."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    serializer_class = PlanSerializer
    pagination_class = PlansInOrder

    def get_queryset(self) -> QuerySet[Plan]:
        return Plan.objects.filter(is_active=True, only_for=None)
