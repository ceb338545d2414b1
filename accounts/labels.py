"""The plan's name on the person: a cache for lists and for whoever reads the table directly."""

from __future__ import annotations

from uuid import UUID

from accounts.models import User
from oneai.kit.clock import now


def set_plan_label(user_id: UUID, code: str, status: str = "active") -> None:
    """Note ``code`` and ``status`` on the user; what is allowed is decided by the allowances, never by this."""
    User.objects.filter(pk=user_id).update(current_subscription=code, subscription_status=status, updated_at=now())
