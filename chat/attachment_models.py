"""Files that people attach to messages, and which message holds which."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Attachment(models.Model):
    """A file of one person, as it is stored. Written by ``chat.attachments``.

    ``kind`` and ``content_type`` are what its content says. A picture was made anew, ``width`` by ``height`` pixels;
    of a PDF and of a text file ``text`` is what models read, cut where ``is_cut``. ``size`` is in bytes, as stored.
    ``keep_until``: nobody needs it after that, null while a message does. ``gone_at``: it is being removed.
    """

    class Kind(models.TextChoices):
        IMAGE = "image"
        PDF = "pdf"
        TEXT = "text"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, related_name="attachments")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=5, choices=Kind.choices)
    content_type = models.CharField(max_length=40)
    size = models.BigIntegerField()
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    pages = models.PositiveIntegerField(null=True, blank=True)
    text = models.TextField(blank=True)
    text_bytes = models.PositiveIntegerField(default=0)
    is_cut = models.BooleanField(default=False)
    keep_until = models.DateTimeField(null=True, blank=True)
    stored_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "attachments"
        indexes = [
            models.Index(fields=["user", "created_at"], name="attachments_of_user"),
            models.Index(fields=["keep_until"], name="attachments_to_remove"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class MessageAttachment(models.Model):
    """That a message holds a file, in which place among its files."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    message = models.ForeignKey("chat.Message", on_delete=models.CASCADE, related_name="held")
    attachment = models.ForeignKey(Attachment, on_delete=models.CASCADE, related_name="holders")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "message_attachments"
        constraints = [models.UniqueConstraint(fields=["message", "attachment"], name="message_attachments_once")]

    def __str__(self) -> str:
        return f"{self.attachment_id} in {self.message_id}"
