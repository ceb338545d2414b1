"""Who is signed in, and their profile."""

from __future__ import annotations

from datetime import timedelta

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.doors import PersonView, person, principal
from accounts.api.serializers import PersonSerializer, ProfileSerializer, SessionSerializer
from oneai.kit.clock import now
from oneai.kit.errors import Refusal


class SessionView(APIView):
    """The one who asks."""

    @extend_schema(operation_id="auth_session", tags=["auth"], responses=SessionSerializer)
    def get(self, request: Request) -> Response:
        """Who is signed in, by what, and until when; 401 when nobody is.

        A browser's session of which less than half is left begins anew with this.
        """
        who = principal(request)
        expires_at = who.expires_at
        if who.method == "session" and expires_at is not None:
            session, at = request._request.session, now()
            whole = timedelta(seconds=session.get_expiry_age())
            if expires_at - at < whole / 2:
                session.modified = True
                expires_at = at + whole
        return Response(
            {
                "user": PersonSerializer(person(request)).data,
                "method": who.method,
                "expires_at": expires_at,
                "scopes": None if who.scopes is None else sorted(who.scopes),
            }
        )


class ProfileView(PersonView):
    """A person's own profile; closed to API keys."""

    @extend_schema(operation_id="user_profile", tags=["user"], responses=ProfileSerializer)
    def get(self, request: Request) -> Response:
        """The profile."""
        return Response(ProfileSerializer(person(request)).data)

    @extend_schema(
        operation_id="user_profile_change",
        tags=["user"],
        request=ProfileSerializer,
        responses=ProfileSerializer,
    )
    def patch(self, request: Request) -> Response:
        """Change name, picture, locale or time zone; any other field is refused by name."""
        if not isinstance(request.data, dict):
            raise Refusal("invalid_request", "Send a JSON object.")
        changeable = {"name", "picture_url", "locale", "timezone"}
        for field in request.data:
            if field not in changeable:
                raise Refusal("unknown_field", f"The field {field!r} can't be changed here.", param=str(field)[:100])
        serializer = ProfileSerializer(person(request), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)
