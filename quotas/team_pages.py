"""The section of the settings about one's team. All of it works without scripts.

Nobody is in two teams, so the pages need no id of it; whoever is in none may make one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import team_invitations, team_members, team_places, teams
from accounts.models import Membership, TeamInvitation, TeamRole, User
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.money import dollars
from quotas import reading, team_standing, team_usage
from quotas.figures import LimitState
from quotas.policy import TOKENS
from quotas.team_forms import HeirForm, InviteForm, MemberForm, NameForm, TeamForm
from quotas.usage import Sums
from quotas.wording import scope_text


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit as the page shows it. ``level`` colours its meter: low from 80 %, out at 100 %."""

    text: str
    share: float
    level: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A member as the page shows them. ``used`` and ``caps`` are empty for who may not see them."""

    place: Membership
    name: str
    used: str
    caps: str
    may_change: bool
    may_remove: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An invitation as the page shows it."""

    invitation: TeamInvitation
    expired: bool
    may_change: bool


def _amount(unit: str, amount: int) -> str:
    return f"{amount:,} tokens" if unit == TOKENS else dollars(amount)


def _meter(limit: LimitState) -> Meter:
    taken, most = limit.used + limit.held, limit.limit or 0
    share = min(1.0, taken / most) if most else 1.0
    level = "out" if share >= 1 else "low" if share >= 0.8 else "some"
    whose = scope_text(limit.scope, team=True)
    amounts = f"{taken:,} of {most:,} tokens" if limit.unit == TOKENS else f"{dollars(taken)} of {dollars(most)}"
    return Meter(f"{amounts} of {whose}", share, level)


def _me(request: HttpRequest) -> User:
    assert request.user.is_authenticated
    return request.user


def _mine(request: HttpRequest, least: str = TeamRole.MEMBER) -> Membership:
    """The place of who asks. Refusal ``not_found`` when they are in no team, ``permission_denied``."""
    place = Membership.objects.select_related("team", "user").filter(user=_me(request)).first()
    if place is None:
        raise Refusal("not_found")
    return team_places.place_in(place.user_id, place.team_id, least)


def _page(request: HttpRequest, name: str, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, f"settings/{name}.html", {"section": "team"} | context, status=status)


def _status(form: TeamForm) -> int:
    return 400 if form.errors else 200


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def team(request: HttpRequest) -> HttpResponse:
    """The team; for who is in none, a form to make one."""
    place = Membership.objects.select_related("team", "user").filter(user=_me(request)).first()
    if place is not None:
        return _the_team(request, place)
    form = NameForm(request.POST or None)
    status = _status(form)
    if request.method == "POST" and form.is_valid():
        try:
            made = teams.create_team(_me(request), form.cleaned_data["name"])
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, f"{made.name} is there, and you own it.")
            return redirect("settings_team")
    return _page(request, "team_none", status, form=form)


def _the_team(request: HttpRequest, mine: Membership) -> HttpResponse:
    at = now()
    used = team_usage.by_member(mine.team_id, at)
    steward = mine.role != TeamRole.MEMBER
    taken = teams.seats_taken(mine.team_id)
    standing = team_standing.standing(mine.team_id, at)
    limits = list(reading.standing(mine.user_id, at).limits) if standing else []
    asked = [
        Asked(each, each.expires_at <= at, team_places.rank(mine.role) > team_places.rank(each.role))
        for each in (team_invitations.of(mine.team_id) if steward else ())
    ]
    return _page(
        request,
        "team",
        mine=mine,
        team=mine.team,
        steward=steward,
        owns=mine.role == TeamRole.OWNER,
        taken=taken,
        full=taken >= mine.team.seats,
        standing=standing,
        meters=[_meter(limit) for limit in limits if limit.limit is not None and not limit.scope.startswith("key:")],
        members=[_shown(mine, each, used) for each in team_members.members(mine.team_id)],
        asked=asked,
    )


def _shown(mine: Membership, other: Membership, used: dict[UUID, Sums]) -> Shown:
    above = team_places.rank(mine.role) > team_places.rank(other.role)
    sees = mine.role != TeamRole.MEMBER or mine.pk == other.pk
    sums = used.get(other.user_id, Sums())
    caps = [_amount(TOKENS, other.cap_tokens)] if other.cap_tokens is not None else []
    caps += [dollars(other.cap_nano_usd)] if other.cap_nano_usd is not None else []
    return Shown(
        place=other,
        name=other.user.name or other.user.email,
        used=f"{sums.tokens:,} tokens, {dollars(sums.nano_usd)}" if sees else "",
        caps=(" and ".join(caps) or "none") if sees else "",
        may_change=mine.role != TeamRole.MEMBER and (above or (mine.pk == other.pk and mine.role == TeamRole.OWNER)),
        may_remove=above and mine.role != TeamRole.MEMBER,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def rename(request: HttpRequest) -> HttpResponse:
    """Another name."""
    mine = _mine(request, TeamRole.ADMIN)
    form = NameForm(request.POST or None, initial={"name": mine.team.name})
    status = _status(form)
    if request.method == "POST" and form.is_valid():
        try:
            teams.rename(mine.user, mine.team_id, form.cleaned_data["name"])
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, "The name is saved.")
            return redirect("settings_team")
    return _page(request, "team_form", status, form=form, title=f"Rename {mine.team.name}", verb="Save")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def invite(request: HttpRequest) -> HttpResponse:
    """Ask somebody by mail."""
    mine = _mine(request, TeamRole.ADMIN)
    form = InviteForm(request.POST or None, mine=mine)
    status = _status(form)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = team_invitations.invite(mine, given["email"], given.get("role", TeamRole.MEMBER))
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, f"{made.email} gets a mail with a link.")
            return redirect("settings_team")
    hint = "The link in the mail is good for seven days and for that address. Until then it holds a seat."
    return _page(
        request, "team_form", status, form=form, title="Invite somebody", verb="Send the invitation", hint=hint
    )


