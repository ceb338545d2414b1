"""/api/user/sessions: where somebody is signed in; /api/user/audit: what was done in their account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import update_session_auth_hash
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit, devices, sign_ins, standing
from accounts.api.doors import PersonView, person, principal
from accounts.api.serializers import DeedSerializer, SignInSerializer
from accounts.models import AuditEntry, SignIn, User
from accounts.principal import Principal
from accounts.team_places import the_id
from oneai.kit.errors import Refusal
from oneai.kit.fields import flag_parameter
from oneai.kit.paging import PAGE_PARAMETERS, Pages, list_response, slice_of


def is_current(row: SignIn, who: Principal) -> bool:
    """Whether ``who`` asks by this sign-in."""
    if who.method == "session":
        return row.session_key is not None and row.session_key == who.session_key
    return row.pk == who.sign_in_id


def _shown(row: SignIn, who: Principal) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": "program" if row.session_key is None else "browser",
        "current": is_current(row, who),
        "device": devices.named(row.user_agent),
        "user_agent": row.user_agent,
        "address": row.address,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "expires_at": row.expires_at,
    }


class SignInList(PersonView):
    """Where the person is signed in; closed to API keys."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="user_sessions",
        tags=["user"],
        parameters=PAGE_PARAMETERS,
        responses=SignInSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Browsers and programs, the latest seen first."""
        who = principal(request)
        page, following, before = slice_of(request, list(sign_ins.of(who.user_id)))
        return list_response([_shown(row, who) for row in page], following, before)

    @extend_schema(
        operation_id="user_sessions_end",
        tags=["user"],
        parameters=[
            OpenApiParameter("keep_current", bool, description="Leave the browser that asks signed in."),
            OpenApiParameter("api_keys", bool, description="Revoke every API key, too."),
        ],
        responses={204: OpenApiResponse(description="Done.")},
    )
    def delete(self, request: Request) -> Response:
        """Sign out everywhere: sessions, tokens, and what is open by them within seconds."""
        who, user = principal(request), person(request)
        keep = flag_parameter(request, "keep_current") or False
        keys = flag_parameter(request, "api_keys") or False
        if keep and who.method != "session":
            raise Refusal("invalid_value", "Only a browser can stay signed in.", param="keep_current")
        standing.sign_out_everywhere(user, keys=keys)
        if keep:
            update_session_auth_hash(request._request, user)
        return Response(status=204)


class SignInDetail(PersonView):
    """One sign-in of the person."""

    @extend_schema(
        operation_id="user_session_end", tags=["user"], responses={204: OpenApiResponse(description="Done.")}
    )
    def delete(self, request: Request, sign_in_id: str) -> Response:
        """Sign out there: the next request is refused, and what is open by it ends within seconds."""
        user = person(request)
        standing.sign_out_one(user, the_id(sign_in_id))
        return Response(status=204)


class AuditList(PersonView):
    """What was done in the person's account; closed to API keys."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="user_audit", tags=["user"], parameters=PAGE_PARAMETERS, responses=DeedSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """The audit log as far as it concerns the person, the latest first."""
        user = person(request)
        pages = Pages(("-at", "-id"))
        rows: Any = pages.paginate_queryset(audit.about(user.pk), request, self)
        return pages.get_paginated_response([deed(row, user) for row in rows])


def deed(row: AuditEntry, user: User) -> dict[str, Any]:
    """An entry as its person sees it: staff have no names there, nor have others whom the person did something to."""
    own = row.subject_id == user.pk
    by = "you" if row.actor_id == user.pk else "staff" if row.actor_id is not None else "site"
    return {
        "id": row.pk,
        "at": row.at,
        "action": row.action,
        "target": row.target if own else "",
        "reason": row.reason if own else "",
        "by": by,
    }
