"""The webhook inbox on the staff desk: every event, its body for who may see it, a way to have one handled again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.permissions import may
from billing import inbox
from billing.handling import REPLAYED
from billing.models import WebhookEvent

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[WebhookEvent]
else:
    ModelAdmin = admin.ModelAdmin


def _sees_bodies(request: HttpRequest) -> bool:
    """Addresses, telephone numbers and how people pay are in them: owners and finance alone see those."""
    return may(getattr(request.user, "role", ""), "webhooks.read")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ModelAdmin):
    """Rows that nobody edits; ``dead`` are those put aside."""

    list_display = ["received_at", "event_type", "event_id", "state", "attempts", "due_at", "last_error"]
    list_filter = ["state", "event_type"]
    search_fields = ["event_id", "event_type", "account_id"]
    ordering = ["-received_at"]
    show_full_result_count = False
    actions = ["replay"]
    fields = [
        "id",
        "source",
        "event_id",
        "event_type",
        "account_id",
        "state",
        "attempts",
        "received_at",
        "due_at",
        "lease_until",
        "handled_at",
        "last_error",
    ]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*self.fields, *(["body"] if _sees_bodies(request) else [])]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Whoever may not read bodies must not find out by searching them what is in them."""
        return [*self.search_fields, *(["body"] if _sees_bodies(request) else [])]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Who may have an event handled again: see ``accounts.permissions``."""
        return may(getattr(request.user, "role", ""), "webhooks.replay")

    @admin.action(description="Handle again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        staff: Any = request.user
        with transaction.atomic():
            again = inbox.replay(list(queryset.values_list("pk", flat=True)))
            for event in again:
                audit.record(
                    staff.email,
                    REPLAYED,
                    target=str(event.pk),
                    details={"event_id": event.event_id, "event_type": event.event_type, "was": event.state},
                    actor_id=staff.pk,
                )
        left = len(queryset) - len(again)
        self.message_user(request, f"Handled again: {len(again)}.", messages.SUCCESS)
        if left:
            self.message_user(request, f"Left alone, at work or without a body: {left}.", messages.WARNING)
