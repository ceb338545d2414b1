"""Keys for one purpose each, derived from ``SECRET_KEY``: no two uses ever share a secret."""

from __future__ import annotations

import hmac
from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


@cache
def _derive(secret: str, label: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=b"oneai", info=label.encode()).derive(secret.encode())


def derived_key(label: str) -> bytes:
    """The 32-byte key for ``label`` (HKDF-SHA256 of the secret key)."""
    return _derive(settings.SECRET_KEY, label)


def keyed_hash(label: str, value: str) -> str:
    """HMAC-SHA256 of ``value`` under the key for ``label``, in hex."""
    return hmac.new(derived_key(label), value.encode(), sha256).hexdigest()


def log_name(email: str) -> str:
    """What logs call an address that somebody typed: the same for the same address, readable by nobody."""
    return keyed_hash("log", email.strip().lower())[:16]
