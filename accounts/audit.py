"""The record of what was done, by whom, to what and why. Written in the transaction of the deed."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry
from oneai.kit.clock import now
from oneai.kit.gate import current_request_id

KEPT: Final = timedelta(days=730)
"""How long entries are kept; the database lets none go before."""
_FORGOTTEN_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: how an entry names them, and their id when it is a person."""

    label: str
    id: UUID | None = None

    def record(
        self,
        action: str,
        subject_id: UUID | None = None,
        target: str = "",
        reason: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """``audit.record`` in this one's name."""
        return record(self.label, action, subject_id, target, reason, details, self.id)


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


def command_actor() -> str:
    """How an entry names whoever runs a management command: the account on the machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        name = "unnamed"
    return f"command ({name})"


def command() -> Actor:
    """Whoever runs a management command."""
    return Actor(command_actor())


# Looking -----------------------------------------------------------------------------------------
def about(user_id: UUID) -> QuerySet[AuditEntry]:
    """What one person did and what was done to them, the newest first."""
    return AuditEntry.objects.filter(Q(subject_id=user_id) | Q(actor_id=user_id)).order_by("-at", "-id")


def search(text: str) -> QuerySet[AuditEntry]:
    """The entries in which ``text`` stands: who, what, to what, why, or the id of a request or a person."""
    found = AuditEntry.objects.order_by("-at", "-id")
    if not text:
        return found
    matches = (
        Q(actor_label__icontains=text)
        | Q(action__icontains=text)
        | Q(target__icontains=text)
        | Q(reason__icontains=text)
        | Q(request_id=text)
    )
    try:
        identity = UUID(text)
    except ValueError:
        return found.filter(matches)
    return found.filter(matches | Q(subject_id=identity) | Q(actor_id=identity))


# Letting go --------------------------------------------------------------------------------------
def erase(user_id: UUID, email: str, pseudonym: str) -> int:
    """Put ``pseudonym``, which ends in ``@erased.invalid``, wherever the erased person's address stands; how often.

    The entries stay for their two years. It is the one change that the database lets pass.
    """
    named = Q(subject_id=user_id) | Q(actor_id=user_id) | Q(actor_label=email) | Q(target=email)
    changed = 0
    for entry in AuditEntry.objects.filter(named).iterator(chunk_size=500):
        before = {name: getattr(entry, name) for name in ("actor_label", "target", "reason", "details")}
        after = {name: _without(value, email, pseudonym) for name, value in before.items()}
        if after != before:
            changed += AuditEntry.objects.filter(pk=entry.pk).update(**after)
    return changed


def _without(value: Any, email: str, pseudonym: str) -> Any:
    if isinstance(value, str):
        return value.replace(email, pseudonym)
    if isinstance(value, list):
        return [_without(each, email, pseudonym) for each in value]
    if isinstance(value, dict):
        return {name: _without(each, email, pseudonym) for name, each in value.items()}
    return value


def forget() -> int:
    """Delete entries older than two years, some at a time; how many."""
    old = AuditEntry.objects.filter(at__lt=now() - KEPT - timedelta(days=1)).order_by("at")
    ids = list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    return AuditEntry.objects.filter(pk__in=ids).delete()[0] if ids else 0
