"""Access tokens for API clients: short-lived JWTs, good as long as their person's epoch stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.models import User
from oneai.kit.clock import now
from oneai.kit.derived import derived_key
from oneai.kit.errors import Refusal

ALGORITHM: Final = "HS256"
CLAIMS: Final = ["iss", "aud", "sub", "iat", "exp", "jti", "epoch", "use"]
LEEWAY: Final = 2  # seconds that the clocks of two machines of ours may differ


class Verified(NamedTuple):
    """A good token: its person and when it ends."""

    user: User
    expires_at: datetime


def signing_keys() -> list[bytes]:
    """The keys, the signing one first; ImproperlyConfigured when one has fewer than 32 bytes."""
    keys = [key.encode() for key in settings.JWT_SIGNING_KEYS]
    if any(len(key) < 32 for key in keys):
        raise ImproperlyConfigured("JWT_SIGNING_KEYS has a key of fewer than 32 bytes")
    return keys or [derived_key("access-tokens")]


def _audience() -> str:
    return f"{settings.SITE_URL}/api"


def issue_access(user: User) -> tuple[str, datetime]:
    """A token for ``user`` and when it ends (``ACCESS_TOKEN_SECONDS`` from now)."""
    at = now().replace(microsecond=0)
    expires_at = at + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)
    claims = {
        "iss": settings.SITE_URL,
        "aud": _audience(),
        "sub": str(user.pk),
        "iat": at,
        "exp": expires_at,
        "jti": uuid4().hex,
        "epoch": user.token_epoch,
        "use": "access",
    }
    return jwt.encode(claims, signing_keys()[0], algorithm=ALGORITHM), expires_at


def _claims(token: str) -> dict[str, Any]:
    for key in signing_keys():
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=_audience(),
                issuer=settings.SITE_URL,
                leeway=LEEWAY,
                options={"require": CLAIMS, "strict_aud": True},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Refusal("invalid_token") from error
    raise Refusal("invalid_token")


def verify(token: str) -> Verified:
    """The person of a good token, read anew from the database.

    Refusal ``invalid_token`` when it is malformed, forged, expired, for someone else or ended by
    the person's epoch, and ``account_disabled`` when the person is deactivated.
    """
    claims = _claims(token)
    try:
        user_id = UUID(claims["sub"])
    except (ValueError, TypeError, AttributeError) as error:
        raise Refusal("invalid_token") from error
    user = User.objects.filter(pk=user_id).first()
    if user is None or claims["use"] != "access" or claims["epoch"] != user.token_epoch:
        raise Refusal("invalid_token")
    if not user.is_active:
        raise Refusal("account_disabled")
    return Verified(user, datetime.fromtimestamp(claims["exp"], UTC))
