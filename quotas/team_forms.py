"""The forms of a team."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django import forms

from accounts import team_members, teams
from accounts.models import Membership, TeamRole
from oneai.kit.errors import Refusal
from oneai.kit.money import LARGEST_USD, nano_from_usd, usd_string

_ROLES: Final = ((TeamRole.MEMBER.value, "Member"), (TeamRole.ADMIN.value, "Admin"))
_FIELD_OF: Final = {"cap_nano_usd": "cap_usd"}


class TeamForm(forms.Form):
    """What all of them share: a refusal is shown at the field that it is about."""

    use_required_attribute = False

    def refused(self, refusal: Refusal) -> int:
        """Show a refusal; returns its status."""
        name = _FIELD_OF.get(refusal.param or "", refusal.param or "")
        self.add_error(name if name in self.fields else None, refusal.text)
        return refusal.status


class NameForm(TeamForm):
    """A team's name."""

    name = forms.CharField(label="Name", max_length=teams.LONGEST_NAME, help_text="What its people call it.")


class InviteForm(TeamForm):
    """Whom to ask."""

    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(
        label="As", choices=_ROLES, initial=TeamRole.MEMBER.value, help_text="Admins invite people and set caps."
    )

    def __init__(self, *args: Any, mine: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if mine.role != TeamRole.OWNER:
            del self.fields["role"]


class MemberForm(TeamForm):
    """A member's role and caps; an empty field is no cap."""

    role = forms.ChoiceField(label="Role", choices=_ROLES, help_text="Admins invite people and set caps.")
    cap_tokens = forms.IntegerField(
        label="Tokens in a period", required=False, min_value=0, max_value=team_members.CAPS["cap_tokens"]
    )
    cap_usd = forms.DecimalField(
        label="Dollars in a period",
        required=False,
        min_value=Decimal(0),
        max_value=LARGEST_USD,
        decimal_places=9,
    )

    def __init__(self, *args: Any, mine: Membership, place: Membership, **kwargs: Any) -> None:
        initial = {
            "role": place.role,
            "cap_tokens": place.cap_tokens,
            "cap_usd": None if place.cap_nano_usd is None else usd_string(place.cap_nano_usd),
        }
        super().__init__(*args, **kwargs | {"initial": initial})
        if mine.role != TeamRole.OWNER or place.role == TeamRole.OWNER:
            del self.fields["role"]

    def caps(self) -> dict[str, int | None]:
        """The caps that were filled in."""
        usd = self.cleaned_data["cap_usd"]
        return {
            "cap_tokens": self.cleaned_data["cap_tokens"],
            "cap_nano_usd": None if usd is None else nano_from_usd(usd),
        }


class HeirForm(TeamForm):
    """Who is to own the team."""

    heir = forms.ChoiceField(label="New owner")

    def __init__(self, *args: Any, others: list[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(each.user_id), each.user.name or each.user.email) for each in others]
        self.fields["heir"] = forms.ChoiceField(label="New owner", choices=choices)

    def chosen(self) -> UUID:
        """The person."""
        return UUID(self.cleaned_data["heir"])
