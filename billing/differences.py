"""Where Razorpay and our rows say different things: noted once, told to the owners once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from django.db import transaction

from accounts.owners import tell_owners
from billing.models import Difference
from oneai.kit.clock import now

log = structlog.get_logger("billing")

SHOWN: Final = 30
LOST_EVENT: Final = "lost_event"


def note(
    kind: str,
    reference: str,
    *,
    ours: Mapping[str, Any] | None = None,
    theirs: Mapping[str, Any] | None = None,
    repaired: bool = False,
) -> bool:
    """Keep a difference, in the caller's transaction; False when this one stands there already.

    ``reference`` is the id of what differs. ``repaired``: nothing is left to be done, and nobody is told.
    Whoever calls holds the lock of the person's money, or has nobody to lock.
    """
    open_rows = Difference.objects.filter(kind=kind, reference=reference)
    if not repaired and open_rows.filter(repaired_at=None).exists():
        return False
    at = now()
    Difference.objects.create(
        kind=kind,
        reference=reference[:80],
        ours=dict(ours or {}),
        theirs=dict(theirs or {}),
        repaired_at=at if repaired else None,
        told_at=at if repaired else None,
    )
    log.warning("billing_difference", kind=kind, reference=reference, repaired=repaired)
    return True


def repaired(kind: str, reference: str) -> None:
    """Say that a difference is gone."""
    Difference.objects.filter(kind=kind, reference=reference, repaired_at=None).update(repaired_at=now())


def unrepaired() -> list[Difference]:
    """The differences that still stand, the oldest first."""
    return list(Difference.objects.filter(repaired_at=None).order_by("found_at", "id"))


def tell() -> int:
    """One mail to the owners about every difference that they have not heard of; how many there were."""
    with transaction.atomic():
        waiting = list(Difference.objects.filter(told_at=None).order_by("found_at", "id")[:200])
        # Whoever changes a row tells of it.
        mine = [row for row in waiting if Difference.objects.filter(pk=row.pk, told_at=None).update(told_at=now())]
        if not mine:
            return 0
        lines = [f"{row.kind} {row.reference}: ours {row.ours or 'nothing'}, theirs {row.theirs or 'nothing'}"
                 for row in mine[:SHOWN]]  # fmt: skip
        if len(mine) > SHOWN:
            lines.append(f"and {len(mine) - SHOWN} more")
        head = "Razorpay and this site say different things. Nothing was granted for what stands here."
        tell_owners(f"{len(mine)} differences with Razorpay", "\n".join([head, "", *lines]))
    return len(mine)
