"""Teams: making, naming, handing over and deleting them, and how many seats they have. Billing's door to them.

Who may do what is asked by ``team_places``; who is in by ``team_members``. Each deed leaves an audit entry, in its
own transaction. A team's row is locked first by every writer, so seats are never given twice. Whoever also works on
quotas in the same transaction calls here first: memberships lock their people's accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit, team_mails
from accounts.models import Membership, Team, TeamInvitation, TeamRole, User
from accounts.team_ids import new_team_id
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

MOST_SEATS: Final = 10_000
LONGEST_NAME: Final = 100

_followers: list[Callable[[UUID], None]] = []
_after_transfer: list[Callable[[UUID, User, User], None]] = []
_before_delete: list[Callable[[UUID], None]] = []


def on_membership(follow: Callable[[UUID], None]) -> None:
    """Have ``follow(user_id)`` called whenever somebody's place in a team has changed, in that transaction."""
    _followers.append(follow)


def on_transfer(follow: Callable[[UUID, User, User], None]) -> None:
    """Have ``follow(team_id, before, after)`` called when a team has another owner, in that transaction."""
    _after_transfer.append(follow)


def before_delete(check: Callable[[UUID], None]) -> None:
    """Have ``check(team_id)`` called before a team is deleted: it raises a Refusal while the team must stay."""
    _before_delete.append(check)


def changed(user_id: UUID) -> None:
    """Tell whoever must know that the person's place in a team has changed."""
    for follow in _followers:
        follow(user_id)


# Reading --------------------------------------------------------------------------------------------
def teams_of(user_id: UUID) -> list[Team]:
    """The teams that somebody is in: one, or none."""
    return list(Team.objects.filter(state=Team.State.ACTIVE, memberships__user_id=user_id))


def team_account(team_id: UUID) -> UUID:
    """The account that the team's quota is counted on: what ``quotas.allowances.assign`` and top-ups are given.

    Refusal ``not_found`` when there is no such team.
    """
    if not Team.objects.filter(pk=team_id).exists():
        raise Refusal("not_found")
    return team_id


def address_of(team_id: UUID) -> str:
    """The address that staff name the team's account by. Nobody signs in to it, and no mail goes there (RFC 2606)."""
    return f"team-{team_id.hex}@oneai.invalid"


def owner_of(team_id: UUID) -> User:
    """Who owns the team. Refusal ``not_found`` when nobody does: there is no such team any more."""
    place = Membership.objects.select_related("user").filter(team_id=team_id, role=TeamRole.OWNER).first()
    if place is None:
        raise Refusal("not_found")
    return place.user


def stewards_of(team_id: UUID) -> QuerySet[User]:
    """Its owner and admins: whom mails about the team go to."""
    roles = [TeamRole.OWNER, TeamRole.ADMIN]
    return User.objects.filter(membership__team_id=team_id, membership__role__in=roles, is_active=True).order_by("id")


def open_invitations(team_id: UUID) -> QuerySet[TeamInvitation]:
    """The invitations that may still be accepted."""
    return TeamInvitation.objects.filter(team_id=team_id, state=TeamInvitation.State.OPEN, expires_at__gt=now())


def seats_taken(team_id: UUID) -> int:
    """Seats that members have, and that open invitations hold."""
    return Membership.objects.filter(team_id=team_id).count() + open_invitations(team_id).count()


# Writing --------------------------------------------------------------------------------------------
def lock(team_id: UUID) -> Team:
    """The team, locked. Refusal ``not_found`` when there is none, or it was deleted."""
    team = Team.objects.select_for_update(no_key=True).filter(pk=team_id, state=Team.State.ACTIVE).first()
    if team is None:
        raise Refusal("not_found")
    return team


def note(
    team: Team, action: str, actor: User | None, subject: UUID | None = None, label: str = "", **details: Any
) -> None:
    """An audit entry about a team: ``actor`` did it, or whoever ``label`` names; ``subject`` is whom it concerns."""
    audit.record(
        actor.email if actor is not None else label,
        action,
        subject if subject is not None else actor.pk if actor is not None else None,
        target=team.name,
        reason=details.pop("reason", ""),
        details={"team_id": str(team.pk)} | details,
        actor_id=actor.pk if actor is not None else None,
    )


