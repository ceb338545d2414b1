"""Usage over HTTP: sums by day, model, key or conversation, as JSON or CSV, and the records under them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from accounts.models import ApiKey
from oneai.kit.clock import utc_text
from oneai.kit.csvfile import csv_response
from oneai.kit.drf import JSON
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter, text_parameter
from oneai.kit.money import usd_string
from oneai.kit.paging import PAGE_PARAMETERS, Pages, limit_parameter, page_of
from quotas import refused, usage
from quotas.api.usage_shapes import AccountUsageShape, RefusedCallsShape, UsageRecordShape
from quotas.models import UsageRecord
from quotas.records import entries_of, record_json
from quotas.usage import Account, Group, Groups, Span, Sums

NAME_OF: Final = {"day": "day", "model": "model", "key": "key", "conversation": "conversation_id"}
_FORMS: Final = {"json": "json", "csv": "csv"}
_GROUPS: Final = {name: name for name in usage.GROUPS}
RANGE: Final = [
    OpenApiParameter("from", date, description="The first day; the running period when both are left out."),
    OpenApiParameter("to", date, description="The last day, included; today when left out."),
]
MOST_ROWS: Final = 10_000
_OF_CSV: Final = "csv has up to 10,000 rows at once, and in a last one what all others come to."
SUM_COLUMNS: Final = (
    "calls", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "total_tokens", "cost_usd",
    "estimated_calls", "estimated_cost_usd",
)  # fmt: skip


def day_parameter(request: Request, name: str) -> date | None:
    """The query parameter ``name`` as a day; None when it isn't there. Refusal ``invalid_value``."""
    try:
        return usage.read_day(text_parameter(request, name))
    except ValueError as error:
        raise Refusal("invalid_value", "Must be a date such as 2026-01-31.", param=name) from error


def span_of(request: Request, account: Account) -> Span:
    """The days asked for: those of the running period unless the request names some."""
    try:
        return account.span(day_parameter(request, "from"), day_parameter(request, "to"))
    except ValueError as error:
        raise Refusal("invalid_value", str(error), param="from") from error


def range_of(request: Request, running: Span, today: date) -> Span:
    """As ``span_of``, for what has no days of its own: ``running`` unless the request names some."""
    first, last = day_parameter(request, "from"), day_parameter(request, "to")
    if first is None and last is None:
        return running
    last = last or max(today, first or today)
    first = first or last - timedelta(days=usage.USUAL_DAYS - 1)
    if first > last:
        raise Refusal("invalid_value", "The first day comes after the last.", param="from")
    return Span(first, last)


def keys_by_id(groups: Iterable[Group]) -> dict[UUID, dict[str, Any]]:
    """Name and beginning of the keys that the groups are by."""
    ids = [group.value for group in groups if group.value is not None]
    found = ApiKey.objects.filter(pk__in=ids).only("id", "name", "prefix")
    return {key.pk: {"id": str(key.pk), "name": key.name, "prefix": key.prefix} for key in found}


def values_of(group: str, groups: Sequence[Group]) -> list[Any]:
    """What the groups are by, as the API shows it."""
    if group == "key":
        keys = keys_by_id(groups)
        gone = {"name": "", "prefix": ""}
        return [
            None if one.value is None else keys.get(one.value, {"id": str(one.value)} | gone) for one in groups
        ]  # fmt: skip
    return [None if one.value is None else str(one.value) for one in groups]


