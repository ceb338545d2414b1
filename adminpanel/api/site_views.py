"""``/api/admin/subscriptions``, ``/webhooks``, ``/audit`` and ``/analytics``."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django.db.models import Q as Matches
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from accounts.models import AuditEntry
from adminpanel import actions, analytics
from adminpanel.api import shapes
from adminpanel.api.doors import Q, StaffView, actor, identity, with_reason
from billing import terms
from billing.models import Subscription, SubscriptionStatus, WebhookEvent, WebhookState
from oneai.kit.csvfile import csv_response
from oneai.kit.drf import JSON
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter, moment_parameter, read_body, text_parameter
from oneai.kit.paging import PAGE_PARAMETERS, Pages, limit_parameter, slice_of
from quotas.api.usage_views import day_parameter

_FORMS: Final = {"json": "json", "csv": "csv"}
_GROUPS: Final = {name: name for name in analytics.GROUPS}
_STATUSES: Final = {"": "", **{value: value for value in SubscriptionStatus.values}}
_STATES: Final = {"": "", **{value: value for value in WebhookState.values}}


def subscription_json(row: Subscription) -> dict[str, Any]:
    """A subscription as staff see it."""
    return {
        "id": row.pk,
        "user": {"id": row.user_id, "email": row.user.email, "name": row.user.name},
        "team_id": row.team_id,
        "razorpay_subscription_id": row.razorpay_subscription_id,
        "plan": row.plan.code,
        "interval": row.price.interval,
        "seats": row.quantity,
        "amount": terms.amount(row.price, row.quantity),
        "currency": row.price.currency,
        "status": str(row.status),
        "current_period_start": row.current_period_start,
        "current_period_end": row.current_period_end,
        "cancel_at_cycle_end": row.cancel_at_cycle_end,
        "ended_at": row.ended_at,
        "paid_count": row.paid_count,
        "created_at": row.created_at,
    }


_SUBSCRIPTIONS = Subscription.objects.select_related("user", "plan", "price")


class SubscriptionList(StaffView):
    """Subscriptions."""

    permissions = {"get": "subscriptions.view"}
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="admin_subscriptions",
        tags=["admin"],
        parameters=[
            Q,
            OpenApiParameter("status", str, enum=list(SubscriptionStatus.values)),
            OpenApiParameter("plan", str),
            *PAGE_PARAMETERS,
        ],
        responses=shapes.StaffSubscriptionShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Subscriptions, the newest first."""
        found = _SUBSCRIPTIONS.all()
        if text := text_parameter(request, "q"):
            found = found.filter(
                Matches(user__email__icontains=text)
                | Matches(user__name__icontains=text)
                | Matches(razorpay_subscription_id=text)
            )
        if status := choice_parameter(request, "status", _STATUSES, ""):
            found = found.filter(status=status)
        if plan := text_parameter(request, "plan"):
            found = found.filter(plan__code=plan)
        pages = Pages(("-created_at", "-id"))
        page: list[Subscription] = pages.paginate_queryset(found, request, self) or []
        return pages.get_paginated_response(
            [shapes.StaffSubscriptionShape(subscription_json(row)).data for row in page]
        )


class SubscriptionDetail(StaffView):
    """One subscription."""

    permissions = {"get": "subscriptions.view", "patch": "subscriptions.change"}

    def _row(self, subscription_id: str) -> Subscription:
        row = _SUBSCRIPTIONS.filter(pk=identity(subscription_id)).first()
        if row is None:
            raise Refusal("not_found")
        return row

    @extend_schema(operation_id="admin_subscription", tags=["admin"], responses=shapes.StaffSubscriptionShape)
    def get(self, request: Request, subscription_id: str) -> Response:
        """A subscription."""
        return Response(shapes.StaffSubscriptionShape(subscription_json(self._row(subscription_id))).data)

    @extend_schema(
        operation_id="admin_subscription_change",
        tags=["admin"],
        request=shapes.SubscriptionBody,
        responses=shapes.StaffSubscriptionShape,
    )
    def patch(self, request: Request, subscription_id: str) -> Response:
        """End it in the customer's stead (finance, owners)."""
        row = self._row(subscription_id)
        body, reason = with_reason(shapes.SubscriptionBody, request)
        if "cancel" not in body:
            raise Refusal("missing_required_parameter", param="cancel")
        actions.cancel(actor(request), row, body["cancel"], reason)
        return Response(shapes.StaffSubscriptionShape(subscription_json(self._row(subscription_id))).data)


