"""Teams over HTTP, for the people in them. Rows are the accounts'; what was used of the quota is told here.

Whoever is not in a team meets the answer of an unknown id, whatever they ask of it.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import team_invitations, team_members, team_places, teams
from accounts.api.doors import PersonView, person, principal
from accounts.models import Membership, TeamRole
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.fields import read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages
from quotas import team_standing, team_usage
from quotas.api import team_shapes as shapes
from quotas.usage import Sums


def place(request: Request, team_id: str, least: str = TeamRole.MEMBER) -> Membership:
    """The place of who asks, with the role that it needs."""
    return team_places.place_in(principal(request).user_id, team_id, least)


def _team(mine: Membership, status: int = 200) -> Response:
    owner_id = teams.owner_of(mine.team_id).pk
    return Response(shapes.team_json(mine, owner_id, team_standing.standing(mine.team_id)), status=status)


def _member(mine: Membership, other: Membership) -> dict[str, Any]:
    sees = mine.pk == other.pk or mine.role != TeamRole.MEMBER
    used = team_usage.by_member(other.team_id, now()).get(other.user_id, Sums()) if sees else None
    return shapes.member_json(other, used)


class TeamList(PersonView):
    """The teams of a person: one, or none."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="teams_list", tags=["teams"], parameters=PAGE_PARAMETERS, responses=shapes.TeamShape(many=True)
    )
    def get(self, request: Request) -> Response:
        """The team that one is in, as a list. Closed to keys."""
        found = Membership.objects.select_related("team", "user").filter(user_id=principal(request).user_id)
        pages = Pages(("joined_at", "id"))
        page: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response([_team(mine).data for mine in page])

    @extend_schema(
        operation_id="teams_create", tags=["teams"], request=shapes.TeamBody, responses={201: shapes.TeamShape}
    )
    def post(self, request: Request) -> Response:
        """Make a team and own it. It begins with one seat, its owner's, and without a plan."""
        values = read_body(shapes.TeamBody, request)
        if "name" not in values:
            raise Refusal("missing_required_parameter", "A team needs a name.", param="name")
        team = teams.create_team(person(request), values["name"])
        return _team(place(request, str(team.pk)), 201)


class TeamDetail(PersonView):
    """One team."""

    @extend_schema(operation_id="teams_read", tags=["teams"], responses=shapes.TeamShape)
    def get(self, request: Request, team_id: str) -> Response:
        """The team, its seats and what is left of its quota."""
        return _team(place(request, team_id))

    @extend_schema(operation_id="teams_change", tags=["teams"], request=shapes.TeamBody, responses=shapes.TeamShape)
    def patch(self, request: Request, team_id: str) -> Response:
        """Give it another name. Its owner and admins may."""
        mine = place(request, team_id, TeamRole.ADMIN)
        values = read_body(shapes.TeamBody, request)
        if "name" in values:
            mine.team = teams.rename(mine.user, mine.team_id, values["name"])
        return _team(mine)

    @extend_schema(operation_id="teams_delete", tags=["teams"], responses={204: None})
    def delete(self, request: Request, team_id: str) -> Response:
        """Delete it: its members go back to their own plans. Its owner may, while there is no subscription."""
        mine = place(request, team_id, TeamRole.OWNER)
        teams.delete_team(mine.user, mine.team_id)
        return Response(status=204)


class TeamTransfer(PersonView):
    """Who owns a team."""

    @extend_schema(operation_id="teams_transfer", tags=["teams"], request=shapes.Heir, responses=shapes.TeamShape)
    def post(self, request: Request, team_id: str) -> Response:
        """Make another member the owner, and oneself an admin. Its owner may."""
        mine = place(request, team_id, TeamRole.OWNER)
        values = read_body(shapes.Heir, request)
        if "user_id" not in values:
            raise Refusal("missing_required_parameter", "Name a member.", param="user_id")
        teams.transfer(mine.user, mine.team_id, values["user_id"])
        return _team(place(request, team_id))


class TeamJoin(PersonView):
    """The way in."""

    @extend_schema(operation_id="teams_join", tags=["teams"], request=shapes.Joining, responses=shapes.TeamShape)
    def post(self, request: Request) -> Response:
        """Accept an invitation: for whoever has verified the address that it was sent to."""
        values = read_body(shapes.Joining, request)
        if "token" not in values:
            raise Refusal("missing_required_parameter", "An invitation has a token.", param="token")
        joined = team_invitations.accept(person(request), values["token"])
        return _team(place(request, str(joined.team_id)))


