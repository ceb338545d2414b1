"""How teams look on the wire, and what may be written to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import team_members, teams
from accounts.models import Membership, Team, TeamInvitation, TeamRole
from oneai.kit.clock import utc_text
from oneai.kit.fields import Body, Text, WholeNumber
from quotas.api.key_shapes import UNLIMITED
from quotas.api.serializers import LimitSerializer, PeriodSerializer
from quotas.api.usage_shapes import SumsShape
from quotas.reading import Standing
from quotas.usage import Sums

_CAP: Final = {
    "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": [UNLIMITED]}],
    "nullable": True,
}
GIVEN: Final = [choice for choice in TeamRole.choices if choice[0] != TeamRole.OWNER]


@extend_schema_field(_CAP)
class Cap(WholeNumber):
    """A whole number from 0 on, or the word for none."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == UNLIMITED else super().run_validation(data)


class TeamBody(Body):
    """A team's name."""

    name = Text(max_length=1000, help_text=f"1 to {teams.LONGEST_NAME} characters.")


class MemberChange(Body):
    """What is to change about a member."""

    role = serializers.ChoiceField(choices=GIVEN)
    cap_tokens = Cap(help_text="What they may use of the team's tokens in a period.")
    cap_nano_usd = Cap(help_text="What they may cost in a period, in 10⁻⁹ dollars.")


class NewInvitation(Body):
    """Whom to ask into the team."""

    email = Text(max_length=1000)
    role = serializers.ChoiceField(choices=GIVEN, required=False, default=TeamRole.MEMBER.value)


class Heir(Body):
    """Who is to own the team."""

    user_id = serializers.UUIDField(help_text="A member's.")


class Joining(Body):
    """The token in the link of an invitation."""

    token = Text(max_length=200)


class TeamShape(serializers.Serializer[Any]):
    """A team, as one of its people sees it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=TeamRole.choices, help_text="That of who asks.")
    owner_id = serializers.UUIDField()
    seats = serializers.IntegerField(help_text="How many were bought.")
    seats_taken = serializers.IntegerField(help_text="By members, and by invitations that are open.")
    plan = serializers.CharField(allow_null=True, help_text="null: none, and members use their own.")
    period = PeriodSerializer(allow_null=True)
    limits = LimitSerializer(many=True, help_text="What all members use together.")
    created_at = serializers.DateTimeField()


class MemberQuotaShape(serializers.Serializer[Any]):
    """What a member may use of the team's quota, and has used of it, in the running period."""

    cap_tokens = serializers.IntegerField(allow_null=True, help_text="null: no cap.")
    cap_nano_usd = serializers.IntegerField(allow_null=True, help_text="null: no cap.")
    used_tokens = serializers.IntegerField()
    used_nano_usd = serializers.IntegerField()


class MemberShape(serializers.Serializer[Any]):
    """Somebody's place in a team."""

    user_id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=TeamRole.choices)
    joined_at = serializers.DateTimeField()
    quota = MemberQuotaShape(allow_null=True, help_text="One's own; that of others for the owner and admins alone.")


class InvitationShape(serializers.Serializer[Any]):
    """Somebody who was asked to join."""

    id = serializers.UUIDField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=GIVEN)
    state = serializers.ChoiceField(choices=["open", "expired"])
    sent_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class TeamUsageShape(serializers.Serializer[Any]):
    """What a team used, added up."""

    group = serializers.ChoiceField(choices=["member", "model", "day"])
    to = serializers.DateField()
    period = PeriodSerializer(allow_null=True, help_text="null when a range was asked for.")
    totals = SumsShape()
    results = serializers.ListField(child=serializers.DictField(), help_text="Each member, model or day.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {"from": serializers.DateField()}  # a keyword can't be a class attribute


def team_json(place: Membership, owner_id: object, standing: Standing | None) -> dict[str, Any]:
    """A team as an answer to the one whose ``place`` it is; ``standing`` None: it has no plan."""
    team: Team = place.team
    return {
        "id": str(team.pk),
        "name": team.name,
        "role": place.role,
        "owner_id": str(owner_id),
        "seats": team.seats,
        "seats_taken": teams.seats_taken(team.pk),
        "plan": standing.terms.plan if standing else None,
        "period": {"start": utc_text(standing.period_start), "end": utc_text(standing.period_end)}
        if standing
        else None,
        "limits": [limit.as_json() for limit in standing.limits] if standing else [],
        "created_at": utc_text(team.created_at),
    }


def member_json(place: Membership, used: Sums | None) -> dict[str, Any]:
    """A member as an answer; ``used`` None: what they may use is not for who asks."""
    quota = None
    if used is not None:
        quota = {name: getattr(place, name) for name in team_members.CAPS}
        quota |= {"used_tokens": used.tokens, "used_nano_usd": used.nano_usd}
    return {
        "user_id": str(place.user_id),
        "name": place.user.name,
        "email": place.user.email,
        "role": place.role,
        "joined_at": utc_text(place.joined_at),
        "quota": quota,
    }


def invitation_json(invitation: TeamInvitation, at: datetime) -> dict[str, Any]:
    """An invitation as an answer, without its token."""
    return {
        "id": str(invitation.pk),
        "email": invitation.email,
        "role": invitation.role,
        "state": "open" if invitation.expires_at > at else "expired",
        "sent_at": utc_text(invitation.sent_at),
        "expires_at": utc_text(invitation.expires_at),
    }
