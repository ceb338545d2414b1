"""What a team used over HTTP, for its owner and admins: by member, model or day, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import PersonView
from accounts.models import TeamRole, User
from oneai.kit.clock import now, utc_text
from oneai.kit.csvfile import csv_response
from oneai.kit.drf import JSON
from oneai.kit.fields import choice_parameter
from quotas import payers, team_usage
from quotas.api.team_shapes import TeamUsageShape
from quotas.api.team_views import place
from quotas.api.usage_views import RANGE, SUM_COLUMNS, range_of
from quotas.team_usage import Part

_GROUPS: Final = {name: name for name in team_usage.GROUPS}
_FORMS: Final = {"json": "json", "csv": "csv"}


class TeamUsage(PersonView):
    """A team's usage."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return JSON(), JSON.media_type  # ``format`` is a parameter of ours, and its faults are named like others

    @extend_schema(
        operation_id="team_usage",
        tags=["teams"],
        parameters=[
            *RANGE,
            OpenApiParameter("group", str, enum=list(_GROUPS), default="member"),
            OpenApiParameter("format", str, enum=list(_FORMS), default="json"),
        ],
        responses={
            (200, "application/json"): TeamUsageShape,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The same rows as a table."),
        },
    )
    def get(self, request: Request, team_id: str) -> Response | HttpResponse:
        """What members used of the team's quota, people who have left included. Days are UTC's."""
        mine = place(request, team_id, TeamRole.ADMIN)
        group = choice_parameter(request, "group", _GROUPS, "member")
        form = choice_parameter(request, "format", _FORMS, "json")
        at = now()
        running = team_usage.period(mine.team_id, at)
        span = range_of(request, running, at.date())
        found = team_usage.parts(mine.team_id, span, group)
        names = _names(found) if group == "member" else {}
        if form == "csv":
            heads = ["user_id", "email"] if group == "member" else [group]
            rows = [[*_cells(group, part, names), *_figures(part)] for part in found]
            return csv_response(f"team-usage-by-{group}-{span.first}-{span.last}.csv", [*heads, *SUM_COLUMNS], rows)
        period = None
        if span.period_start is not None:
            start, end = payers.period_of(mine.team_id, at, at)
            period = {"start": utc_text(start), "end": utc_text(end)}
        return Response(
            {
                "group": group,
                "from": span.first.isoformat(),
                "to": span.last.isoformat(),
                "period": period,
                "totals": team_usage.total(mine.team_id, span).as_json(),
                "results": [_shown(group, part, names) | part.sums.as_json() for part in found],
            }
        )


def _names(parts: Sequence[Part]) -> dict[UUID, User]:
    return User.objects.only("id", "email", "name").in_bulk([part.value for part in parts])


def _shown(group: str, part: Part, names: dict[UUID, User]) -> dict[str, Any]:
    if group != "member":
        return {group: str(part.value)}
    user = names.get(part.value)
    return {"user_id": str(part.value), "name": user.name if user else "", "email": user.email if user else ""}


def _cells(group: str, part: Part, names: dict[UUID, User]) -> list[str]:
    user = names.get(part.value)
    return [str(part.value), user.email if user else ""] if group == "member" else [str(part.value)]


def _figures(part: Part) -> list[Any]:
    shown = part.sums.as_json()
    return [shown[column] for column in SUM_COLUMNS]
