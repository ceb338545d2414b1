"""People as staff see them: found by address, name or id; never what they wrote."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.team_ids import FIRST_TEAM
from quotas import allowances, reading
from quotas.models import Override
from quotas.policy import RATES


def search(text: str, *, teams: bool) -> QuerySet[User]:
    """The people whose address or name holds ``text``, or who have it as their id; everybody for nothing.

    With ``teams`` their accounts too, on which their quotas are counted.
    """
    found = User.objects.order_by("-created_at", "-id")
    if not teams:
        found = found.filter(pk__lt=FIRST_TEAM)
    if not text:
        return found
    matches = Q(email__icontains=text) | Q(name__icontains=text) | Q(google_id=text)
    try:
        return found.filter(matches | Q(pk=UUID(text)))
    except ValueError:
        return found.filter(matches)


def as_json(user: User) -> dict[str, Any]:
    """A person, as ``/api/admin/users`` shows them."""
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "plan": user.current_subscription,
        "subscription_status": user.subscription_status,
        "is_active": user.is_active,
        "created_at": user.created_at,
        "last_login": user.last_login,
    }


def quota_json(user: User) -> dict[str, Any]:
    """Where a person's quota stands, with the overrides that hold or are to come, as ``/api/admin/quotas`` shows it."""
    told = reading.statement(user.pk)
    return {
        "user": {"id": user.pk, "email": user.email, "name": user.name},
        "plan": told["plan"],
        "period": told["period"],
        "limits": told["limits"],
        "rates": {name: told["rates"][name] for name in RATES},
        "topups": told["topups"],
        "overrides": [override_json(row) for row in allowances.lasting(user.pk)],
    }


def override_json(row: Override) -> dict[str, Any]:
    """An override with who set it and why."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "scope": row.scope if row.kind == "limit" else None,
        "unit": row.unit if row.kind == "limit" else None,
        "limit": row.limit if row.kind == "limit" else None,
        "rates": row.values if row.kind == "rates" else None,
        "reason": row.reason,
        "actor": row.actor,
        "starts_at": row.starts_at,
        "until": row.until,
    }
