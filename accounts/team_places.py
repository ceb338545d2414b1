"""Who may do what in a team: asked before anything is read or changed. Strangers learn nothing, not that it exists."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from accounts.models import Membership, Team, TeamRole
from oneai.kit.errors import Refusal

_RANK: Final = {TeamRole.MEMBER: 0, TeamRole.ADMIN: 1, TeamRole.OWNER: 2}


def rank(role: str) -> int:
    """Higher may more."""
    return _RANK[TeamRole(role)]


def the_id(text: str | UUID) -> UUID:
    """An id as it is written in an address. Refusal ``not_found`` for anything else."""
    try:
        found = UUID(str(text))
    except ValueError as error:
        raise Refusal("not_found") from error
    if str(found) != str(text).lower():
        raise Refusal("not_found")
    return found


def place_in(user_id: UUID, team_id: str | UUID, least: str = TeamRole.MEMBER) -> Membership:
    """Somebody's place in the team, with the team.

    Refusal ``not_found`` when they are not in it, ``permission_denied`` when they are and it needs ``least``.
    """
    place = (
        Membership.objects.select_related("team", "user")
        .filter(team_id=the_id(team_id), user_id=user_id, team__state=Team.State.ACTIVE)
        .first()
    )
    if place is None:
        raise Refusal("not_found")
    if rank(place.role) < rank(least):
        raise Refusal("permission_denied", f"This needs the role {least} in the team.")
    return place


def check_over(actor: Membership, other: Membership) -> None:
    """Refusal ``permission_denied`` unless ``actor`` stands above ``other``: admins see to members, owners to all."""
    if rank(actor.role) <= rank(other.role):
        raise Refusal("permission_denied", "Only somebody above them in the team may do this.")


def check_gives(actor: Membership, role: str) -> None:
    """Refusal unless ``actor`` may make somebody ``role``: owners make admins and members, admins members."""
    if role not in (TeamRole.ADMIN, TeamRole.MEMBER):
        raise Refusal("invalid_value", "The role is admin or member.", param="role")
    if rank(actor.role) <= rank(role):
        raise Refusal("permission_denied", "Only the owner makes admins.", param="role")
