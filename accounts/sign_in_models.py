"""The table of sign-ins. Django finds it by ``accounts.models``."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class SignIn(models.Model):
    """A place where somebody is signed in: a browser with its session, or a program with its refresh token.

    It is good as long as its row is there. ``generation`` counts a program's refresh tokens, of which the
    last one is good; ``session_key`` is the browser's, and None for a program.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="sign_ins", db_index=False)
    session_key = models.CharField(max_length=40, unique=True, null=True, blank=True)
    generation = models.PositiveIntegerField(default=0)
    user_agent = models.CharField(max_length=300, blank=True)
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    last_seen_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "sign_ins"
        indexes = [
            models.Index(fields=["user", "-last_seen_at"], name="sign_ins_of_user"),
            models.Index(fields=["expires_at"], name="sign_ins_by_end"),
        ]

    def __str__(self) -> str:
        return f"{'program' if self.session_key is None else 'browser'} {self.pk}"
