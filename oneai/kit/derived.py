"""Keys for single purposes, derived from SECRET_KEY, so that none is ever used for two things.

After a change of SECRET_KEY what the former ones made is known by those in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import hmac
from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


@cache
def _derive(secret: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"oneai:{purpose}".encode()).derive(secret.encode())


def derived_key(purpose: str) -> bytes:
    """32 bytes for ``purpose`` (RFC 5869); another purpose or another SECRET_KEY gives unrelated bytes."""
    return _derive(settings.SECRET_KEY, purpose)


def former_keys(purpose: str) -> list[bytes]:
    """The keys for ``purpose`` that the secrets in SECRET_KEY_FALLBACKS gave."""
    return [_derive(secret, purpose) for secret in settings.SECRET_KEY_FALLBACKS]


def keyed_hash(purpose: str, value: str) -> str:
    """HMAC-SHA256 of ``value`` under the key for ``purpose``, in hex."""
    return _hash(derived_key(purpose), value)


def former_hashes(purpose: str, value: str) -> tuple[str, ...]:
    """What ``keyed_hash`` gave under each secret in SECRET_KEY_FALLBACKS."""
    return tuple(_hash(key, value) for key in former_keys(purpose))


def _hash(key: bytes, value: str) -> str:
    return hmac.new(key, value.encode(), sha256).hexdigest()