@require_POST
@never_cache
@login_required
def resend(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """The mail again."""
    mine = _mine(request, TeamRole.ADMIN)
    try:
        made = team_invitations.resend(mine, invitation_id)
        messages.success(request, f"{made.email} gets another mail; the link before it has ended.")
    except Refusal as refusal:
        if refusal.status not in (409, 429):
            raise
        messages.error(request, refusal.text)
    return redirect("settings_team")


@require_POST
@never_cache
@login_required
def revoke(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """End an invitation."""
    team_invitations.revoke(_mine(request, TeamRole.ADMIN), invitation_id)
    messages.success(request, "The invitation has ended.")
    return redirect("settings_team")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def member(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Role and caps of a member."""
    mine = _mine(request, TeamRole.ADMIN)
    place = team_members.find(mine.team_id, user_id)
    form = MemberForm(request.POST or None, mine=mine, place=place)
    status = _status(form)
    if request.method == "POST" and form.is_valid():
        try:
            team_members.change(mine, user_id, role=form.cleaned_data.get("role"), caps=form.caps())
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, f"{place.user.name or place.user.email} is saved.")
            return redirect("settings_team")
    hint = "What one member may use of the team’s quota in a period. An empty field is no cap."
    title = f"Change {place.user.name or place.user.email}"
    return _page(request, "team_form", status, form=form, title=title, verb="Save", hint=hint)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def remove(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Ask once more, then take a member out, or leave."""
    mine = _mine(request)
    leaves = user_id == mine.user_id
    if not leaves:
        mine = _mine(request, TeamRole.ADMIN)
    place = team_members.find(mine.team_id, user_id)
    if request.method != "POST":
        return _page(request, "team_remove", mine=mine, place=place, leaves=leaves)
    try:
        team_members.remove(mine, user_id)
    except Refusal as refusal:
        if refusal.status != 409:
            raise
        return _page(request, "team_remove", 409, mine=mine, place=place, leaves=leaves, fault=refusal.text)
    messages.success(request, f"You have left {mine.team.name}." if leaves else f"{place.user} is out of the team.")
    return redirect("settings_team")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def transfer(request: HttpRequest) -> HttpResponse:
    """Hand the team over."""
    mine = _mine(request, TeamRole.OWNER)
    others = [each for each in team_members.members(mine.team_id) if each.pk != mine.pk]
    form = HeirForm(request.POST or None, others=others)
    status = _status(form)
    if request.method == "POST" and form.is_valid():
        try:
            teams.transfer(mine.user, mine.team_id, form.chosen())
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, "The team has another owner, and you are an admin.")
            return redirect("settings_team")
    hint = "The new owner decides about plan, seats and roles. You become an admin and may leave. "
    hint += "A plan that you pay for stays charged to you until they take the payment over, or you stop it."
    if not others:
        hint = "There is nobody else in the team yet."
    return _page(
        request, "team_form", status, form=form if others else None, title=f"Hand {mine.team.name} over",
        verb="Hand it over", hint=hint,
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def delete(request: HttpRequest) -> HttpResponse:
    """Ask once more, then delete the team."""
    mine = _mine(request, TeamRole.OWNER)
    if request.method != "POST":
        return _page(request, "team_delete", team=mine.team)
    try:
        teams.delete_team(mine.user, mine.team_id)
    except Refusal as refusal:
        if refusal.status != 409:
            raise
        return _page(request, "team_delete", 409, team=mine.team, fault=refusal.text)
    messages.success(request, f"{mine.team.name} is deleted.")
    return redirect("settings_team")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def join(request: HttpRequest, token: str) -> HttpResponse:
    """An invitation, and the button that accepts it."""
    user = _me(request)
    invitation = None
    try:
        invitation = team_invitations.look(user, token)
        if request.method == "POST":
            place = team_invitations.accept(user, token)
            messages.success(request, f"You are in {place.team.name}.")
            return redirect("settings_team")
        fault, status = "", 200
    except Refusal as refusal:
        fault, status = refusal.text, refusal.status
    return _page(request, "team_join", status, invitation=invitation, fault=fault)


urlpatterns = [
    path("settings/team", team, name="settings_team"),
    path("settings/team/name", rename, name="settings_team_name"),
    path("settings/team/invite", invite, name="settings_team_invite"),
    path("settings/team/invitations/<uuid:invitation_id>/resend", resend, name="settings_team_resend"),
    path("settings/team/invitations/<uuid:invitation_id>/revoke", revoke, name="settings_team_revoke"),
    path("settings/team/members/<uuid:user_id>", member, name="settings_team_member"),
    path("settings/team/members/<uuid:user_id>/remove", remove, name="settings_team_remove"),
    path("settings/team/transfer", transfer, name="settings_team_transfer"),
    path("settings/team/delete", delete, name="settings_team_delete"),
    path("settings/team/join/<str:token>", join, name="settings_team_join"),
]