class MemberList(PersonView):
    """Who is in a team."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="team_members_list",
        tags=["teams"],
        parameters=PAGE_PARAMETERS,
        responses=shapes.MemberShape(many=True),
    )
    def get(self, request: Request, team_id: str) -> Response:
        """The members, the eldest first. What others may use and have used is for the owner and admins."""
        mine = place(request, team_id)
        pages = Pages(("joined_at", "id"))
        page: Any = pages.paginate_queryset(team_members.members(mine.team_id), request, self)
        used = team_usage.by_member(mine.team_id, now())
        seen = [
            used.get(each.user_id, Sums()) if mine.role != TeamRole.MEMBER or each.pk == mine.pk else None
            for each in page
        ]
        found = [shapes.member_json(each, sums) for each, sums in zip(page, seen, strict=True)]
        return pages.get_paginated_response(found)


class MemberDetail(PersonView):
    """One member."""

    @extend_schema(operation_id="team_members_read", tags=["teams"], responses=shapes.MemberShape)
    def get(self, request: Request, team_id: str, user_id: str) -> Response:
        """A member."""
        mine = place(request, team_id)
        return Response(_member(mine, team_members.find(mine.team_id, user_id)))

    @extend_schema(
        operation_id="team_members_change",
        tags=["teams"],
        request=shapes.MemberChange,
        responses=shapes.MemberShape,
    )
    def patch(self, request: Request, team_id: str, user_id: str) -> Response:
        """Change role or caps, from the next call on; `unlimited` lifts a cap. The owner gives roles."""
        mine = place(request, team_id, TeamRole.ADMIN)
        team_members.find(mine.team_id, user_id)
        values = read_body(shapes.MemberChange, request)
        role = values.pop("role", None)
        return Response(_member(mine, team_members.change(mine, user_id, role=role, caps=values)))

    @extend_schema(operation_id="team_members_remove", tags=["teams"], responses={204: None})
    def delete(self, request: Request, team_id: str, user_id: str) -> Response:
        """Take a member out, or leave: the seat is free at once, and the team pays no further call of theirs."""
        team_members.remove(place(request, team_id), user_id)
        return Response(status=204)


class InvitationList(PersonView):
    """Who was asked to join."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="team_invitations_list",
        tags=["teams"],
        parameters=PAGE_PARAMETERS,
        responses=shapes.InvitationShape(many=True),
    )
    def get(self, request: Request, team_id: str) -> Response:
        """The invitations that wait or have expired, the newest first. The owner and admins see them."""
        mine = place(request, team_id, TeamRole.ADMIN)
        pages, at = Pages(("-created_at", "-id")), now()
        page: Any = pages.paginate_queryset(team_invitations.of(mine.team_id), request, self)
        return pages.get_paginated_response([shapes.invitation_json(each, at) for each in page])

    @extend_schema(
        operation_id="team_invitations_create",
        tags=["teams"],
        request=shapes.NewInvitation,
        responses={201: shapes.InvitationShape},
    )
    def post(self, request: Request, team_id: str) -> Response:
        """Ask somebody by mail. The link is good for seven days, for that address, and holds a seat meanwhile."""
        mine = place(request, team_id, TeamRole.ADMIN)
        values = read_body(shapes.NewInvitation, request)
        if "email" not in values:
            raise Refusal("missing_required_parameter", "An invitation has an address.", param="email")
        made = team_invitations.invite(mine, values["email"], values.get("role", TeamRole.MEMBER))
        return Response(shapes.invitation_json(made, now()), status=201)


class InvitationDetail(PersonView):
    """One invitation."""

    @extend_schema(operation_id="team_invitations_revoke", tags=["teams"], responses={204: None})
    def delete(self, request: Request, team_id: str, invitation_id: str) -> Response:
        """Revoke it: its link ends, its seat is free."""
        team_invitations.revoke(place(request, team_id, TeamRole.ADMIN), invitation_id)
        return Response(status=204)


class InvitationResend(PersonView):
    """An invitation's mail."""

    @extend_schema(
        operation_id="team_invitations_resend", tags=["teams"], request=None, responses=shapes.InvitationShape
    )
    def post(self, request: Request, team_id: str, invitation_id: str) -> Response:
        """Send it again with another link, good for seven days; the one before ends."""
        made = team_invitations.resend(place(request, team_id, TeamRole.ADMIN), invitation_id)
        return Response(shapes.invitation_json(made, now()))
