"""The chain over an account's ledger: each entry's keyed digest covers the entry and the one before it.

The key is the site's own, derived from SECRET_KEY, so a row changed, dropped or slipped in by
somebody who only has the database shows in the audit.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

from django.conf import settings

from quotas.policy import micros

LABEL: Final = b"oneai/quotas/ledger-chain/v1"


@cache
def _derived(secret: str) -> bytes:
    """32 bytes by HKDF-SHA256 (RFC 5869) without salt, the label as its info."""
    extracted = hmac.digest(bytes(32), secret.encode(), "sha256")
    return hmac.digest(extracted, LABEL + b"\x01", "sha256")


def key() -> bytes:
    """The key that new entries are chained with."""
    return _derived(settings.SECRET_KEY)


def accepted_keys() -> list[bytes]:
    """The keys that an entry may have been chained with: SECRET_KEY and the fallbacks kept after a change."""
    return [_derived(secret) for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]]


def link(
    chain_key: bytes,
    previous: str,
    account_id: UUID,
    seq: int,
    at: datetime,
    kind: str,
    counter_id: UUID,
    hold_id: UUID | None,
    held: int,
    used: int,
    overrun: int,
    limit_after: int | None,
    source_key: str,
) -> str:
    """The digest of one entry, in hexadecimal. Fields are joined by a character that none of them holds."""
    message = (
        f"{previous}\n{account_id.hex}\n{seq}\n{micros(at)}\n{kind}\n{counter_id.hex}\n"
        f"{hold_id.hex if hold_id else ''}\n{held}\n{used}\n{overrun}\n"
        f"{'' if limit_after is None else limit_after}\n{source_key}"
    )
    return hmac.digest(chain_key, message.encode(), "sha256").hex()