def checked_name(name: str) -> str:
    """A name in one line. Refusal ``invalid_value`` when nothing is left of it, or too much."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refusal("invalid_value", f"A name has 1 to {LONGEST_NAME} printable characters.", param="name")
    return name


def create_team(owner: User, name: str, seats: int = 1) -> Team:
    """A new team of ``owner`` with so many ``seats`` bought, the first of them the owner's own.

    Refusal ``already_in_team``, also when two ask at once; ``invalid_value`` for the name.
    """
    name = checked_name(name)
    if not 1 <= seats <= MOST_SEATS:
        raise ValueError("a team has at least its owner's seat")
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if Membership.objects.filter(user=owner).exists():
            raise Refusal("already_in_team")
        team_id = new_team_id()
        account = User(id=team_id, email=address_of(team_id), name=f"Team {name}", is_active=False)
        account.set_unusable_password()
        account.save(force_insert=True)
        team = Team.objects.create(id=team_id, name=name, seats=seats)
        Membership.objects.create(team=team, user=owner, role=TeamRole.OWNER)
        note(team, "team.created", owner, seats=seats)
        changed(owner.pk)
    return team


def rename(actor: User, team_id: UUID, name: str) -> Team:
    """Give the team another name."""
    name = checked_name(name)
    with transaction.atomic():
        team = lock(team_id)
        if team.name != name:
            before, team.name = team.name, name
            team.save(update_fields=["name"])
            User.objects.filter(pk=team.pk).update(name=f"Team {name}")
            note(team, "team.renamed", actor, before=before)
    return team


def set_seats(
    team_id: UUID, seats: int, *, actor: User | None = None, label: str = "billing", reason: str = ""
) -> Team:
    """Record how many seats are bought. Open invitations that have none any more are revoked, the newest first.

    Refusal ``seats_taken`` when more people are in the team than that; nothing is changed then. ``not_found``,
    ``invalid_value``.
    """
    if not 1 <= seats <= MOST_SEATS:
        raise Refusal("invalid_value", f"A team has 1 to {MOST_SEATS} seats.", param="seats")
    with transaction.atomic():
        team = lock(team_id)
        members = Membership.objects.filter(team=team).count()
        if members > seats:
            raise Refusal("seats_taken", details={"seats": seats, "members": members})
        held = list(open_invitations(team.pk).order_by("created_at", "id"))
        homeless = held[seats - members :]
        TeamInvitation.objects.filter(pk__in=[each.pk for each in homeless]).update(
            state=TeamInvitation.State.REVOKED, closed_at=now()
        )
        if team.seats != seats or homeless:
            before, team.seats = team.seats, seats
            team.save(update_fields=["seats"])
            note(
                team, "team.seats_set", actor, team.pk, label, before=before, after=seats, reason=reason,
                revoked=[each.email for each in homeless],
            )  # fmt: skip
    return team


def transfer(actor: User, team_id: UUID, user_id: UUID) -> Team:
    """Make another member the owner; whoever was it becomes an admin. Refusal ``not_found`` for who is not in it."""
    with transaction.atomic():
        team = lock(team_id)
        places = {place.user_id: place for place in Membership.objects.filter(team=team).select_related("user")}
        heir = places.get(user_id)
        before = next((place for place in places.values() if place.role == TeamRole.OWNER), None)
        if heir is None or before is None:
            raise Refusal("not_found")
        if not heir.user.is_active:
            raise Refusal("conflict", "The account of this member is disabled.")
        if heir.pk != before.pk:
            Membership.objects.filter(pk=before.pk).update(role=TeamRole.ADMIN)
            Membership.objects.filter(pk=heir.pk).update(role=TeamRole.OWNER)
            note(team, "team.handed_over", actor, heir.user_id, before=before.user.email, after=heir.user.email)
            team_mails.tell_role(team, heir.user, TeamRole.OWNER)
            for follow in _after_transfer:
                follow(team.pk, before.user, heir.user)
    return team


def check_may_go(user_id: UUID) -> None:
    """Before somebody's account is closed for good: a team must not be left without its owner.

    Refusal ``owner_must_stay`` while others are in a team that they own: they hand it over first. Alone in it, what
    ``before_delete`` was told of refuses (``team_subscribed``); after that ``delete_team`` does. Members may go.
    """
    place = Membership.objects.filter(user_id=user_id, role=TeamRole.OWNER).first()
    if place is None:
        return
    if Membership.objects.filter(team_id=place.team_id).exclude(pk=place.pk).exists():
        raise Refusal("owner_must_stay")
    for check in _before_delete:
        check(place.team_id)


def delete_team(actor: User, team_id: UUID) -> None:
    """Delete the team: its members go back to their own plans at once, what it has used stays on record.

    Refusal of whoever keeps it: ``team_subscribed`` while it is paid for.
    """
    with transaction.atomic():
        team = lock(team_id)
        for check in _before_delete:
            check(team.pk)
        places = list(Membership.objects.filter(team=team).select_related("user").order_by("user_id"))
        Membership.objects.filter(team=team).delete()
        TeamInvitation.objects.filter(team=team, state=TeamInvitation.State.OPEN).update(
            state=TeamInvitation.State.REVOKED, closed_at=now()
        )
        team.state, team.deleted_at = Team.State.DELETED, now()
        team.save(update_fields=["state", "deleted_at"])
        note(team, "team.deleted", actor, members=len(places))
        for place in places:
            changed(place.user_id)
            if place.user_id != actor.pk:
                team_mails.tell_removed(team, place.user, deleted=True)
