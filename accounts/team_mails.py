"""The mails of teams: an invitation, a new role, and that somebody is not in a team any more."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Team, TeamInvitation, User


def invite(invitation: TeamInvitation, by: User, token: str) -> None:
    """The link that lets somebody join, with the token that is nowhere else."""
    link = settings.SITE_URL + reverse("settings_team_join", args=[token])
    context = {"invitation": invitation, "by": by.name or by.email, "link": link}
    _send(invitation.team, invitation.email, f"Join the team {invitation.team.name}", "team_invitation", **context)


def tell_role(team: Team, user: User, role: str) -> None:
    """Somebody has another role now."""
    _send(team, user.email, f"You are now {_A[role]} of {team.name}", "team_role", user=user, role=_A[role])


def tell_removed(team: Team, user: User, *, deleted: bool = False) -> None:
    """Somebody was taken out of the team, or it was ``deleted``."""
    subject = f"The team {team.name} was deleted" if deleted else f"You are no longer in the team {team.name}"
    _send(team, user.email, subject, "team_removed", user=user, deleted=deleted)


_A = {"owner": "the owner", "admin": "an admin", "member": "a member"}


def _send(team: Team, to: str, subject: str, template: str, **context: object) -> None:
    context |= {"team": team, "site_name": settings.SITE_NAME, "site_url": settings.SITE_URL}
    body = render_to_string(f"accounts/email/{template}_message.txt", context)
    EmailMessage(subject, body, to=[to]).send()
