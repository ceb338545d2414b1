"""Which mails about money have been written."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Notice(models.Model):
    """That a mail about money was put into the outbox. Written by ``billing.emails``.

    ``key`` names its cause, as ``receipt:<payment>``: however often the cause is met, it is told once. The row stays
    when the mail itself has been cleared away.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=40)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "billing_notices"
        verbose_name = "mail about money"
        verbose_name_plural = "mails about money"
        indexes = [models.Index(fields=["user", "created_at"], name="billing_notices_of_user")]

    def __str__(self) -> str:
        return self.key
