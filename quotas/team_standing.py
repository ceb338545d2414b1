"""Where a team's quota stands, for whoever only looks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from oneai.kit.clock import now
from quotas import reading
from quotas.holding import read_accounts
from quotas.policy import has_allowance
from quotas.reading import Standing


def standing(team_id: UUID, at: datetime | None = None) -> Standing | None:
    """The team's terms and what is left of each limit; None while it has no plan and members use their own."""
    at = at or now()
    (row, *_) = read_accounts(team_id)
    return reading.standing(team_id, at) if has_allowance(row["policy"], at) else None
