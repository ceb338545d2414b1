"""Where somebody is signed in: browsers and programs, one row each, and how each of them ends.

A program's row holds the number of its last refresh token. Taking a token counts that up in one statement,
so of two that come with the same one, at once or later, the second ends the row and all that hangs on it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from accounts import tokens
from accounts.addresses import client_address
from accounts.models import SignIn, User
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")

REFRESH_FOR: Final = timedelta(days=30)
SEEN_STEP: Final = timedelta(minutes=5)
_IN_SESSION: Final = "sign_in"
_REMEMBERED: Final = 10_000
_seen: dict[tuple[str, str], datetime] = {}  # of this process: (sign-in, session) -> when it was last noted


class Pair(NamedTuple):
    """What a program gets: a token to ask with, when that ends, and one for the next pair."""

    access_token: str
    expires_at: datetime
    refresh_token: str


def _pair(user: User, sign_in: SignIn) -> Pair:
    access, expires_at = tokens.issue_access(user, sign_in)
    return Pair(access, expires_at, tokens.issue_refresh(user, sign_in))


# Programs ----------------------------------------------------------------------------------------
def open_program(user: User, *, user_agent: str, address: str) -> Pair:
    """Sign ``user`` in on a program that keeps its tokens itself."""
    sign_in = SignIn.objects.create(
        user=user, user_agent=_line(user_agent), address=address[:45], expires_at=now() + REFRESH_FOR
    )
    log.info("signed_in", user_id=str(user.pk), method="program", address=address, sign_in_id=str(sign_in.pk))
    return _pair(user, sign_in)


def refresh(token: str, *, address: str) -> tuple[User, Pair]:
    """The next pair for a refresh token, which is then used up.

    Refusal ``refresh_token_reused`` for one that was used before: its sign-in ends. ``invalid_token`` for
    any other that is not good, ``account_disabled``.
    """
    asked = tokens.read_refresh(token)
    at = now()
    with transaction.atomic():
        user = User.objects.filter(pk=asked.user_id).first()
        mine = SignIn.objects.filter(pk=asked.sign_in_id, user_id=asked.user_id, session_key=None)
        if user is None or asked.epoch != user.token_epoch:
            raise Refusal("invalid_token")
        if not user.is_active:
            raise Refusal("account_disabled")
        taken = mine.filter(generation=asked.generation, expires_at__gt=at).update(
            generation=F("generation") + 1, last_seen_at=at, expires_at=at + REFRESH_FOR, address=address[:45]
        )
        if taken:
            return user, _pair(user, mine.get())
    if asked.generation < (mine.values_list("generation", flat=True).first() or 0):
        mine.delete()
        log.warning("refresh_token_reused", user_id=str(user.pk), sign_in_id=str(asked.sign_in_id), address=address)
        raise Refusal("refresh_token_reused")
    raise Refusal("invalid_token")


def touch_program(sign_in: SignIn, address: str) -> None:
    """Note that a program was there, at most once in ``SEEN_STEP``."""
    at = now()
    if at - sign_in.last_seen_at >= SEEN_STEP:
        SignIn.objects.filter(pk=sign_in.pk).update(last_seen_at=at, address=address[:45])


# Browsers ----------------------------------------------------------------------------------------
class SignInMiddleware(MiddlewareMixin):
    """Keeps the row of a browser's sign-in in step with its session."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.session.accessed and request.session.get(SESSION_KEY):
            _follow(request)
        return response


def _follow(request: HttpRequest) -> None:
    """Make the row of a session that has none, and keep the key and the time of the others."""
    session = request.session
    user_id, named = session[SESSION_KEY], str(session.get(_IN_SESSION, ""))
    if session.session_key is None:
        session.save()
    key, at = str(session.session_key), now()
    last = _seen.get((named, key))
    if named and last is not None and at - last < SEEN_STEP:
        return
    fresh = {
        "session_key": key,
        "last_seen_at": at,
        "expires_at": session.get_expiry_date(),
        "address": client_address(request)[:45],
        "user_agent": _line(request.headers.get("User-Agent", "")),
    }
    if not named or not SignIn.objects.filter(pk=named, user_id=user_id).update(**fresh):
        if not Session.objects.filter(session_key=key).exists():
            return  # it was ended while this request was on its way
        row, _ = SignIn.objects.update_or_create(session_key=key, defaults=fresh | {"user_id": user_id})
        named = session[_IN_SESSION] = str(row.pk)
    if len(_seen) >= _REMEMBERED:
        _seen.clear()
    _seen[named, key] = at


def signed_out(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Forget the browser that signs out; its session is still there when Django tells of it."""
    if request is not None and (named := request.session.get(_IN_SESSION)):
        SignIn.objects.filter(pk=named).delete()


# All of them -------------------------------------------------------------------------------------
def of(user_id: UUID) -> QuerySet[SignIn]:
    """Where the person is signed in now, the latest seen first."""
    at = now()
    live = Session.objects.filter(expire_date__gt=at).values("session_key")
    alive = Q(session_key=None, expires_at__gt=at) | Q(session_key__in=live)
    return SignIn.objects.filter(alive, user_id=user_id).order_by("-last_seen_at", "-id")


def end(user_id: UUID, sign_in_id: UUID) -> SignIn:
    """End one of the person's sign-ins: its next request is refused everywhere. Refusal ``not_found``."""
    with transaction.atomic():
        row = SignIn.objects.select_for_update(no_key=True).filter(pk=sign_in_id, user_id=user_id).first()
        if row is None:
            raise Refusal("not_found")
        _forget([row])
    log.info("sign_in_ended", user_id=str(user_id), sign_in_id=str(sign_in_id))
    return row


def end_of(user_id: UUID) -> None:
    """Delete every sign-in of the person, with the sessions of browsers."""
    _forget(list(SignIn.objects.filter(user_id=user_id)))


def _forget(rows: list[SignIn]) -> None:
    Session.objects.filter(session_key__in=[row.session_key for row in rows if row.session_key]).delete()
    SignIn.objects.filter(pk__in=[row.pk for row in rows]).delete()


def tidy(at: datetime) -> int:
    """Delete what has expired; returns how many rows went."""
    return SignIn.objects.filter(expires_at__lt=at).delete()[0]


def _line(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:300]
