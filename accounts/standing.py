"""A person's standing: ending what they are signed in by, and the label of their plan."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F

from accounts import apikeys, audit, devices, second_step, sign_ins
from accounts.models import User
from oneai.kit.clock import now

log = structlog.get_logger("security")


def end_sign_ins(user: User) -> None:
    """End every session and token of ``user``: the next request by any of them is refused."""
    User.objects.filter(pk=user.pk).update(token_epoch=F("token_epoch") + 1, signed_out_at=now())
    user.refresh_from_db(fields=["token_epoch", "signed_out_at"])
    sign_ins.end_of(user.pk)
    log.info("sign_ins_ended", user_id=str(user.pk))


def sign_out_everywhere(user: User, *, keys: bool = False) -> None:
    """What a person does who signs out of all browsers and programs, and with ``keys`` ends every API key."""
    with transaction.atomic():
        end_sign_ins(user)
        ended = apikeys.revoke(user.api_keys.filter(revoked_at=None)) if keys else 0
        audit.record(user.email, "sign_ins.ended", user.pk, details={"keys": ended}, actor_id=user.pk)


def sign_out_one(user: User, sign_in_id: UUID) -> None:
    """What a person does who ends one of their sign-ins. Refusal ``not_found``."""
    with transaction.atomic():
        row = sign_ins.end(user.pk, sign_in_id)
        audit.record(user.email, "sign_in.ended", user.pk, target=devices.named(row.user_agent), actor_id=user.pk)


def lock_out(user: User) -> None:
    """Take from ``user`` all that signs in: password, second step, sessions, tokens, keys, Supabase's identity."""
    user.set_unusable_password()
    user.supabase_id = None
    user.save(update_fields=["password", "supabase_id", "updated_at"])
    second_step.take_away(user)
    end_sign_ins(user)
    apikeys.revoke(user.api_keys.filter(revoked_at=None))


def set_plan_label(user_id: UUID, plan: str, status: str = "active") -> None:
    """Write the cached name of a person's plan and its status; billing's tables are the truth."""
    User.objects.filter(pk=user_id).update(current_subscription=plan, subscription_status=status)