class UsageView(ScopedView):
    """What was used, added up."""

    scope = "usage"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return JSON(), JSON.media_type  # ``format`` is a parameter of ours, and its faults are named like others

    @extend_schema(
        operation_id="user_usage",
        tags=["user"],
        parameters=[
            *RANGE,
            OpenApiParameter("group", str, enum=list(_GROUPS), default="day"),
            OpenApiParameter("format", str, enum=list(_FORMS), default="json", description=_OF_CSV),
            *PAGE_PARAMETERS,
        ],
        responses={
            (200, "application/json"): AccountUsageShape,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The same rows as a table."),
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Calls, tokens by kind and cost by day, model, key or conversation, with totals. A key needs `usage`."""
        group = choice_parameter(request, "group", _GROUPS, "day")
        form = choice_parameter(request, "format", _FORMS, "json")
        account = usage.account_of(principal(request).user_id)
        span = span_of(request, account)
        if form == "csv":
            limit_parameter(request)  # what is wrong is said, though a table is not cut into pages
            return _csv(account.user_id, span, group)
        groups = Groups(account.user_id, span, group)
        page, following, before = page_of(request, groups.page)
        totals = usage.total_of(account.user_id, span)
        first = page[0] if page and before is None and group != "day" else groups.costliest()
        return Response(
            _summary(account, span, group, totals, first)
            | {"results": _results(group, page, totals), "next": following, "previous": before}
        )


def _summary(account: Account, span: Span, group: str, totals: Sums, first: Group | None) -> dict[str, Any]:
    running = span.period_start is not None
    return {
        "timezone": account.zone,
        "group": group,
        "from": span.first.isoformat(),
        "to": span.last.isoformat(),
        "period": {"start": utc_text(account.period_start), "end": utc_text(account.period_end)} if running else None,
        "totals": totals.as_json(),
        "most_expensive": _most_expensive(group, first, totals),
        "projection": _projection(totals, account) if running else None,
        "last_period": _last_period(account) if running else None,
    }


def _most_expensive(group: str, first: Group | None, totals: Sums) -> dict[str, Any] | None:
    if first is None:
        return None
    return {
        NAME_OF[group]: values_of(group, [first])[0],
        "cost_usd": usd_string(first.sums.nano_usd),
        "share": _share(first.sums, totals),
    }


def _share(part: Sums, whole: Sums) -> str:
    """Of the cost; of the tokens where nothing cost anything."""
    if whole.nano_usd:
        return usage.share(part.nano_usd, whole.nano_usd)
    return usage.share(part.tokens, whole.tokens)


def _projection(totals: Sums, account: Account) -> dict[str, Any] | None:
    tokens, nano = usage.projected(totals.tokens, account), usage.projected(totals.nano_usd, account)
    if tokens is None or nano is None:
        return None
    return {"total_tokens": tokens, "cost_usd": usd_string(nano)}


def _last_period(account: Account) -> dict[str, Any] | None:
    last = usage.last_period(account)
    if last is None:
        return None
    return {"start": utc_text(last.start), "totals": last.whole.as_json(), "by_this_day": last.by_this_day.as_json()}


def _results(group: str, page: Sequence[Group], whole: Sums) -> list[dict[str, Any]]:
    return [
        {NAME_OF[group]: value} | one.sums.as_json() | {"share": _share(one.sums, whole)}
        for value, one in zip(values_of(group, page), page, strict=True)
    ]


def _csv(user_id: UUID, span: Span, group: str) -> HttpResponse:
    """The first MOST_ROWS groups, and in a last row what all others come to, so that the table adds up."""
    groups, size = Groups(user_id, span, group).page(0, MOST_ROWS)
    values = values_of(group, groups)
    heads, cells = [NAME_OF[group]], [[value] for value in values]
    if group == "key":
        heads, cells = ["key_id", "key_name"], [[key["id"], key["name"]] if key else ["", ""] for key in values]
    sums = [one.sums for one in groups]
    if size > len(groups):
        cells.append([f"{size - len(groups)} more", *[""] * (len(heads) - 1)])
        sums.append(usage.total_of(user_id, span).less(sums))
    rows = []
    for first, each in zip(cells, sums, strict=True):
        shown = each.as_json()
        rows.append([*first, *(shown[column] for column in SUM_COLUMNS)])
    name = f"usage-by-{group}-{span.first}-{span.last}.csv"
    return csv_response(name, [*heads, *SUM_COLUMNS], rows)


class UsageRecordList(ScopedView):
    """The calls under the sums."""

    scope = "usage"
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="user_usage_records",
        tags=["user"],
        parameters=[
            *RANGE,
            OpenApiParameter("model", str),
            OpenApiParameter("key", UUID, description="The id of an API key."),
            OpenApiParameter("conversation", UUID),
            *PAGE_PARAMETERS,
        ],
        responses=UsageRecordShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Every call that was made, the newest first, each with the ledger entries that its figures are from."""
        account = usage.account_of(principal(request).user_id)
        found = usage.records(account, span_of(request, account))
        if model := text_parameter(request, "model"):
            found = found.filter(model_id=model)
        for name, column in (("key", "api_key_id"), ("conversation", "conversation_id")):
            if text_parameter(request, name):
                found = found.filter(**{column: _id_parameter(request, name)})
        pages = Pages(("-asked_at", "-id"))
        page: list[UsageRecord] = pages.paginate_queryset(found.select_related("hold"), request, self) or []
        entries = entries_of([record.hold for record in page])
        return pages.get_paginated_response([record_json(record, entries[record.hold_id]) for record in page])


class RefusedList(ScopedView):
    """The calls that were not made."""

    scope = "usage"

    @extend_schema(operation_id="user_usage_refused", tags=["user"], responses=RefusedCallsShape)
    def get(self, request: Request) -> Response:
        """Why calls were refused lately: up to twenty, the newest first, with the figures of that moment."""
        found = refused.latest(principal(request).user_id)
        return Response({"results": found, "next": None, "previous": None})


def _id_parameter(request: Request, name: str) -> UUID:
    try:
        return UUID(text_parameter(request, name))
    except ValueError as error:
        raise Refusal("invalid_value", "Must be an id.", param=name) from error
