"""``/api/admin/users`` and ``/quotas``: people, where their quotas stand, and what staff set for them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role, User
from adminpanel import actions, people
from adminpanel.api.doors import Q, StaffView, actor, require, somebody, with_reason
from adminpanel.api.shapes import QuotaBody, StaffQuotaShape, StaffUserShape, UserBody
from billing.plans import UnknownPlan
from oneai.kit.errors import Refusal
from oneai.kit.fields import choice_parameter, flag_parameter, text_parameter
from oneai.kit.paging import PAGE_PARAMETERS, Pages
from quotas.allowances import InvalidTerms
from quotas.models import Override
from quotas.policy import NANO_USD, TOKENS

_ROLES = {"": "", **{role: role for role in Role.values}}
_UNITS = {"tokens": TOKENS, "usd": NANO_USD}


def _found(request: Request, *, teams: bool) -> QuerySet[User]:
    return people.search(text_parameter(request, "q"), teams=teams)


def _one(body: dict[str, Any], *names: str) -> str:
    """Which of the changes ``names`` the body is: exactly one."""
    given = [name for name in names if name in body]
    if len(given) != 1:
        raise Refusal("invalid_request", f"Send exactly one of: {', '.join(names)}.", param=(given or names)[0])
    return given[0]


class UserList(StaffView):
    """People."""

    permissions = {"get": "users.view"}
    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="admin_users",
        tags=["admin"],
        parameters=[
            Q,
            OpenApiParameter("role", str, enum=list(Role.values)),
            OpenApiParameter("plan", str),
            OpenApiParameter("active", bool),
            *PAGE_PARAMETERS,
        ],
        responses=StaffUserShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """People, the newest first."""
        found = _found(request, teams=False)
        if role := choice_parameter(request, "role", _ROLES, ""):
            found = found.filter(role=role)
        if plan := text_parameter(request, "plan"):
            found = found.filter(current_subscription=plan)
        active = flag_parameter(request, "active")
        if active is not None:
            found = found.filter(is_active=active)
        pages = Pages(("-created_at", "-id"))
        page: list[User] = pages.paginate_queryset(found, request, self) or []
        return pages.get_paginated_response([StaffUserShape(people.as_json(user)).data for user in page])


class UserDetail(StaffView):
    """One person."""

    permissions = {"get": "users.view", "patch": "users.view"}

    @extend_schema(operation_id="admin_user", tags=["admin"], responses=StaffUserShape)
    def get(self, request: Request, user_id: str) -> Response:
        """A person; nothing of what they wrote."""
        return Response(StaffUserShape(people.as_json(somebody(user_id))).data)

    @extend_schema(operation_id="admin_user_change", tags=["admin"], request=UserBody, responses=StaffUserShape)
    def patch(self, request: Request, user_id: str) -> Response:
        """Disable, enable or sign out somebody (owners), or give a plan by hand (finance, owners)."""
        user = somebody(user_id)
        body, reason = with_reason(UserBody, request)
        what = _one(body, "is_active", "sign_out", "plan")
        require(request, "subscriptions.change" if what == "plan" else "users.change")
        if "until" in body and what != "plan":
            raise Refusal("invalid_value", "Only a plan has an end.", param="until")
        if what == "plan":
            try:
                actions.grant_plan(actor(request), user, body["plan"], reason, until=body.get("until"))
            except UnknownPlan as error:
                raise Refusal("plan_not_found", str(error), param="plan") from error
            except InvalidTerms as error:
                raise Refusal("invalid_value", f"The plan can't be given: {error}.", param="until") from error
        elif what == "is_active":
            actions.set_active(actor(request), user, reason, active=body["is_active"])
        elif body["sign_out"]:
            actions.end_sign_ins(actor(request), user, reason)
        else:
            raise Refusal("invalid_value", "Must be true.", param="sign_out")
        return Response(StaffUserShape(people.as_json(somebody(user_id))).data)


class QuotaList(StaffView):
    """Quotas."""

    permissions = {"get": "quotas.view"}
    pagination_class = Pages

    @extend_schema(
        operation_id="admin_quotas",
        tags=["admin"],
        parameters=[Q, *PAGE_PARAMETERS],
        responses=StaffQuotaShape(many=True),
    )
    def get(self, request: Request) -> Response:
        """Where people's quotas stand, with what staff have set for them."""
        pages = Pages(("-created_at", "-id"))
        page: list[User] = pages.paginate_queryset(_found(request, teams=True), request, self) or []
        return pages.get_paginated_response([StaffQuotaShape(people.quota_json(user)).data for user in page])


class QuotaDetail(StaffView):
    """One person's quota."""

    permissions = {"get": "quotas.view", "patch": "quotas.change"}

    @extend_schema(operation_id="admin_quota", tags=["admin"], responses=StaffQuotaShape)
    def get(self, request: Request, user_id: str) -> Response:
        """Where it stands."""
        return Response(StaffQuotaShape(people.quota_json(somebody(user_id))).data)

    @extend_schema(operation_id="admin_quota_change", tags=["admin"], request=QuotaBody, responses=StaffQuotaShape)
    def patch(self, request: Request, user_id: str) -> Response:
        """Set a limit or rates, give tokens on top, or end an override (support, owners). The person sees why."""
        user = somebody(user_id)
        body, reason = with_reason(QuotaBody, request)
        try:
            _change(request, user, body, reason)
        except InvalidTerms as error:
            said = str(error)
            raise Refusal("invalid_value", said if said[0].isupper() else f"It can't be set: {said}.") from error
        return Response(StaffQuotaShape(people.quota_json(user)).data)


_GO_TOGETHER = {
    "limit": {"scope", "tokens", "usd", "starts_at", "until"},
    "rates": {"rates", "until"},
    "extra_tokens": {"extra_tokens", "scope", "usd", "until"},
    "end_override": {"end_override"},
}


def _change(request: Request, user: User, body: dict[str, Any], reason: str) -> None:
    who = actor(request)
    what = next((name for name in _GO_TOGETHER if name in body), "limit")
    stray = sorted(set(body) - _GO_TOGETHER[what])
    if stray:
        raise Refusal("invalid_request", f"{stray[0]} does not go with {what}.", param=stray[0])
    scope, until = body.get("scope", "*").strip(), body.get("until")
    if what == "rates":
        actions.set_rates(who, user, body["rates"], reason, until=until)
    elif what == "extra_tokens":
        actions.check_scope(scope)
        nano = body.get("usd")
        if "usd" in body and not nano:
            raise Refusal("invalid_value", "Must be an amount in dollars.", param="usd")
        actions.give_tokens(who, user, body["extra_tokens"], reason, nano_usd=nano, scope=scope, until=until)
    elif what == "end_override":
        row = Override.objects.filter(pk=body["end_override"], user_id=user.pk).first()
        if row is None:
            raise Refusal("not_found", param="end_override")
        actions.end_override(who, row, reason)
    else:
        limits = {unit: body[name] for name, unit in _UNITS.items() if name in body}
        if not limits:
            raise Refusal("missing_required_parameter", "Say how many tokens, or dollars.", param="tokens")
        actions.set_limit(who, user, scope, limits, reason, starts=body.get("starts_at"), until=until)
