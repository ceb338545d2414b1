"""API keys: ``oneai_<public prefix>_<256-bit secret><checksum>``, stored as a keyed hash only.

The checksum (CRC-32) lets a mistyped key be refused without the database, and secret scanners tell
a key from other text. It protects nothing: whoever knows the format can compute it.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import structlog

from accounts.models import ApiKey, User
from accounts.principal import SCOPES
from oneai.kit.clock import now
from oneai.kit.derived import keyed_hash
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")

START: Final = "oneai_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH: Final = 10
_SECRET_LENGTH: Final = 43  # 62 ** 43 is just above 2 ** 256
_CHECK_LENGTH: Final = 6
_SHAPE: Final = re.compile(
    rf"{START}[0-9A-Za-z]{{{_PREFIX_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}", re.ASCII
)


def _base62(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECK_LENGTH)


def digest_of(plaintext: str) -> str | None:
    """What the database holds for a key; None when its shape or its checksum is wrong."""
    if not _SHAPE.fullmatch(plaintext) or _checksum(plaintext[:-_CHECK_LENGTH]) != plaintext[-_CHECK_LENGTH:]:
        return None
    return keyed_hash("api-keys", plaintext)


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in a fixed order; Refusal ``invalid_value`` for an unknown one or none at all."""
    wanted = set(scopes)
    unknown = sorted(wanted - SCOPES)
    if unknown:
        raise Refusal("invalid_value", f"There is no scope {unknown[0]!r}.", param="scopes")
    if not wanted:
        raise Refusal("invalid_value", "A key needs at least one scope.", param="scopes")
    return sorted(wanted)


def mint(
    user: User,
    name: str = "key",
    scopes: Iterable[str] = SCOPES,
    expires_at: datetime | None = None,
    limit_tokens: int | None = None,
    *,
    limit_nano_usd: int | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    allowed_models: Iterable[str] = (),
    allowed_networks: Iterable[str] = (),
    rotated_from: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for ``user``: its row, and its text, which is nowhere else and can't be shown again.

    Refusal ``invalid_value`` for unknown scopes, an end in the past or a limit below 1.
    """
    if expires_at is not None and expires_at <= now():
        raise Refusal("invalid_value", "The key would have expired already.", param="expires_at")
    if limit_tokens is not None and limit_tokens < 1:
        raise Refusal("invalid_value", "The key's budget must be at least 1 token.", param="limit_tokens")
    prefix = START + "".join(secrets.choice(_DIGITS) for _ in range(_PREFIX_LENGTH))
    body = f"{prefix}_{_base62(secrets.randbits(256), _SECRET_LENGTH)}"
    plaintext = body + _checksum(body)
    key = ApiKey.objects.create(
        user=user,
        name=name.strip()[:100] or "key",
        prefix=prefix,
        digest=keyed_hash("api-keys", plaintext),
        scopes=checked_scopes(scopes),
        expires_at=expires_at,
        limit_tokens=limit_tokens,
        limit_nano_usd=limit_nano_usd,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        allowed_models=list(allowed_models),
        allowed_networks=list(allowed_networks),
        rotated_from=rotated_from,
    )
    log.info("api_key_created", user_id=str(user.pk), api_key_id=str(key.pk), scopes=key.scopes)
    return key, plaintext


def revoke(keys: Iterable[ApiKey]) -> int:
    """End keys now; returns how many were still good."""
    ids = [key.pk for key in keys]
    ended = ApiKey.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=now())
    if ended:
        log.info("api_keys_revoked", api_key_ids=[str(pk) for pk in ids], ended=ended)
    return ended
