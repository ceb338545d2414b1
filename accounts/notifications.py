"""Which mails somebody wants of those that they may do without: a choice each, under ``preferences``."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.models import User

QUOTA: Final = "quota"
RENEWALS: Final = "renewals"


def wanted(user: User, name: str) -> bool:
    """Whether ``user`` gets the mails called ``name``: yes, unless they said no."""
    chosen = (user.preferences or {}).get("notifications")
    return not (isinstance(chosen, dict) and chosen.get(name) is False)


def choose(user_id: UUID, name: str, yes: bool) -> None:
    """Keep the choice; every other preference stays as it is."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        preferences = dict(user.preferences or {})
        chosen = preferences.get("notifications")
        preferences["notifications"] = (chosen if isinstance(chosen, dict) else {}) | {name: yes}
        User.objects.filter(pk=user_id).update(preferences=preferences)
