"""The tables of exports and of accounts that close. Django finds them by ``accounts.models``."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Closing(models.Model):
    """Somebody's wish to have their account deleted, and the record that it was done.

    It outlives the account and names nobody: ``user_id`` is that of the row which is left without a name.
    ``counts`` says how many rows of which kind went.
    """

    class State(models.TextChoices):
        ASKED = "asked"
        UNDONE = "undone"
        CLOSED = "closed"  # nobody signs in any more, and what runs comes to its end
        ERASED = "erased"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.UUIDField(db_index=True)
    state = models.CharField(max_length=6, choices=State.choices, default=State.ASKED)
    asked_at = models.DateTimeField(default=now, editable=False)
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)

    class Meta:
        db_table = "account_closings"
        constraints = [
            models.UniqueConstraint(
                fields=["user_id"], condition=models.Q(state__in=["asked", "closed"]), name="account_closings_one_open"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(state__in=["asked", "closed"]), name="account_closings_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.state}"


class Export(models.Model):
    """Everything somebody has here, as one file that is theirs for a while. Made by the worker under a lease."""

    class State(models.TextChoices):
        WAITING = "waiting"
        READY = "ready"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="exports", db_index=False)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    asked_at = models.DateTimeField(default=now, editable=False)
    ready_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    size = models.BigIntegerField(default=0)

    class Meta:
        db_table = "account_exports"
        indexes = [
            models.Index(fields=["user", "-asked_at"], name="account_exports_of_user"),
            models.Index(fields=["asked_at"], condition=models.Q(state="waiting"), name="account_exports_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"


class ExportPart(models.Model):
    """A piece of an export's file, in order. In the database, where every web process finds it."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "account_export_parts"
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="account_export_parts_in_order")]

    def __str__(self) -> str:
        return f"{self.export_id}: {self.number}"
