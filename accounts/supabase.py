"""Access tokens that a Supabase project issues: whose they are here, when ``SUPABASE_URL`` is set.

A person is known by the token's ``sub`` alone. A ``sub`` that nobody has makes a new account, never a way into
one that is there: the address in a token proves nothing here. Asymmetric tokens are verified by the project's
published keys, those of older projects by ``SUPABASE_JWT_SECRET``; neither kind is tried for the other.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import jwt
import structlog
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.tokens import LEEWAY, Verified
from oneai.kit.errors import Refusal
from oneai.kit.http import HTTPFailure, fetch_json

log = structlog.get_logger("security")

ASYMMETRIC: Final = ("ES256", "RS256", "EdDSA")
AUDIENCE: Final = "authenticated"
KEPT_SECONDS: Final = 600.0  # as long as Supabase's own edge keeps the keys
PAUSE_SECONDS: Final = 30.0  # between two looks for a key that is not known


class _Published(NamedTuple):
    """The project's keys by their names, and when they were had."""

    url: str
    at: float
    keys: dict[str, jwt.PyJWK]


_lock = threading.Lock()
_published = _Published("", 0.0, {})


def issuer() -> str:
    """What ``iss`` says in the project's tokens; empty when no project is set."""
    return f"{settings.SUPABASE_URL}/auth/v1" if settings.SUPABASE_URL else ""


def claims_it(token: str) -> bool:
    """Whether the token says that it is the project's, which nothing has proved yet."""
    if not settings.SUPABASE_URL:
        return False
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return claims.get("iss") == issuer()


def verify(token: str) -> Verified:
    """The person of a good token. They are made when the project's user is new here.

    Refusal ``invalid_token``; ``account_disabled``; ``sign_in_refused`` when the address is another account's;
    ``unavailable`` when the project's keys can't be had.
    """
    claims = _claims(token)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 64 or claims.get("role") != AUDIENCE:
        raise Refusal("invalid_token")
    if claims.get("is_anonymous"):
        raise Refusal("sign_in_refused", "An anonymous user of the Supabase project has no account here.")
    user = User.objects.filter(supabase_id=subject).first() or _newcomer(subject, claims.get("email"))
    if not user.is_active:
        raise Refusal("account_disabled")
    issued_at = datetime.fromtimestamp(claims["iat"], UTC)
    if user.signed_out_at is not None and issued_at <= user.signed_out_at:
        raise Refusal("invalid_token")
    return Verified(user, datetime.fromtimestamp(claims["exp"], UTC), None)


def _claims(token: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        key: Any
        if algorithm == "HS256" and settings.SUPABASE_JWT_SECRET:
            key = settings.SUPABASE_JWT_SECRET
        elif algorithm in ASYMMETRIC:
            key = _key(str(header.get("kid", "")), algorithm).key
        else:
            raise Refusal("invalid_token")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=AUDIENCE,
            issuer=issuer(),
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "sub", "iat", "exp"]},
        )
        return claims
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise Refusal("invalid_token") from error


def _key(kid: str, algorithm: str) -> jwt.PyJWK:
    """The published key of this name. Refusal ``invalid_token`` when there is none, or it is for another algorithm."""
    global _published
    with _lock:
        age = time.monotonic() - _published.at
        known = _published.keys if _published.url == settings.SUPABASE_URL else None
        if known is None or age > KEPT_SECONDS or (kid not in known and age > PAUSE_SECONDS):
            try:
                known = _fetched()
            except HTTPFailure as error:
                log.warning("supabase_keys_unavailable", error=str(error))
                if known is None or kid not in known:
                    raise Refusal("unavailable", "The Supabase project's keys can't be had.", retry_after=5) from error
            _published = _Published(settings.SUPABASE_URL, time.monotonic(), known)
    found = known.get(kid)
    if found is None or found.algorithm_name != algorithm:
        raise Refusal("invalid_token")
    return found


def _fetched() -> dict[str, jwt.PyJWK]:
    answer = fetch_json(f"{issuer()}/.well-known/jwks.json", timeout=5.0)
    entries = answer.get("keys") if isinstance(answer, dict) else None
    keys = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
            continue  # a kind of key that is not known here spoils none of the others
        if key.key_id and key.algorithm_name in ASYMMETRIC:
            keys[key.key_id] = key
    return keys


def _newcomer(subject: str, email: object) -> User:
    """An account for a ``sub`` that is new here, with the token's address as one that is not proved."""
    address = email.strip().lower() if isinstance(email, str) and len(email) <= 254 else ""
    try:
        validate_email(address)
    except ValidationError as error:
        raise Refusal("sign_in_refused", "The Supabase user has no e-mail address.") from error
    taken = Refusal("sign_in_refused", "An account with this address is there already. Sign in to that one.")
    if EmailAddress.objects.filter(email__iexact=address, verified=True).exists():
        raise taken
    try:
        with transaction.atomic():
            user = User(email=address, supabase_id=subject)
            user.set_unusable_password()
            user.save(force_insert=True)
            EmailAddress.objects.create(user=user, email=address, primary=True, verified=False)
    except IntegrityError as error:  # the address is somebody's, or the same user came twice at once
        found = User.objects.filter(supabase_id=subject).first()
        if found is None:
            raise taken from error
        return found
    log.info("signed_up", user_id=str(user.pk), method="supabase")
    return user
