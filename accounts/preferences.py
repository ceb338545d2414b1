"""What somebody prefers: kept as JSON beside their row, changed under lock, read without trust in its shape.

Here is what every app may know. Which values make sense is said where they are asked for (chat.preferring).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from accounts import notifications
from accounts.models import User

THEMES: Final = ("auto", "light", "dark")
NOTIFICATIONS: Final = (notifications.QUOTA, notifications.RENEWALS)
NAMES: Final = ("theme", "default_model", "system", "temperature", "max_tokens", "reasoning_effort")


def of(user: User) -> dict[str, Any]:
    """All that is preferred, with what holds where nothing was chosen (None: the model's or the site's own)."""
    kept: Any = user.preferences if isinstance(user.preferences, dict) else {}
    theme = kept.get("theme")
    return {
        "theme": theme if theme in THEMES else "auto",
        "language": user.locale,
        "default_model": _text(kept.get("default_model")),
        "system": _text(kept.get("system")),
        "temperature": _number(kept.get("temperature")),
        "max_tokens": _number(kept.get("max_tokens")),
        "reasoning_effort": _text(kept.get("reasoning_effort")) or None,
        "notifications": {name: notifications.wanted(user, name) for name in NOTIFICATIONS},
    }


def change(user_id: UUID, values: Mapping[str, Any]) -> User:
    """Keep ``values``, which were checked; None takes a choice back. What is not named stays."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        kept = dict(user.preferences) if isinstance(user.preferences, dict) else {}
        for name in NAMES:
            if name in values:
                kept[name] = values[name]
                if values[name] in (None, ""):
                    del kept[name]
        if "notifications" in values:
            chosen = kept.get("notifications")
            kept["notifications"] = (chosen if isinstance(chosen, dict) else {}) | dict(values["notifications"])
        user.preferences, user.locale = kept, values.get("language", user.locale)
        user.save(update_fields=["preferences", "locale", "updated_at"])
    return user


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
