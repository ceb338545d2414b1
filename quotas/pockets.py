"""What an account has beside its plan: top-ups, used once the plan's own quota is, and what it owes.

Everything here works on rows in hand: no database. Which of them are changed is written by the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from quotas.models import Grant
from quotas.policy import LimitKey

EXTRA: Final = Grant.Kind.EXTRA.value
DEBT: Final = Grant.Kind.DEBT.value
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class GrantState:
    """A row of grants that is no plan's. ``is_new``: not in the table yet."""

    id: UUID
    user_id: UUID
    source_key: str
    kind: str
    parent_id: UUID | None
    scope: str
    unit: str
    amount: int
    consumed: int
    held: int
    refunded: int
    priority: int
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime
    note: str = ""
    is_new: bool = False
    changed: bool = False

    @property
    def key(self) -> LimitKey:
        return self.scope, self.unit

    @property
    def limit(self) -> int:
        """What was given, less what was taken back or forgiven."""
        return self.amount - self.refunded

    @property
    def left(self) -> int:
        """What may still be held of a top-up, or is still owed of a debt."""
        return self.limit - self.consumed - self.held

    def is_valid(self, at: datetime) -> bool:
        """Whether a top-up may be held of at ``at``. It begins and ends by comparing times alone."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


def in_order(grants: Iterable[GrantState]) -> list[GrantState]:
    """In the order in which they are used: by priority, then what ends first, then the older."""
    return sorted(grants, key=lambda grant: (grant.priority, grant.valid_until or _NEVER, grant.id))


def usable(grants: Iterable[GrantState], at: datetime) -> list[GrantState]:
    """The top-ups that are valid at ``at``, in order, and all debts."""
    return in_order(grant for grant in grants if grant.kind == DEBT or grant.is_valid(at))


def extras(grants: Iterable[GrantState]) -> dict[LimitKey, int]:
    """What comes to each limit: the top-ups less the debts; below 0 when more is owed."""
    found: dict[LimitKey, int] = {}
    for grant in grants:
        found[grant.key] = found.get(grant.key, 0) + (grant.left if grant.kind == EXTRA else -grant.left)
    return found


def of(grants: Iterable[GrantState], kind: str, key: LimitKey) -> list[GrantState]:
    """Those of one kind on one limit, in the order given."""
    return [grant for grant in grants if grant.kind == kind and grant.key == key]


def split(amount: int, plan_room: int | None, grants: Sequence[GrantState]) -> tuple[int, list[tuple[GrantState, int]]]:
    """How ``amount`` is held: so much of the plan (room None: any), and the rest of ``grants`` in order.

    What neither has room for is the plan's; an admission leaves nothing such.
    """
    own = amount if plan_room is None else min(amount, plan_room)
    rest = amount - own
    parts: list[tuple[GrantState, int]] = []
    for grant in grants:
        part = min(rest, grant.left)
        if part > 0:
            parts.append((grant, part))
            rest -= part
    return own + rest, parts


def burned(
    actual: int, own: int, plan_room: int | None, parts: Sequence[tuple[GrantState, int]]
) -> tuple[int, int, list[tuple[GrantState, int, int]]]:
    """How ``actual`` is paid from a hold of ``own`` on the plan and ``parts`` on top-ups.

    ``plan_room`` is what the plan has free once the hold is gone (None: any): the plan's own quota goes
    first, also where it had none when the hold was made. Gives what the plan pays, how much of that goes
    beyond the hold, and (grant, held, used) for each part.
    """
    excess = max(0, actual - own - sum(part for _, part in parts))
    covered = actual - excess
    of_plan = covered if plan_room is None else min(covered, max(own, plan_room))
    rest = covered - of_plan
    found: list[tuple[GrantState, int, int]] = []
    for grant, part in parts:
        used = min(rest, part)
        rest -= used
        found.append((grant, part, used))
    return of_plan + excess, excess, found


def recharged(
    before: int, after: int, own: int, plan_room: int | None, parts: Sequence[tuple[GrantState, int, int]]
) -> tuple[int, int, list[tuple[GrantState, int]]]:
    """How a charge of ``before`` becomes one of ``after``, for a hold that had ``own`` on the plan.

    ``parts`` has (top-up, held, used) of the hold's. What is given back goes to the top-ups first, the last first,
    as the plan pays first; what comes to it is the plan's as far as that has room, then theirs as far as they were
    held, and the plan's again. Gives what the plan pays more, how much of that goes beyond the hold, and
    (top-up, more used); less is negative.
    """
    held = own + sum(part for _, part, _ in parts)
    excess = max(0, after - held) - max(0, before - held)
    covered = after - before - excess
    found: list[tuple[GrantState, int]] = []
    if covered < 0:
        for grant, _, used in reversed(parts):
            back = min(-covered, used)
            covered += back
            found.append((grant, -back))
        return covered + excess, excess, found
    of_plan = covered if plan_room is None else min(covered, plan_room)
    rest = covered - of_plan
    for grant, part, used in parts:
        more = min(rest, part - used, grant.left)
        rest -= more
        found.append((grant, more))
    return of_plan + rest + excess, excess, found
