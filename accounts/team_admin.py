"""Teams on the staff desk: who is in them and who was asked; how many seats they have is changed with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import teams
from accounts.models import Membership, Team, TeamInvitation
from oneai.kit.errors import Refusal
from oneai.kit.read_only_admin import ReadOnly, Rows

if TYPE_CHECKING:
    Form = forms.ModelForm[Team]
else:
    Form = forms.ModelForm


class SeatsForm(Form):
    """A team's seats, changed with a reason."""

    reason = forms.CharField(max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = Team
        fields = ["seats"]


class _Members(Rows):
    model = Membership
    verbose_name_plural = "members"
    fields = ["user", "role", "cap_tokens", "cap_nano_usd", "joined_at"]
    readonly_fields = ["joined_at"]


class _Invitations(Rows):
    model = TeamInvitation
    verbose_name_plural = "invitations"
    fields = ["email", "role", "state", "sent_at", "expires_at"]


@admin.register(Team)
class TeamAdmin(ReadOnly):
    """A team. Its plan and quota are those of its account, which is named by its address in every command."""

    form = SeatsForm
    list_display = ["name", "owner", "seats", "taken", "state", "created_at"]
    list_filter = ["state"]
    search_fields = ["name", "=id", "memberships__user__email"]
    ordering = ["-created_at"]
    fields = ["id", "name", "owner", "account", "state", "taken", "created_at", "deleted_at", "seats", "reason"]
    readonly_fields = ["id", "name", "owner", "account", "state", "taken", "created_at", "deleted_at"]
    inlines = [_Members, _Invitations]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super(ReadOnly, self).has_change_permission(request, obj) and (
            obj is None or obj.state == Team.State.ACTIVE
        )

    @admin.display(description="owner")
    def owner(self, row: Team) -> str:
        try:
            return teams.owner_of(row.pk).email
        except Refusal:
            return "-"

    @admin.display(description="account")
    def account(self, row: Team) -> str | SafeString:
        return format_html("<code>{}</code>", teams.address_of(row.pk))

    @admin.display(description="seats taken")
    def taken(self, row: Team) -> int:
        return teams.seats_taken(row.pk)

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        staff: Any = request.user
        given = form.cleaned_data
        try:
            teams.set_seats(obj.pk, given["seats"], actor=staff, reason=given["reason"])
        except Refusal as refusal:
            self.message_user(request, f"Nothing was changed: {refusal.text}", messages.ERROR)
