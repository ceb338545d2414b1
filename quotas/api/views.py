"""What is left, for the one who asks."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.principal import Principal
from quotas.api.serializers import QuotaSerializer
from quotas.reading import statement


class QuotaView(APIView):
    """Plan, period, limits and rates."""

    @extend_schema(operation_id="user_quota", tags=["user"], responses=QuotaSerializer)
    def get(self, request: Request) -> Response:
        """What the account may still use in this period. A key needs the scope `usage`."""
        principal: Principal = request.auth  # type: ignore[assignment]
        principal.require("usage")
        return Response(statement(principal.user_id))
