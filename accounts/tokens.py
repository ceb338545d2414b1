"""Tokens of API clients: short-lived access tokens, good as long as their person's epoch and their sign-in
stand, and the refresh tokens that get the next one. Both are JWTs of ours, and neither passes for the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.models import SignIn, User
from oneai.kit.clock import now
from oneai.kit.derived import derived_key, former_keys
from oneai.kit.errors import Refusal

ALGORITHM: Final = "HS256"
CLAIMS: Final = ["iss", "aud", "sub", "iat", "exp", "jti", "epoch", "use"]
LEEWAY: Final = 2  # seconds that the clocks of two machines of ours may differ


class Verified(NamedTuple):
    """A good access token: its person, when it ends, and the sign-in it belongs to."""

    user: User
    expires_at: datetime
    sign_in: SignIn | None


class Refresh(NamedTuple):
    """What a refresh token of ours says; whether it still is the last one only its sign-in knows."""

    user_id: UUID
    sign_in_id: UUID
    generation: int
    epoch: int


def signing_keys() -> list[bytes]:
    """The keys, the signing one first; ImproperlyConfigured when one has fewer than 32 bytes."""
    keys = [key.encode() for key in settings.JWT_SIGNING_KEYS]
    if any(len(key) < 32 for key in keys):
        raise ImproperlyConfigured("JWT_SIGNING_KEYS has a key of fewer than 32 bytes")
    return keys or [derived_key("access-tokens"), *former_keys("access-tokens")]


def _audience(use: str) -> str:
    return f"{settings.SITE_URL}/api" if use == "access" else f"{settings.SITE_URL}/api/auth/refresh"


def _signed(use: str, user: User, expires_at: datetime, **more: Any) -> str:
    claims = {
        "iss": settings.SITE_URL,
        "aud": _audience(use),
        "sub": str(user.pk),
        "iat": now().replace(microsecond=0),
        "exp": expires_at,
        "jti": uuid4().hex,
        "epoch": user.token_epoch,
        "use": use,
    }
    return jwt.encode(claims | more, signing_keys()[0], algorithm=ALGORITHM)


def issue_access(user: User, sign_in: SignIn | None = None) -> tuple[str, datetime]:
    """A token for ``user`` and when it ends (``ACCESS_TOKEN_SECONDS`` from now).

    One that belongs to a ``sign_in`` ends with that as well.
    """
    expires_at = now().replace(microsecond=0) + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)
    more = {} if sign_in is None else {"sid": str(sign_in.pk)}
    return _signed("access", user, expires_at, **more), expires_at


def issue_refresh(user: User, sign_in: SignIn) -> str:
    """The refresh token of the sign-in's present generation."""
    more = {"sid": str(sign_in.pk), "gen": sign_in.generation}
    return _signed("refresh", user, sign_in.expires_at.replace(microsecond=0), **more)


def _claims(token: str, use: str) -> dict[str, Any]:
    for key in signing_keys():
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=_audience(use),
                issuer=settings.SITE_URL,
                leeway=LEEWAY,
                options={"require": CLAIMS, "strict_aud": True},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Refusal("invalid_token") from error
        if claims["use"] != use:
            raise Refusal("invalid_token")
        return claims
    raise Refusal("invalid_token")


def _uuid(value: object) -> UUID:
    try:
        return UUID(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError) as error:
        raise Refusal("invalid_token") from error


def verify(token: str) -> Verified:
    """The person of a good access token, read anew from the database.

    Refusal ``invalid_token`` when it is malformed, forged, expired, for someone else or ended by
    the person's epoch or with its sign-in, and ``account_disabled`` when the person is deactivated.
    """
    claims = _claims(token, "access")
    user = User.objects.filter(pk=_uuid(claims["sub"])).first()
    if user is None or claims["epoch"] != user.token_epoch:
        raise Refusal("invalid_token")
    if not user.is_active:
        raise Refusal("account_disabled")
    sign_in = None
    if "sid" in claims:
        sign_in = SignIn.objects.filter(pk=_uuid(claims["sid"]), user_id=user.pk).first()
        if sign_in is None:
            raise Refusal("invalid_token")
    return Verified(user, datetime.fromtimestamp(claims["exp"], UTC), sign_in)


def read_refresh(token: str) -> Refresh:
    """What a refresh token says. Refusal ``invalid_token`` when it is not one of ours, or has expired."""
    claims = _claims(token, "refresh")
    generation = claims.get("gen")
    if not isinstance(generation, int) or not isinstance(claims["epoch"], int):
        raise Refusal("invalid_token")
    return Refresh(_uuid(claims["sub"]), _uuid(claims.get("sid")), generation, claims["epoch"])
