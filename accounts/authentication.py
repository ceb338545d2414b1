"""One authenticator for every door: session, access token, Supabase's token or API key in, a principal out.

A credential that is there and bad is refused; it never counts as none, and another one beside it
is never tried instead. API keys are read from ``Authorization: Bearer`` and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.datastructures import MultiValueDict
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from accounts import apikeys, keyring, second_step, sign_ins, supabase, tokens
from accounts.addresses import client_address
from accounts.models import User
from accounts.principal import Principal
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.logs import loggable

log = structlog.get_logger("security")

_LONGEST: Final = 4096  # characters of an Authorization header worth reading


def _principal(user: User, method: str, **more: Any) -> Principal:
    return Principal(user_id=user.pk, email=user.email, role=user.role, name=user.name, method=method, **more)


def bearer(header: str) -> str:
    """The credential in an ``Authorization`` header; Refusal ``invalid_token`` when it holds none or is too long."""
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential or len(header) > _LONGEST:
        raise Refusal("invalid_token", "Send the credential as: Authorization: Bearer <key or token>.")
    return credential


def key_digest(plaintext: str) -> str:
    """What the database holds for a key; Refusal ``invalid_api_key`` for text that is no key."""
    digest = apikeys.digest_of(plaintext)
    if digest is None:
        raise keyring.refusal("malformed")
    return digest


def _by_key(plaintext: str, address: str) -> Principal:
    digest = key_digest(plaintext)
    at = now()
    # The comparison is the index's: what it compares is a keyed hash, which the caller can't steer.
    keys, users = keyring.find([digest], dict.fromkeys(apikeys.former_digests(plaintext), digest))
    key = keys.get(digest)
    if key is None:
        raise keyring.refusal("unknown")
    user, prefix = users[key["user_id"]], keyring.prefix_of(key, digest)
    why = keyring.fault(key, at, prefix, address)
    if not why and not user["is_active"]:
        why = keyring.ACCOUNT_DISABLED
    if why:
        raise keyring.refusal(why, key["id"], address)
    keyring.touch([key], at)
    return keyring.principal_of(key, user, prefix)


def _by_header(header: str, address: str) -> Principal:
    credential = bearer(header)
    if credential.startswith(apikeys.START):
        return _by_key(credential, address)
    if supabase.claims_it(credential):
        user, expires_at, _ = supabase.verify(credential)
        return _principal(user, "supabase", expires_at=expires_at, seal=str(user.token_epoch))
    user, expires_at, sign_in = tokens.verify(credential)
    if sign_in is not None:
        sign_ins.touch_program(sign_in, address)
    sign_in_id = sign_in.pk if sign_in is not None else None
    return _principal(
        user,
        "jwt",
        expires_at=expires_at,
        seal=str(user.token_epoch),
        sign_in_id=sign_in_id,
        second_step=sign_in is not None,
    )


def _session(key: str) -> tuple[dict[str, Any], datetime] | None:
    session = Session.objects.filter(session_key=key, expire_date__gt=now()).first()
    return (session.get_decoded(), session.expire_date) if session else None


def _by_session(key: str) -> Principal | None:
    """The person signed in by a session; None when it has ended, as a browser without one.

    Refusal ``account_disabled`` when the session is good and its person deactivated.
    """
    found = _session(key) if key.isascii() and key.isalnum() else None
    if found is None:
        return None
    data, expires_at = found
    if SESSION_KEY not in data or data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        user = User.objects.filter(pk=data[SESSION_KEY]).first()
    except (ValueError, ValidationError):
        return None
    if user is None or not same_password(user, str(data.get(HASH_SESSION_KEY, ""))):
        return None
    if not user.is_active:
        raise Refusal("account_disabled")
    seal = user.get_session_auth_hash()
    step = second_step.taken(data)
    return _principal(user, "session", expires_at=expires_at, session_key=key, seal=seal, second_step=step)


def same_password(user: User, session_hash: str) -> bool:
    """Whether the session was opened under the person's present password and epoch."""
    if constant_time_compare(session_hash, user.get_session_auth_hash()):
        return True
    return any(constant_time_compare(session_hash, fallback) for fallback in user.get_session_auth_fallback_hash())


def authenticate(headers: Mapping[str, str], cookies: Mapping[str, str], address: str = "") -> Principal | None:
    """Who asks; None when no credential was sent.

    ``headers`` has lower-case names. ``address`` is the client's, for keys bound to networks.
    Refusal ``invalid_api_key``, ``invalid_token`` or ``account_disabled`` (401) for a bad credential,
    ``address_not_allowed`` (403) for a key that is not good there, ``sign_in_refused`` (403) and
    ``unavailable`` (503) as ``supabase.verify`` says.
    Reads the database (a key's ``last_used_at`` is written at most once a minute).
    """
    header = headers.get("authorization")
    if header is not None:
        return _by_header(header, address)
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    return _by_session(key) if key else None


def check_csrf(scope: MutableMapping[str, Any], method: str) -> None:
    """Django's CSRF check for a route that Django does not serve; Refusal ``csrf_failed`` (403).

    The token is read from the header ``X-CSRFToken`` alone: the body is not a form.
    """
    request = ASGIRequest({**scope, "method": method}, BytesIO())
    request._post, request._files = QueryDict(), MultiValueDict()  # type: ignore[attr-defined]
    _refuse_forgery(request)


def own_origin() -> str:
    """The origin of this site, as browsers spell it."""
    parts = urlsplit(settings.SITE_URL)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def check_origin(origins: Sequence[str], *, bearer: bool) -> None:
    """What stands in for the CSRF token where a WebSocket is opened, which can't carry one.

    A browser always says where its page came from: with a cookie that must be this site, to the
    letter. Programs that send a ``bearer`` credential need not say it, and pages that may call the
    API with one may. Refusal ``permission_denied``.
    """
    allowed = {own_origin(), *settings.CORS_ALLOWED_ORIGINS} if bearer else {own_origin()}
    if (bearer and not origins) or (len(origins) == 1 and origins[0] in allowed):
        return
    log.warning("origin_refused", origins=[origin[:200] for origin in origins[:3]])
    raise Refusal("permission_denied", "This origin may not open a WebSocket here.")


def _no_view(_: HttpRequest) -> HttpResponse:
    """Stands where Django's check wants a view; it is never called."""
    return HttpResponse()


def _refuse_forgery(request: HttpRequest) -> None:
    """Django's own check, where its middleware does not reach (REST framework's views are exempt)."""
    check = CSRFCheck(_no_view)
    check.process_request(request)
    reason = check.process_view(request, _no_view, (), {})
    if reason is not None or request.headers.get("Sec-Fetch-Site") == "cross-site":
        log.warning("csrf_refused", path=loggable(request.path))
        raise Refusal("csrf_failed")


class DRFAuthentication(BaseAuthentication):
    """``authenticate`` for REST framework: ``request.user`` is a Principal; sessions need a CSRF token."""

    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        headers = {} if header is None else {"authorization": header}
        principal = authenticate(headers, request.COOKIES, client_address(request))
        if principal is None:
            return None
        if principal.method == "session":
            _refuse_forgery(request._request)
        return principal, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'
