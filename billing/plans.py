"""Giving a plan to a person, and offering the plans there are."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.models import User
from accounts.standing import set_plan_label
from billing.models import Plan
from quotas import allowances
from quotas.models import Allowance
from quotas.policy import RATES

DEFAULT_PLAN = "free"


class UnknownPlan(LookupError):
    """There is no such plan on sale; the text names those there are."""


def offered() -> list[Plan]:
    """The plans on sale, in their order."""
    return list(Plan.objects.filter(is_active=True, only_for=None).order_by("position", "code"))


def find(code: str) -> Plan:
    """The plan ``code``; UnknownPlan when there is none or it is off sale."""
    plan = Plan.objects.filter(code=code, is_active=True).first()
    if plan is None:
        names = ", ".join(each.code for each in offered())
        raise UnknownPlan(f"There is no plan {code!r}; there are: {names}.")
    return plan


def grant(
    user: User,
    code: str,
    until: datetime | None = None,
    reason: str = "",
    actor: str = "",
    source: str = "",
    actor_id: UUID | None = None,
) -> Allowance:
    """Give ``user`` the plan from now on, until ``until`` if given; what was used stays used.

    UnknownPlan for a plan that is not there, ``quotas.allowances.InvalidTerms`` for an end in the
    past. Leaves an audit entry.
    """
    plan = find(code)
    with transaction.atomic():
        # The person's row before the quota's: that is the order in which billing locks them.
        set_plan_label(user.pk, plan.code, "active")
        allowance = allowances.assign(
            user.pk,
            plan.code,
            plan.limits,
            rates(plan),
            plan.model_patterns,
            source=source or f"grant by {actor}"[:200],
            until=until,
        )
        audit.record(
            actor,
            "plan.granted",
            subject_id=user.pk,
            target=plan.code,
            reason=reason,
            details={"allowance": str(allowance.pk), "until": until.isoformat() if until else None},
            actor_id=actor_id,
        )
    return allowance


def publish_default(plan: Plan, actor: str) -> None:
    """Make the free plan, as it is now, what accounts without a plan of their own may."""
    if plan.code != DEFAULT_PLAN:
        return
    with transaction.atomic():
        allowances.set_default(plan.code, plan.limits, rates(plan), plan.model_patterns, source="plan free")
        audit.record(actor, "plan.default_changed", target=plan.code, details={"limits": plan.limits})


def rates(plan: Plan) -> dict[str, int | None]:
    """The plan's rates by the names that allowances use."""
    return {name: getattr(plan, name) for name in RATES}
