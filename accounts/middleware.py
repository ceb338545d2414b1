"""Whose session a page was asked with."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    load_backend,
    middleware,
)
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.authentication import same_password
from accounts.models import User


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Django's, but that a session outlives a change of SECRET_KEY under its own key.

    Django gives such a session another key and drops the old one at once: of several pages that a browser asks for at
    the same time, one is answered and the others sign it out.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = cast(Any, SimpleLazyObject(lambda: _signed_in(request)))


def _signed_in(request: HttpRequest) -> User | AnonymousUser:
    session = request.session
    path = session.get(BACKEND_SESSION_KEY)
    if SESSION_KEY not in session or path not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser()
    try:
        user = load_backend(path).get_user(session[SESSION_KEY])
    except (ValueError, ValidationError):
        return AnonymousUser()
    if user is None:
        return AnonymousUser()
    if not same_password(user, str(session.get(HASH_SESSION_KEY, ""))):
        session.flush()
        return AnonymousUser()
    wanted = user.get_session_auth_hash()
    if session[HASH_SESSION_KEY] != wanted:  # made under a former SECRET_KEY
        session[HASH_SESSION_KEY] = wanted
    return user
