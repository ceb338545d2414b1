"""People, keys, the audit and the mail on the staff desk. A role is given by command only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import apikeys, audit, standing
from accounts.models import ApiKey, AuditEntry, OutgoingMail, User
from oneai.kit.read_only_admin import ReadOnly

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # Django's own takes no parameter at run time
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(User)
class UserAdmin(ModelAdmin):
    """A person: name, locale and whether they are active can be changed here, nothing that gives rights."""

    list_display = ["email", "name", "role", "current_subscription", "is_active", "created_at"]
    list_filter = ["role", "current_subscription", "is_active"]
    search_fields = ["email", "name", "id", "google_id"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "email",
        "name",
        "role",
        "is_active",
        "current_subscription",
        "subscription_status",
        "google_id",
        "locale",
        "timezone",
        "last_login",
        "created_at",
        "updated_at",
    ]
    readonly_fields = [
        "id",
        "email",
        "role",
        "current_subscription",
        "subscription_status",
        "google_id",
        "last_login",
        "created_at",
        "updated_at",
    ]
    actions = ["end_sign_ins"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        changed = list(form.changed_data)
        obj.save(update_fields=[*changed, "updated_at"])
        if "is_active" in changed and not obj.is_active:
            standing.end_sign_ins(obj)
        staff: Any = request.user
        audit.record(
            staff.email,
            "user.changed",
            obj.pk,
            target=obj.email,
            reason="by the staff desk",
            details={"fields": changed, "is_active": obj.is_active},
            actor_id=staff.pk,
        )

    @admin.action(description="End all sessions and tokens", permissions=["change"])
    def end_sign_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        staff: Any = request.user
        for user in queryset:
            standing.end_sign_ins(user)
            audit.record(staff.email, "user.signed_out", user.pk, target=user.email, actor_id=staff.pk)
        self.message_user(request, f"Signed out: {len(queryset)}.", messages.SUCCESS)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys by their public prefix; the only thing to do is to revoke one."""

    list_display = ["prefix", "name", "user", "created_at", "last_used_at", "expires_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["prefix", "name", "user__email"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "prefix",
        "name",
        "user",
        "scopes",
        "allowed_models",
        "allowed_networks",
        "limit_tokens",
        "limit_nano_usd",
        "requests_per_minute",
        "tokens_per_minute",
        "previous_prefix",
        "previous_until",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who may end keys: the owner."""
        return bool(request.user.is_superuser)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        staff: Any = request.user
        keys = list(queryset.select_related("user").filter(revoked_at=None))
        ended = apikeys.revoke(keys)
        for key in keys:
            audit.record(staff.email, "api_key.revoked", key.user_id, target=key.prefix, actor_id=staff.pk)
        self.message_user(request, f"Revoked: {ended}.", messages.SUCCESS)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """What was done; it can't be changed by anybody."""

    list_display = ["at", "actor_label", "action", "target", "reason"]
    list_filter = ["action"]
    search_fields = ["actor_label", "action", "target", "reason", "subject_id", "actor_id", "request_id"]
    date_hierarchy = "at"
    show_full_result_count = False
    ordering = ["-at"]


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnly):
    """Mail on its way: to whom and how it went, never what it says."""

    list_display = ["created_at", "recipients", "subject", "state", "attempts", "due_at", "last_error"]
    list_filter = ["state"]
    search_fields = ["subject", "to"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "recipients",
        "subject",
        "state",
        "attempts",
        "created_at",
        "due_at",
        "lease_until",
        "sent_at",
        "last_error",
    ]

    @admin.display(description="to")
    def recipients(self, mail: OutgoingMail) -> str:
        return ", ".join(mail.to)


from accounts import team_admin  # noqa: E402, F401 (Django looks for the desk in this module)
