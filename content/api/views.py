"""Search in the documentation and what readers say of it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.addresses import address_group, client_address
from accounts.principal import Principal
from content import feedback, reading, search
from oneai.kit.errors import Refusal
from oneai.kit.paging import limit_parameter


class DocsResultSerializer(serializers.Serializer[object]):
    """A page that was found."""

    slug = serializers.CharField()
    url = serializers.CharField()
    title = serializers.CharField()
    section = serializers.CharField()
    excerpt = serializers.CharField()


class DocsResultsSerializer(serializers.Serializer[object]):
    """The pages that have every word, the best first."""

    results = DocsResultSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class DocsFeedbackSerializer(serializers.Serializer[object]):
    """What a reader says of a page."""

    slug = serializers.SlugField(max_length=80)
    helpful = serializers.BooleanField()
    comment = serializers.CharField(max_length=feedback.MOST, required=False, allow_blank=True, allow_null=True)


class DocsSearchView(APIView):
    """Open to everybody."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(
        operation_id="docs_search",
        tags=["docs"],
        auth=[],
        parameters=[
            OpenApiParameter("q", str, required=True, description="At most 100 characters."),
            OpenApiParameter("limit", int, description="1 to 100; 25 when left out."),
        ],
        responses=DocsResultsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Pages of the documentation that have every word of ``q``, without regard to case and accents."""
        query = request.query_params.get("q", "").strip()
        if not query:
            raise Refusal("missing_required_parameter", "Say what to look for.", param="q")
        if len(query) > search.LONGEST:
            raise Refusal("invalid_value", f"At most {search.LONGEST} characters.", param="q")
        found = search.search(query, limit_parameter(request))
        search.remember(query, len(found))
        return Response({"results": [reading.as_search_result(each) for each in found], "next": None, "previous": None})


class DocsFeedbackView(APIView):
    """Open to everybody, twenty times an hour from one address."""

    permission_classes: list[Any] = []

    @extend_schema(operation_id="docs_feedback", tags=["docs"], request=DocsFeedbackSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Say whether a page helped, and what is missing."""
        given = DocsFeedbackSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        principal: Principal | None = request.auth if isinstance(request.auth, Principal) else None
        feedback.give(
            values["slug"],
            values["helpful"],
            values.get("comment") or "",
            address_group(client_address(request)),
            principal.user_id if principal else None,
        )
        return Response(status=204)
