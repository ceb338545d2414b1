"""Asking people into a team by mail: an invitation is good for seven days, for one address, and once.

It holds a seat while it is open. The token in its link is stored nowhere; a new mail has a new one.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet

from accounts import team_mails, team_places, teams, throttles
from accounts.models import Membership, Team, TeamInvitation, TeamRole, User
from oneai.kit.clock import now
from oneai.kit.derived import former_hashes, keyed_hash
from oneai.kit.errors import Refusal

GOOD_FOR: Final = timedelta(days=7)
_BY_TEAM: Final = throttles.Limit("team-invitations/team", 200, 86_400)
_BY_PERSON: Final = throttles.Limit("team-invitations/person", 100, 86_400)
_BY_ADDRESS: Final = throttles.Limit("team-invitations/address", 5, 86_400)
_State = TeamInvitation.State


def of(team_id: UUID) -> QuerySet[TeamInvitation]:
    """The invitations that wait, the newest first; those that have ended may be sent again."""
    return TeamInvitation.objects.filter(team_id=team_id, state=_State.OPEN).order_by("-created_at", "-id")


def digest_of(token: str) -> str:
    """What the database holds for a token."""
    return keyed_hash("team-invitations", token)


def _checked_address(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refusal("invalid_value", "This is no e-mail address.", param="email") from error
    if len(email) > 254:
        raise Refusal("invalid_value", "This is no e-mail address.", param="email")
    return email


def _count(actor: Membership, email: str) -> None:
    """Mails to strangers are bounded. Refusal ``too_many_attempts``."""
    throttles.take(_BY_PERSON, str(actor.user_id))
    throttles.take(_BY_TEAM, str(actor.team_id))
    throttles.take(_BY_ADDRESS, email)


def invite(actor: Membership, email: str, role: str = TeamRole.MEMBER) -> TeamInvitation:
    """Ask somebody into the team, by mail.

    Refusals ``seats_full``, ``already_invited``, ``already_in_team`` when they are in this one, ``invalid_value``,
    ``permission_denied`` for a role that the actor may not give, ``too_many_attempts``.
    """
    email = _checked_address(email)
    team_places.check_gives(actor, role)
    _count(actor, email)
    with transaction.atomic():
        team = teams.lock(actor.team_id)
        actor = team_places.place_in(actor.user_id, team.pk, TeamRole.ADMIN)
        team_places.check_gives(actor, role)
        if Membership.objects.filter(team=team, user__email=email).exists():
            raise Refusal("already_in_team", "This person is in the team already.", param="email")
        waiting = TeamInvitation.objects.filter(team=team, email=email, state=_State.OPEN).first()
        if waiting is not None:
            if waiting.expires_at > now():
                raise Refusal("already_invited", param="email")
            _close(waiting, _State.REVOKED)
        _check_seat(team)
        token = secrets.token_urlsafe(32)
        invitation = TeamInvitation.objects.create(
            team=team,
            email=email,
            role=role,
            digest=digest_of(token),
            invited_by=actor.user,
            expires_at=now() + GOOD_FOR,
        )
        teams.note(team, "team.invited", actor.user, email=email, role=role)
        team_mails.invite(invitation, actor.user, token)
    return invitation


def _check_seat(team: Team) -> None:
    if teams.seats_taken(team.pk) >= team.seats:
        raise Refusal("seats_full", details={"seats": team.seats})


def _find(team: Team, invitation_id: str | UUID) -> TeamInvitation:
    found = of(team.pk).filter(pk=team_places.the_id(invitation_id)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def resend(actor: Membership, invitation_id: str | UUID) -> TeamInvitation:
    """Send the mail again with another link, good for seven days from now; the link before ends.

    One that had ended needs a seat again: Refusal ``seats_full``.
    """
    _count(actor, _find(actor.team, invitation_id).email)
    with transaction.atomic():
        team = teams.lock(actor.team_id)
        actor = team_places.place_in(actor.user_id, team.pk, TeamRole.ADMIN)
        invitation = _find(team, invitation_id)
        team_places.check_gives(actor, invitation.role)
        if invitation.expires_at <= now():
            _check_seat(team)
        token = secrets.token_urlsafe(32)
        invitation.digest, invitation.sent_at = digest_of(token), now()
        invitation.expires_at = invitation.sent_at + GOOD_FOR
        invitation.save(update_fields=["digest", "sent_at", "expires_at"])
        teams.note(team, "team.invitation_resent", actor.user, email=invitation.email)
        team_mails.invite(invitation, actor.user, token)
    return invitation


def revoke(actor: Membership, invitation_id: str | UUID) -> None:
    """End an invitation; its seat is free at once."""
    with transaction.atomic():
        team = teams.lock(actor.team_id)
        actor = team_places.place_in(actor.user_id, team.pk, TeamRole.ADMIN)
        invitation = _find(team, invitation_id)
        team_places.check_gives(actor, invitation.role)
        _close(invitation, _State.REVOKED)
        teams.note(team, "team.invitation_revoked", actor.user, email=invitation.email)


def _close(invitation: TeamInvitation, state: TeamInvitation.State) -> None:
    invitation.state, invitation.closed_at = state, now()
    invitation.save(update_fields=["state", "closed_at"])


def look(user: User, token: str) -> TeamInvitation:
    """The invitation behind a link, for the person that it is for.

    Refusals ``not_found``, ``invitation_ended``, ``invitation_for_another`` unless the address is one that this
    person has verified.
    """
    digests = [digest_of(token), *former_hashes("team-invitations", token)]
    invitation = TeamInvitation.objects.select_related("team").filter(digest__in=digests).first()
    if invitation is None or invitation.team.state != Team.State.ACTIVE:
        raise Refusal("not_found")
    if not EmailAddress.objects.filter(user=user, email__iexact=invitation.email, verified=True).exists():
        raise Refusal("invitation_for_another")
    if invitation.state != _State.OPEN or invitation.expires_at <= now():
        raise Refusal("invitation_ended")
    return invitation


def accept(user: User, token: str) -> Membership:
    """Join the team. Refusals of ``look``, ``already_in_team``, and ``seats_full`` when its seat is gone."""
    team_id = look(user, token).team_id
    with transaction.atomic():
        # Nobody joins or makes another team at the same time. Not the key: calls that are admitted refer to it.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        team = teams.lock(team_id)
        invitation = look(user, token)  # as it is under the lock
        if Membership.objects.filter(user=user).exists():
            raise Refusal("already_in_team")
        if Membership.objects.filter(team=team).count() >= team.seats:
            raise Refusal("seats_full", details={"seats": team.seats})
        place, made = Membership.objects.get_or_create(user=user, defaults={"team": team, "role": invitation.role})
        if not made:
            raise Refusal("already_in_team")
        _close(invitation, _State.ACCEPTED)
        teams.note(team, "team.joined", user, role=invitation.role)
        teams.changed(user.pk)
    return place
