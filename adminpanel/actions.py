"""What staff do to others' accounts and to the site: each calls whoever owns the rows, and leaves an audit entry.

The desk, ``/api/admin`` and the commands all come here. Whoever calls has asked ``accounts.permissions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts import standing
from accounts.audit import Actor
from accounts.models import User
from billing import inbox, plans, stopping
from billing.handling import REPLAYED
from billing.models import Subscription, WebhookEvent
from billing.standing import holder_of
from chat import catalog_sync
from chat.models import AIModel, ModelClass
from oneai.kit.clock import now, uuid7
from quotas import allowances, grants
from quotas.allowances import InvalidTerms
from quotas.grants import Given
from quotas.models import Allowance, Hold, Override
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from quotas.reading import standing as quota_standing


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


# Quotas ------------------------------------------------------------------------------------------
def check_scope(scope: str) -> None:
    """InvalidTerms unless ``scope`` is ``*``, a model of the catalogue or a class of models."""
    if scope == PLAN_WIDE:
        return
    if scope.startswith("class:"):
        if not ModelClass.objects.filter(name=scope[6:]).exists():
            raise InvalidTerms(f"There is no class of models {scope[6:]!r}; staff make them on the desk.")
    elif not AIModel.objects.filter(slug=scope).exists():
        raise InvalidTerms(f"There is no model {scope!r}; a limit is on a model's id, on class:NAME or on *.")


def set_limit(
    actor: Actor,
    user: User,
    scope: str,
    limits: Mapping[str, int | None],
    reason: str,
    *,
    starts: datetime | None = None,
    until: datetime | None = None,
) -> list[Override]:
    """Set the period's limits of ``scope`` by unit (None: unlimited); see ``quotas.allowances.set_limit``."""
    check_scope(scope)
    with transaction.atomic():
        made = allowances.set_limit(user.pk, scope, limits, reason, actor.label, until, starts)
        details = {"limits": dict(limits), "from": _text(starts), "until": _text(until)}
        actor.record("quota.set", user.pk, scope, reason, details)
    return made


def set_rates(
    actor: Actor, user: User, rates: Mapping[str, int | None], reason: str, *, until: datetime | None = None
) -> Override:
    """Set some of a person's rates (None: unlimited)."""
    with transaction.atomic():
        made = allowances.set_rates(user.pk, rates, reason, actor.label, until)
        details: dict[str, Any] = dict(rates)
        if until is not None:
            details["until"] = _text(until)
        actor.record("rates.set", user.pk, user.email, reason, details)
    return made


def end_override(actor: Actor, override: Override, reason: str) -> None:
    """End an override now. InvalidTerms when it has ended."""
    with transaction.atomic():
        override.refresh_from_db()
        if override.ended_at is not None or (override.until is not None and override.until <= now()):
            raise InvalidTerms("The override has ended already.")
        allowances.end_override(override)
        details = {"override": str(override.pk), "kind": override.kind}
        actor.record("override.ended", override.user_id, override.scope, reason, details)


def give_tokens(
    actor: Actor,
    user: User,
    tokens: int,
    reason: str,
    *,
    nano_usd: int | None = None,
    scope: str = PLAN_WIDE,
    until: datetime | None = None,
    name: str = "",
) -> tuple[str, Given]:
    """Give tokens beside the plan, with dollars as the plan has them unless some are named; the cause, and what.

    A second call with the same ``name`` gives nothing.
    """
    wanted = {TOKENS: tokens}
    if nano_usd is None and scope == PLAN_WIDE:
        nano_usd = grants.in_proportion(quota_standing(user.pk).terms, tokens)
    if nano_usd:
        wanted[NANO_USD] = nano_usd
    cause = f"admin:{name or uuid7()}"
    with transaction.atomic():
        given = grants.grant(user.pk, cause, wanted, scope=scope, until=until, note=reason)
        if given.new:
            details = {"amounts": dict(given.amounts), "until": _text(until)}
            actor.record("quota.granted", user.pk, scope, reason, details)
    return cause, given


# People ------------------------------------------------------------------------------------------
def grant_plan(actor: Actor, user: User, plan: str, reason: str, *, until: datetime | None = None) -> Allowance:
    """Give a plan by hand. UnknownPlan or InvalidTerms; see ``billing.plans.grant``."""
    return plans.grant(user, plan, until, reason, actor.label, actor_id=actor.id)


def set_active(actor: Actor, user: User, reason: str, *, active: bool) -> None:
    """Let somebody in again, or keep them out: then all that they are signed in by ends."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=active, updated_at=now())
        user.is_active = active
        if not active:
            standing.end_sign_ins(user)
        actor.record("user.enabled" if active else "user.disabled", user.pk, user.email, reason)


def end_sign_ins(actor: Actor, user: User, reason: str) -> None:
    """End every session and token of somebody."""
    with transaction.atomic():
        standing.end_sign_ins(user)
        actor.record("user.signed_out", user.pk, user.email, reason)


# Money -------------------------------------------------------------------------------------------
def cancel(actor: Actor, row: Subscription, when: str, reason: str) -> Subscription:
    """End a subscription ``now``, with money back, or at its ``cycle_end``; its history says who and why."""
    ended = stopping.cancel(holder_of(row), when, reason, actor.label)
    details = {"subscription": str(ended.pk), "when": when}
    actor.record("subscription.cancelled", row.user_id, row.plan.code, reason, details)
    return ended


def replay(actor: Actor, event_ids: Iterable[UUID], reason: str = "") -> list[WebhookEvent]:
    """Have events handled again; those that are at work or have lost their body stay. Returns the others."""
    with transaction.atomic():
        again = inbox.replay(list(event_ids))
        for event in again:
            details = {"event_id": event.event_id, "event_type": event.event_type, "was": event.state}
            actor.record(REPLAYED, target=str(event.pk), reason=reason, details=details)
    return again


# The engine --------------------------------------------------------------------------------------
def switch_models(actor: Actor, model_ids: Iterable[UUID], reason: str, *, on: bool) -> list[str]:
    """Switch models on or off for everybody; the slugs of those that were not so already."""
    with transaction.atomic():
        slugs = catalog_sync.switch(model_ids, on=on)
        for slug in slugs:
            actor.record("model.switched_on" if on else "model.switched_off", target=slug, reason=reason)
    return slugs


def look_again(actor: Actor, hold: Hold, reason: str) -> bool:
    """Have the worker settle a call that lost its producer at its next look; False when it has ended meanwhile."""
    with transaction.atomic():
        due = Hold.objects.filter(pk=hold.pk, state=Hold.State.ORPHANED).update(check_at=now())
        if due:
            actor.record("hold.looked_again", hold.user_id, hold.reference, reason)
    return bool(due)
