"""The ids of teams, which are those of the accounts that their quotas are counted on.

They sort after all others, so whoever locks accounts in the order of their ids locks people before teams: which
team pays for somebody is read from a row that is locked by then.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from oneai.kit.clock import uuid7

_FIRST: Final = 0xF << 124
"""A version 7 UUID begins with this digit once its milliseconds have come to the year 10332."""


FIRST_TEAM: Final = UUID(int=_FIRST)
"""No person's id is as high, and no team's is lower."""


def new_team_id() -> UUID:
    """An id for a team; among teams they sort by time."""
    return UUID(int=uuid7().int | _FIRST)


def is_team_id(value: UUID) -> bool:
    """Whether ``value`` is the id of a team and of its account."""
    return value.int >= _FIRST
