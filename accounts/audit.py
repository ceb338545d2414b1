"""The record of what was done, by whom, to what and why. Written in the transaction of the deed."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import AuditEntry
from oneai.kit.gate import current_request_id


def record(
    actor_label: str,
    action: str,
    subject_id: UUID | None = None,
    target: str = "",
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    actor_id: UUID | None = None,
) -> AuditEntry:
    """Add an entry: ``actor_label`` did ``action`` (a verb, as ``plan.granted``) to ``target``.

    ``subject_id`` is the person concerned, ``actor_id`` the person who acted, when there is one.
    ``details`` must hold nothing secret.
    """
    return AuditEntry.objects.create(
        actor_id=actor_id,
        actor_label=actor_label[:254],
        action=action[:80],
        subject_id=subject_id,
        target=target[:200],
        reason=reason,
        details=dict(details or {}),
        request_id=current_request_id(),
    )


def concerning(user_id: UUID) -> QuerySet[AuditEntry]:
    """What was done to a person, or by them in their own account."""
    return AuditEntry.objects.filter(subject_id=user_id)


def command_actor() -> str:
    """How an entry names whoever runs a management command: the account on the machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        name = "unnamed"
    return f"command ({name})"
