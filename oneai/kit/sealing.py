"""Secrets kept in the database: sealed under ``FIELD_ENCRYPTION_KEYS``, of which the first seals and all open.

The keys derived from SECRET_KEY and its fallbacks, which seal where none is listed, open as well: so the setting
may be given later.
"""

from __future__ import annotations

import base64
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from oneai.kit.derived import derived_key, former_keys


def _box() -> MultiFernet:
    keys = [sha256(key.encode()).digest() for key in settings.FIELD_ENCRYPTION_KEYS]
    keys += [derived_key("fields"), *former_keys("fields")]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


def seal(text: str) -> str:
    """``text`` as it may lie in a table."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What was sealed. ValueError when no key that is listed opens it."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise ValueError("no key opens this") from error
