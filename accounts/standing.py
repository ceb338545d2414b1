"""A person's standing: ending what they are signed in by, and the label of their plan."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db.models import F

from accounts import apikeys
from accounts.models import User

log = structlog.get_logger("security")


def end_sign_ins(user: User) -> None:
    """End every session and access token of ``user``: the next request by any of them is refused."""
    User.objects.filter(pk=user.pk).update(token_epoch=F("token_epoch") + 1)
    user.refresh_from_db(fields=["token_epoch"])
    log.info("sign_ins_ended", user_id=str(user.pk))


def lock_out(user: User) -> None:
    """Take from ``user`` everything that signs in: password, sessions, tokens and API keys."""
    user.set_unusable_password()
    user.save(update_fields=["password", "updated_at"])
    end_sign_ins(user)
    apikeys.revoke(user.api_keys.filter(revoked_at=None))


def set_plan_label(user_id: UUID, plan: str, status: str = "active") -> None:
    """Write the cached name of a person's plan and its status; billing's tables are the truth."""
    User.objects.filter(pk=user_id).update(current_subscription=plan, subscription_status=status)
