"""People, their keys, the mail we owe them and what was done in their name."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac

from oneai.kit.clock import now, uuid7


class Role(models.TextChoices):
    """What a person may do beside chatting. Given by command only, never by a form."""

    USER = "user"
    SUPPORT = "support"
    FINANCE = "finance"
    OWNER = "owner"


class UserManager(BaseUserManager["User"]):
    """Makes people; addresses are kept in lower case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person. ``current_subscription`` and ``subscription_status`` are a cache of billing's truth."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True)
    picture_url = models.URLField(max_length=500, blank=True)
    current_subscription = models.CharField(max_length=40, default="free")
    subscription_status = models.CharField(max_length=40, default="active")
    google_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    supabase_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.USER)
    is_active = models.BooleanField(default=True)
    preferences = models.JSONField(default=dict, blank=True)
    locale = models.CharField(max_length=16, default="en")
    timezone = models.CharField(max_length=64, default="UTC")
    token_epoch = models.PositiveIntegerField(default=0)
    signed_out_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="users_email_without_case"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="users_role_known"),
        ]

    def __str__(self) -> str:
        return self.email

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Ties sessions to the password and ``token_epoch``: raising the epoch ends them and the tokens."""
        return salted_hmac(
            "accounts.session", f"{self.password}:{self.token_epoch}", secret=secret, algorithm="sha256"
        ).hexdigest()

    @property
    def is_staff(self) -> bool:
        """Whether the admin opens at all."""
        return self.is_active and self.role != Role.USER

    @property
    def is_superuser(self) -> bool:
        return self.is_active and self.role == Role.OWNER

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        """The owner may everything; support and finance may look (``app.view_model``)."""
        if not self.is_staff:
            return False
        return self.role == Role.OWNER or perm.partition(".")[2].startswith("view_")

    def has_perms(self, perms: list[str], obj: object | None = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perms)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff


class ApiKey(models.Model):
    """A key of a person for programs. Only a keyed hash of its text is stored; its limits are columns here.

    A rotated key stays this row, so that its limits and what it used go on; the text that it had before
    is good until ``previous_until``. ``warn_at``: when its end is to be announced; None: never, or done.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, default="key")
    prefix = models.CharField(max_length=32, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    allowed_models = models.JSONField(default=list, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)
    limit_tokens = models.BigIntegerField(null=True, blank=True)
    limit_nano_usd = models.BigIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    previous_prefix = models.CharField(max_length=32, unique=True, null=True, blank=True)
    previous_digest = models.CharField(max_length=64, unique=True, null=True, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    warn_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"
        indexes = [
            models.Index(fields=["user", "created_at"], name="api_keys_of_user"),
            models.Index(
                fields=["warn_at"],
                condition=models.Q(warn_at__isnull=False, revoked_at=None),
                name="api_keys_to_warn_of",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class AttemptWindow(models.Model):
    """Attempts within a fixed window, counted exactly in the database (sign-in, sign-up, codes)."""

    key = models.CharField(primary_key=True, max_length=120)
    started_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "attempt_windows"

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"


class OutgoingMail(models.Model):
    """The e-mail outbox: written with its cause, sent by the worker under a lease, tried again on failure."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        DEAD = "dead"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    to = models.JSONField()
    message = models.BinaryField()
    subject = models.CharField(max_length=255)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=now)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "outgoing_mail"
        verbose_name_plural = "outgoing mail"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="waiting"), name="outgoing_mail_due"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} ({self.state})"


class CacheEntry(models.Model):
    """The table of Django's database cache, as a model: ``migrate`` alone makes it, on every database."""

    cache_key = models.CharField(primary_key=True, max_length=255)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "cache_entries"
        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.cache_key


class AuditEntry(models.Model):
    """What was done, by whom, to what and why. Append-only; every ``--reason`` ends here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(default=now, editable=False)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=80)
    subject_id = models.UUIDField(null=True, blank=True)
    target = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=40, blank=True)

    class Meta:
        db_table = "audit_entries"
        verbose_name_plural = "audit entries"
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["subject_id", "-at"], name="audit_entries_of_subject"),
            models.Index(fields=["action", "-at"], name="audit_entries_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("an audit entry is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("an audit entry is never deleted by hand")


from accounts.closing_models import Closing, Export, ExportPart  # noqa: E402
from accounts.sign_in_models import SignIn  # noqa: E402
from accounts.team_models import Membership, Team, TeamInvitation, TeamRole  # noqa: E402

__all__ = [
    "ApiKey",
    "AttemptWindow",
    "AuditEntry",
    "CacheEntry",
    "Closing",
    "Export",
    "ExportPart",
    "Membership",
    "OutgoingMail",
    "Role",
    "SignIn",
    "Team",
    "TeamInvitation",
    "TeamRole",
    "User",
]