class WebhookList(StaffView):
    """The inbox of events."""

    permissions = {"get": "webhooks.view"}
    pagination_class = Pages

    @extend_schema(
        operation_id="admin_webhooks",
        tags=["admin"],
        parameters=[
            OpenApiParameter("q", str, description="The id of an event, or the beginning of its kind."),
            OpenApiParameter("state", str, enum=list(WebhookState.values)),
            *PAGE_PARAMETERS,
        ],
        responses=shapes.WebhookShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Events that came in, the newest first. Those that were put aside are `dead`."""
        found = WebhookEvent.objects.defer("body")
        if text := text_parameter(request, "q"):
            found = found.filter(Matches(event_id=text) | Matches(event_type__startswith=text))
        if state := choice_parameter(request, "state", _STATES, ""):
            found = found.filter(state=state)
        pages = Pages(("-received_at", "-id"))
        page: list[WebhookEvent] = pages.paginate_queryset(found, request, self) or []
        return pages.get_paginated_response([shapes.WebhookShape(row).data for row in page])


class WebhookReplay(StaffView):
    """An event once more."""

    permissions = {"post": "webhooks.replay"}

    @extend_schema(
        operation_id="admin_webhook_replay",
        tags=["admin"],
        request=shapes.ReplayBody,
        responses={202: shapes.WebhookShape},
    )
    def post(self, request: Request, event_id: str) -> Response:
        """Have an event handled again from the beginning (finance, owners). 409 when it is at work or has no body."""
        key = identity(event_id)
        body = read_body(shapes.ReplayBody, request)
        if not WebhookEvent.objects.filter(pk=key).exists():
            raise Refusal("not_found")
        if not actions.replay(actor(request), [key], str(body.get("reason", "")).strip()):
            raise Refusal("conflict", "The event is at work, or has lost its body.")
        return Response(shapes.WebhookShape(WebhookEvent.objects.get(pk=key)).data, status=202)


class AuditList(StaffView):
    """The audit."""

    permissions = {"get": "audit.view"}
    pagination_class = Pages

    @extend_schema(
        operation_id="admin_audit",
        tags=["admin"],
        parameters=[
            OpenApiParameter("q", str, description="In who, what, to what or why; or the id of a request or person."),
            OpenApiParameter("action", str, description="Such as `quota.set`; `quota.` for all that begin so."),
            OpenApiParameter("from", str, description="A date or a time, as `to`."),
            OpenApiParameter("to", str),
            *PAGE_PARAMETERS,
        ],
        responses=shapes.AuditShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """What was done, the newest first. Entries are only ever added."""
        found = audit.search(text_parameter(request, "q"))
        if action := text_parameter(request, "action"):
            found = found.filter(action__startswith=action) if action.endswith(".") else found.filter(action=action)
        begin, end = moment_parameter(request, "from"), moment_parameter(request, "to", end=True)
        if begin is not None:
            found = found.filter(at__gte=begin)
        if end is not None:
            found = found.filter(at__lte=end)
        pages = Pages(("-at", "-id"))
        page: list[AuditEntry] = pages.paginate_queryset(found, request, self) or []
        return pages.get_paginated_response([shapes.AuditShape(row).data for row in page])


class AnalyticsView(StaffView):
    """The figures of the business."""

    permissions = {"get": "analytics.view"}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return JSON(), JSON.media_type  # ``format`` is a parameter of ours, and its faults are named like others

    @extend_schema(
        operation_id="admin_analytics",
        tags=["admin"],
        parameters=[
            OpenApiParameter("from", date, description="The first day; thirty days back when left out."),
            OpenApiParameter("to", date, description="The last day, included; today in India when left out."),
            OpenApiParameter("group", str, enum=list(_GROUPS), default="day"),
            OpenApiParameter("format", str, enum=list(_FORMS), default="json", description="csv has every row."),
            *PAGE_PARAMETERS,
        ],
        responses={
            (200, "application/json"): shapes.AnalyticsShape,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The same rows as a table."),
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Revenue, usage, cost and margin by day, plan or model, with what recurs (finance, owners)."""
        group = choice_parameter(request, "group", _GROUPS, "day")
        form = choice_parameter(request, "format", _FORMS, "json")
        try:
            first, last = analytics.span(day_parameter(request, "from"), day_parameter(request, "to"))
        except ValueError as error:
            raise Refusal("invalid_value", str(error), param="from") from error
        limit_parameter(request)  # what is wrong is said, though a table is not cut into pages
        found = analytics.lines(group, first, last)
        if form == "csv":
            return report(group, first, last, found)
        page, following, before = slice_of(request, found)
        return Response(
            {
                "group": group,
                "from": first,
                "to": last,
                "currency": "INR",
                "totals": analytics.total(first, last).as_json(),
                "recurring": analytics.standing(first, last).as_json(),
                "results": [{group: str(line.value)} | line.as_json() for line in page],
                "next": following,
                "previous": before,
            }
        )


def report(group: str, first: date, last: date, found: list[analytics.Line]) -> HttpResponse:
    """The lines as a table to download."""
    rows = []
    for line in found:
        shown = line.as_json()
        rows.append([str(line.value), *(shown[column] for column in analytics.COLUMNS)])
    return csv_response(f"analytics-by-{group}-{first}-{last}.csv", [group, *analytics.COLUMNS], rows)
