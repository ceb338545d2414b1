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

from accounts.key_terms import checked
from accounts.models import ApiKey, User
from accounts.principal import SCOPES
from oneai.kit.clock import now
from oneai.kit.derived import former_hashes, keyed_hash

log = structlog.get_logger("security")

START: Final = "oneai_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH: Final = 10
_SECRET_LENGTH: Final = 43  # 62 ** 43 is just above 2 ** 256
_CHECK_LENGTH: Final = 6
_PREVIOUS: Final = ["previous_prefix", "previous_digest", "previous_until"]
_TEXT: Final = rf"{START}[0-9A-Za-z]{{{_PREFIX_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}"
_SHAPE: Final = re.compile(_TEXT, re.ASCII)
LOOKS_LIKE_A_KEY: Final = re.compile(rf"(?<![0-9A-Za-z_]){_TEXT}(?![0-9A-Za-z])", re.ASCII)
"""A key anywhere in a text; ``digest_of`` tells a right checksum from a wrong one."""


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


def former_digests(plaintext: str) -> tuple[str, ...]:
    """What the database may still hold for a key that was last used under a former SECRET_KEY."""
    return former_hashes("api-keys", plaintext)


def _new_text() -> tuple[str, str]:
    """A public prefix, and the whole text that begins with it."""
    prefix = START + "".join(secrets.choice(_DIGITS) for _ in range(_PREFIX_LENGTH))
    body = f"{prefix}_{_base62(secrets.randbits(256), _SECRET_LENGTH)}"
    return prefix, body + _checksum(body)


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
) -> tuple[ApiKey, str]:
    """Make a key for ``user``: its row, and its text, which is nowhere else and can't be shown again.

    Refusal ``invalid_value`` for terms that make no sense (see ``key_terms``).
    """
    terms = {
        "name": name,
        "scopes": scopes,
        "expires_at": expires_at,
        "limit_tokens": limit_tokens,
        "limit_nano_usd": limit_nano_usd,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "allowed_models": allowed_models,
        "allowed_networks": allowed_networks,
    }
    values = checked(terms, user.role, now())
    prefix, plaintext = _new_text()
    key = ApiKey.objects.create(user=user, prefix=prefix, digest=keyed_hash("api-keys", plaintext), **values)
    log.info("api_key_created", user_id=str(user.pk), api_key_id=str(key.pk), scopes=key.scopes)
    return key, plaintext


def replace_text(key: ApiKey, previous_until: datetime | None) -> str:
    """Give the key, whose row is locked, another text and return it; the present one is good until then."""
    keep = previous_until is not None
    key.previous_prefix, key.previous_digest = (key.prefix, key.digest) if keep else (None, None)
    key.previous_until = previous_until
    key.prefix, plaintext = _new_text()
    key.digest = keyed_hash("api-keys", plaintext)
    key.save(update_fields=["prefix", "digest", *_PREVIOUS])
    log.info("api_key_rotated", user_id=str(key.user_id), api_key_id=str(key.pk))
    return plaintext


def forget_previous(key: ApiKey) -> bool:
    """End the text before the last rotation now; whether there was one."""
    there = key.previous_prefix is not None
    key.previous_prefix = key.previous_digest = key.previous_until = None
    key.save(update_fields=_PREVIOUS)
    return there


def revoke(keys: Iterable[ApiKey]) -> int:
    """End keys now; returns how many were still good."""
    ids = [key.pk for key in keys]
    ended = ApiKey.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=now())
    if ended:
        log.info("api_keys_revoked", api_key_ids=[str(pk) for pk in ids], ended=ended)
    return ended
