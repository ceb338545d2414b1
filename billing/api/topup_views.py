"""Packs of tokens over HTTP."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView, person
from billing import limits, topups
from billing.api.subscription_shapes import OrderedShape, PackShape, TopupBody
from billing.api.subscription_views import IDEMPOTENCY, asked, read
from billing.api.views import PlansInOrder
from billing.holders import holder_for
from billing.models import Pack


@extend_schema_view(get=extend_schema(operation_id="subscription_packs", tags=["subscription"], auth=[]))
class PacksView(ListAPIView[Any]):
    """Every pack of tokens on sale; open to everybody."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    serializer_class = PackShape
    pagination_class = PlansInOrder

    def get_queryset(self) -> QuerySet[Pack]:
        return Pack.objects.filter(is_active=True)


class TopupView(PersonView):
    """Buying a pack."""

    @extend_schema(
        operation_id="subscription_topup",
        tags=["subscription"],
        parameters=[IDEMPOTENCY],
        request=TopupBody,
        responses={201: OrderedShape},
    )
    def post(self, request: Request) -> Response:
        """Order a pack, to be paid with Checkout.js. Its tokens are used once those of the plan are."""
        body, user = read(TopupBody, request, "pack"), person(request)
        limits.count_order(user.pk)
        row = topups.order(
            holder_for(user, body.get("team")),
            body["pack"],
            coupon=body.get("coupon", ""),
            asked=asked(request, "topup"),
        )
        checkout = {
            "key": settings.RAZORPAY_KEY_ID,
            "order_id": row.razorpay_order_id,
            "amount": row.amount_paise,
            "currency": row.currency,
        }
        return Response(OrderedShape({"purchase": row, "checkout": checkout}).data, status=201)
