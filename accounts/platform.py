"""The account of the platform itself: whose quota the calls move that the site makes for its own ends.

It is a row among the people because holds, ledger and audit know no other payer. Nobody can sign in
to it: it is not active, has no password, and mail to its address can't exist (RFC 2606).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from accounts.models import User

PLATFORM_ID: Final = UUID("00000000-0000-7000-8000-000000000001")
ADDRESS: Final = "platform@oneai.invalid"


def make_platform_account() -> bool:
    """Make the account unless it is there; whether it was made now."""
    _, made = User.objects.get_or_create(
        id=PLATFORM_ID,
        defaults={"email": ADDRESS, "name": "The platform itself", "is_active": False, "password": "!"},
    )
    return made
