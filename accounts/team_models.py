"""Teams: people who use one quota together, and who is asked to join them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from accounts.team_ids import new_team_id
from oneai.kit.clock import now, uuid7


class TeamRole(models.TextChoices):
    """What somebody may do in a team. Each team has one owner."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Team(models.Model):
    """People who use one quota. ``seats`` is how many of them were bought; members and open invitations take one each.

    The id is also that of the account whose quota the team has: a row of users that nobody signs in to. A team that
    was deleted stays, for the names in the history of what was used.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=new_team_id, editable=False)
    name = models.CharField(max_length=100)
    seats = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "teams"
        indexes = [models.Index(fields=["-created_at"], name="teams_by_age")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """Somebody's place in a team; nobody is in two. Caps are of a period of the team's quota; null: no cap."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships", db_index=False)
    user = models.OneToOneField("accounts.User", on_delete=models.CASCADE, related_name="membership")
    role = models.CharField(max_length=6, choices=TeamRole.choices, default=TeamRole.MEMBER)
    cap_tokens = models.BigIntegerField(null=True, blank=True)
    cap_nano_usd = models.BigIntegerField(null=True, blank=True)
    joined_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "memberships"
        constraints = [
            models.UniqueConstraint(fields=["team"], condition=models.Q(role="owner"), name="memberships_one_owner"),
            models.CheckConstraint(condition=models.Q(role__in=TeamRole.values), name="memberships_role_known"),
        ]
        indexes = [models.Index(fields=["team", "joined_at"], name="memberships_of_team")]

    def __str__(self) -> str:
        return f"{self.role} {self.user_id}"


class TeamInvitation(models.Model):
    """Somebody asked to join, by mail. Only a keyed hash of the link's token is stored.

    While it is open and has not ended it takes a seat. It ends by comparing times, never by a job.
    """

    class State(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations", db_index=False)
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=6, choices=TeamRole.choices, default=TeamRole.MEMBER)
    digest = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    invited_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(default=now)
    created_at = models.DateTimeField(default=now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "team_invitations"
        constraints = [
            models.UniqueConstraint(
                "team", Lower("email"), condition=models.Q(state="open"), name="team_invitations_one_open"
            ),
            models.CheckConstraint(condition=models.Q(role__in=["admin", "member"]), name="team_invitations_role"),
        ]
        indexes = [models.Index(fields=["team", "created_at"], name="team_invitations_of_team")]

    def __str__(self) -> str:
        return f"{self.email} ({self.state})"
