"""How programs sign in, stay signed in and sign out; and whether a token of somebody's is good."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import logout
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import authentication, google_programs, second_step, sign_ins, throttles
from accounts.addresses import address_group, client_address
from accounts.api.auth_shapes import (
    CallbackBody,
    PairSerializer,
    RefreshBody,
    SignedInSerializer,
    TokenBody,
    VerdictSerializer,
)
from accounts.api.doors import principal
from accounts.api.serializers import PersonSerializer
from accounts.models import User
from accounts.sign_ins import Pair
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.fields import read_body

_REFRESH_BY_ADDRESS: Final = throttles.Limit("refresh/address", 120, 60)
_VERIFY_BY_ADDRESS: Final = throttles.Limit("verify/address", 600, 60)


def _needed(given: dict[str, Any], *names: str) -> None:
    for name in names:
        if not given.get(name):
            raise Refusal("missing_required_parameter", f"The field {name!r} is required.", param=name)


def _shown(pair: Pair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "expires_in": max(0, int((pair.expires_at - now()).total_seconds() + 0.5)),
        "token_type": "Bearer",
    }


class OpenView(APIView):
    """A view whose body is the credential: nothing else that was sent says who asks."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []


class CallbackView(OpenView):
    """Google's answer in, tokens out."""

    @extend_schema(
        operation_id="auth_callback", tags=["auth"], request=CallbackBody, responses=SignedInSerializer, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Sign in with what Google gave a program: a code (with PKCE), or an id_token, each good once."""
        given = read_body(CallbackBody, request)
        _needed(given, "provider")
        if ("code" in given) == ("id_token" in given):
            raise Refusal("invalid_request", "Send either a code or an id_token.", param="code")
        if "code" in given:
            _needed(given, "redirect_uri", "code_verifier")
            user = google_programs.by_code(
                request._request, given["code"], given["redirect_uri"], given["code_verifier"]
            )
        else:
            user = google_programs.by_id_token(request._request, given["id_token"])
        second_step.check_program(user, given.get("second_factor", ""))
        agent = request.headers.get("User-Agent", "")
        pair = sign_ins.open_program(user, user_agent=agent, address=client_address(request))
        return Response(_shown(pair) | {"user": PersonSerializer(User.objects.get(pk=user.pk)).data})


class RefreshView(OpenView):
    """The next pair of tokens."""

    @extend_schema(operation_id="auth_refresh", tags=["auth"], request=RefreshBody, responses=PairSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """A refresh token is good once; one that comes again ends its sign-in."""
        given = read_body(RefreshBody, request)
        _needed(given, "refresh_token")
        address = client_address(request)
        throttles.take(_REFRESH_BY_ADDRESS, address_group(address))
        _, pair = sign_ins.refresh(given["refresh_token"], address=address)
        return Response(_shown(pair))


class VerifyView(OpenView):
    """Whether a token is good."""

    @extend_schema(operation_id="auth_verify", tags=["auth"], request=TokenBody, responses=VerdictSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Whose an access token or API key is, what it may do and until when, as of this moment."""
        given = read_body(TokenBody, request)
        _needed(given, "token")
        address = client_address(request)
        throttles.take(_VERIFY_BY_ADDRESS, address_group(address))
        try:
            who = authentication.authenticate({"authorization": f"Bearer {given['token']}"}, {}, address)
            assert who is not None
            for scope in given.get("scopes") or []:
                who.require(scope)
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            return Response(
                {"valid": False, "user_id": None, "scopes": None, "expires_at": None, "reason": refusal.code}
            )
        scopes = None if who.scopes is None else sorted(who.scopes)
        return Response({"valid": True, "user_id": who.user_id, "scopes": scopes, "expires_at": who.expires_at})


class LogoutView(APIView):
    """The end of what the asker is signed in by."""

    @extend_schema(
        operation_id="auth_logout", tags=["auth"], request=None, responses={204: OpenApiResponse(description="Done.")}
    )
    def post(self, request: Request) -> Response:
        """End this session, or this program's access and refresh tokens, at once. A key is ended where keys are."""
        who = principal(request)
        who.require_person()
        if who.method == "session":
            logout(request._request)
        elif who.sign_in_id is not None:
            sign_ins.end(who.user_id, who.sign_in_id)
        else:
            raise Refusal("conflict", "This token was issued elsewhere, and ends where it came from.")
        ended = Response(status=204)
        if who.method == "session":
            ended["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        return ended
