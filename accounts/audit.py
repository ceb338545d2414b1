"""The record of what was done, by whom, to what and why. Written in the transaction of the deed."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry, User
from oneai.kit.clock import now
from oneai.kit.gate import current_request_id

KEPT: Final = timedelta(days=730)
"""How long entries are kept; the database lets none go before."""
ERASED: Final = "erased-"
"""How the name begins that stands in an entry for somebody who was erased."""
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


def command() -> Actor:
    """Whoever runs a management command."""
    return Actor(command_actor())


# Looking -----------------------------------------------------------------------------------------
def about(user_id: UUID) -> QuerySet[AuditEntry]:
    """What one person did and what was done to them, the newest first."""
    return AuditEntry.objects.filter(Q(subject_id=user_id) | Q(actor_id=user_id)).order_by("-at", "-id")


def seen_by(entry: AuditEntry, user_id: UUID) -> dict[str, Any]:
    """An entry as the person concerned sees it: staff stay nameless, and what others are called is not shown."""
    own = entry.actor_id == user_id
    return {
        "id": entry.pk,
        "at": entry.at,
        "actor": "you" if own else "staff" if entry.actor_id else "system",
        "action": entry.action,
        "target": entry.target if entry.subject_id == user_id else "",
        "reason": entry.reason if entry.subject_id == user_id else "",
        "request_id": entry.request_id if own else "",
    }


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
def erase(user: User, pseudonym: str) -> int:
    """Put ``pseudonym`` in the place of an erased person's address; the one change that the database lets pass."""
    name = f"{ERASED}{pseudonym}"
    changed = AuditEntry.objects.filter(actor_label=user.email).update(actor_label=name)
    return changed + AuditEntry.objects.filter(target=user.email).update(target=name)


def forget() -> int:
    """Delete entries older than two years, some at a time; how many."""
    old = AuditEntry.objects.filter(at__lt=now() - KEPT - timedelta(days=1)).order_by("at")
    ids = list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    return AuditEntry.objects.filter(pk__in=ids).delete()[0] if ids else 0
