"""What others told us, kept before it is believed."""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class WebhookState(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    IGNORED = "ignored"
    DEAD = "dead"


class WebhookEvent(models.Model):
    """An event whose signature was right, stored once. Written by ``billing.inbox`` and ``billing.handling``.

    ``body`` is the text as it came, emptied after 90 days. A worker holds it until ``lease_until``; it is tried again
    at ``due_at`` until it is done, needs nothing (``ignored``) or has failed too often (``dead``; staff replay it).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.CharField(max_length=20, default="razorpay")
    event_id = models.CharField(max_length=80)
    event_type = models.CharField(max_length=80, blank=True)
    account_id = models.CharField(max_length=40, blank=True)
    body = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=WebhookState.choices, default=WebhookState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=now)
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.CharField(max_length=80, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    received_at = models.DateTimeField(default=now)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "webhook_events"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="waiting"), name="webhook_events_due"),
            models.Index(fields=["received_at"], name="webhook_events_newest"),
        ]
        constraints = [models.UniqueConstraint(fields=["source", "event_id"], name="webhook_events_once")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"
