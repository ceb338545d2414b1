"""Who is in a team: their roles and caps, and how they leave. The caller has been found by ``team_places``.

Whoever leaves draws on the team no more from that moment on. What still runs ends as it was admitted, and their
conversations stay theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import team_mails, team_places, teams
from accounts.models import Membership, TeamRole
from oneai.kit.errors import Refusal

CAPS: Final[Mapping[str, int]] = {"cap_tokens": 10**15, "cap_nano_usd": 10**15}
"""What a member may use of the team's quota in a period: None is all of it, else 0 up to these."""


def members(team_id: UUID) -> QuerySet[Membership]:
    """The places of a team with their people, the eldest first."""
    return Membership.objects.filter(team_id=team_id).select_related("user").order_by("joined_at", "id")


def find(team_id: UUID, user_id: str | UUID) -> Membership:
    """Somebody's place by the id of the person. Refusal ``not_found``."""
    place = members(team_id).filter(user_id=team_places.the_id(user_id)).first()
    if place is None:
        raise Refusal("not_found")
    return place


def change(
    actor: Membership, user_id: str | UUID, *, role: str | None = None, caps: Mapping[str, int | None] | None = None
) -> Membership:
    """Give a member another role, or other caps; caps that are left out stay. They hold from the next call on.

    Refusals ``permission_denied``, ``not_found``, ``invalid_value``. The owner may cap themselves as well.
    """
    caps = dict(caps or {})
    for name, value in caps.items():
        if value is not None and not 0 <= value <= CAPS[name]:
            raise Refusal("invalid_value", f"Must be a whole number from 0 to {CAPS[name]}.", param=name)
    with transaction.atomic():
        team = teams.lock(actor.team_id)
        actor = team_places.place_in(actor.user_id, team.pk, TeamRole.ADMIN)  # as it is under the lock
        place = find(team.pk, user_id)
        if place.pk != actor.pk or actor.role != TeamRole.OWNER:
            team_places.check_over(actor, place)
        if role is not None and role != place.role:
            _give_role(actor, place, role)
        different = {name: value for name, value in caps.items() if getattr(place, name) != value}
        if different:
            before = {name: getattr(place, name) for name in different}
            for name, value in different.items():
                setattr(place, name, value)
            place.save(update_fields=list(different))
            teams.note(team, "team.caps_set", actor.user, place.user_id, before=before, after=different)
            teams.changed(place.user_id)
    return place


def _give_role(actor: Membership, place: Membership, role: str) -> None:
    if place.role == TeamRole.OWNER:
        raise Refusal("owner_must_stay")
    team_places.check_gives(actor, role)
    before, place.role = place.role, TeamRole(role)
    place.save(update_fields=["role"])
    teams.note(actor.team, "team.role_set", actor.user, place.user_id, before=before, after=role)
    team_mails.tell_role(actor.team, place.user, role)


def remove(actor: Membership, user_id: str | UUID) -> None:
    """Take a member out of the team, or leave it oneself; the seat is free at once.

    Refusal ``owner_must_stay``: the owner hands the team over first, or deletes it.
    """
    with transaction.atomic():
        team = teams.lock(actor.team_id)
        actor = team_places.place_in(actor.user_id, team.pk)
        leaves = team_places.the_id(user_id) == actor.user_id
        if not leaves:
            team_places.place_in(actor.user_id, team.pk, TeamRole.ADMIN)
        place = actor if leaves else find(team.pk, user_id)
        if place.role == TeamRole.OWNER:
            raise Refusal("owner_must_stay" if leaves else "permission_denied")
        if not leaves:
            team_places.check_over(actor, place)
        place.delete()
        teams.note(team, "team.left" if leaves else "team.member_removed", actor.user, place.user_id)
        teams.changed(place.user_id)
        if not leaves:
            team_mails.tell_removed(team, place.user)
