"""For whom a page of billing is: the person themselves, or with ``?team=`` the team that they own."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest
from django.urls import reverse

from accounts import teams
from accounts.models import User
from accounts.team_models import Team
from billing.holders import holder_for
from billing.standing import Holder
from oneai.kit.errors import Refusal


def person(request: HttpRequest) -> User:
    """Who is signed in; the pages ask for that first."""
    assert isinstance(request.user, User)
    return request.user


def holder_of(request: HttpRequest) -> Holder:
    """The holder that a request names. Http404 for a team that the person does not own."""
    named = request.GET.get("team")
    try:
        return holder_for(person(request), UUID(named) if named else None)
    except (ValueError, Refusal) as error:
        raise Http404 from error


def address(name: str, holder: Holder, *args: object, **query: str) -> str:
    """The address of a page for ``holder``."""
    whose = {"team": str(holder.team_id)} if holder.team_id else {}
    asked = urlencode(query | whose)
    return reverse(name, args=args) + (f"?{asked}" if asked else "")


def team_of(user: User) -> Team | None:
    """The team that the person owns, if any."""
    return next((team for team in teams.teams_of(user.pk) if teams.owner_of(team.pk).pk == user.pk), None)


def name_of(holder: Holder) -> str:
    """The name of the holder's team; empty for a person."""
    if holder.team_id is None:
        return ""
    return Team.objects.values_list("name", flat=True).get(pk=holder.team_id)
