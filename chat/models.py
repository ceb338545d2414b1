"""Conversations and the turns in them, and the catalogue of models."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from oneai.kit.clock import now, uuid7


class AIModel(models.Model):
    """A model that an upstream offers, as last seen there. ``slug`` is what users and keys name.

    ``fallbacks`` has the slugs of those that answer when it can't, the first first.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=200, unique=True)
    upstream = models.CharField(max_length=60, default="openrouter")
    upstream_slug = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    context_length = models.BigIntegerField(null=True, blank=True)
    max_output = models.BigIntegerField(null=True, blank=True)
    input_modalities = models.JSONField(default=list)
    output_modalities = models.JSONField(default=list)
    supports = models.JSONField(default=list)
    is_enabled = models.BooleanField(default=True)
    is_listed = models.BooleanField(default=True)
    fallbacks = models.JSONField(null=True, blank=True)
    unusable_reason = models.CharField(max_length=200, blank=True)
    price = models.ForeignKey("ModelPrice", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField(default=now)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "ai_models"
        verbose_name = "model"
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class UpstreamKey(models.Model):
    """A key of ours at an upstream, as last seen there; the key itself is never in the database.

    ``name`` is the beginning of its digest, ``label`` what the upstream calls it. Money in nano-USD; null: not known,
    or without a limit.
    """

    class State(models.TextChoices):
        GOOD = "good"
        LOW = "low"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    upstream = models.CharField(max_length=60)
    name = models.CharField(max_length=16)
    label = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.GOOD)
    problem = models.CharField(max_length=200, blank=True)
    limit_nano_usd = models.BigIntegerField(null=True, blank=True)
    remaining_nano_usd = models.BigIntegerField(null=True, blank=True)
    used_nano_usd = models.BigIntegerField(null=True, blank=True)
    used_today_nano_usd = models.BigIntegerField(null=True, blank=True)
    is_configured = models.BooleanField(default=True)
    due_at = models.DateTimeField(default=now)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "upstream_keys"
        verbose_name = "upstream key"
        ordering = ["upstream", "created_at"]
        constraints = [models.UniqueConstraint(fields=["upstream", "name"], name="upstream_keys_once")]

    def __str__(self) -> str:
        return f"{self.upstream} {self.label or self.name}"


class UpstreamReconciliation(models.Model):
    """How our usage records of one UTC day compare with what the upstream says of the same calls.

    Written by ``chat.reconcile_rows``. ``reached``: the record that was looked at last; ``leased_until``: who works
    on it has it till then. ``checked`` and ``matched`` are of the last pass, the rest sums up the day's findings:
    tokens and nano-USD that corrections added, and nano-USD that the upstream billed for calls that are free here.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    day = models.DateField(unique=True)
    checked = models.IntegerField(default=0)
    matched = models.IntegerField(default=0)
    corrected = models.IntegerField(default=0)
    missing = models.IntegerField(default=0)
    nameless = models.IntegerField(default=0)
    unclear = models.IntegerField(default=0)
    free = models.IntegerField(default=0)
    tokens_difference = models.BigIntegerField(default=0)
    nano_usd_difference = models.BigIntegerField(default=0)
    free_nano_usd = models.BigIntegerField(default=0)
    reached = models.UUIDField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "upstream_reconciliations"
        verbose_name = "reconciliation"
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)


class UpstreamFinding(models.Model):
    """A usage record that its upstream tells otherwise, or not at all.

    ``before`` is what we had, ``billed`` what the upstream says.

    ``corrected``: we charge now what was billed. ``missing``: charged here, and the upstream has no such call.
    ``nameless``: charged here, and we have no number of the call to ask for. ``free``: it gave nothing and is free
    here, but was billed. ``unclear``: the upstream's answers about it were errors.
    """

    class Kind(models.TextChoices):
        CORRECTED = "corrected"
        MISSING = "missing"
        NAMELESS = "nameless"
        FREE = "free"
        UNCLEAR = "unclear"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    day = models.DateField()
    kind = models.CharField(max_length=9, choices=Kind.choices)
    record_id = models.UUIDField()
    upstream_id = models.CharField(max_length=120, blank=True)
    model_id = models.CharField(max_length=200)
    recorded_at = models.DateTimeField()
    tokens_before = models.BigIntegerField()
    nano_usd_before = models.BigIntegerField()
    tokens_billed = models.BigIntegerField(null=True, blank=True)
    nano_usd_billed = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    changed_at = models.DateTimeField(default=now)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "upstream_findings"
        verbose_name = "finding of reconciliation"
        verbose_name_plural = "findings of reconciliation"
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["record_id", "kind"], name="upstream_findings_once")]
        indexes = [models.Index(fields=["day", "kind"], name="upstream_findings_of_day")]

    def __str__(self) -> str:
        return f"{self.kind} {self.upstream_id or self.record_id}"


class UpstreamSpending(models.Model):
    """What our keys had used in all at ``at``, and how what came since the look before compares with our records.

    Nano-USD. ``keys`` maps the keys' names to what each had used. ``slack``: what calls that ran at either look, or
    were not yet compared, and corrections of older calls may explain. ``unexplained`` is what is billed beyond that
    without a record of ours, or recorded and not billed when negative; null at a first look, and when the keys are
    others.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    since = models.DateTimeField(null=True, blank=True)
    keys = models.JSONField(default=dict)
    running_nano_usd = models.BigIntegerField(default=0)
    billed_nano_usd = models.BigIntegerField(null=True, blank=True)
    recorded_nano_usd = models.BigIntegerField(null=True, blank=True)
    slack_nano_usd = models.BigIntegerField(null=True, blank=True)
    unexplained_nano_usd = models.BigIntegerField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "upstream_spendings"
        verbose_name = "spending at the upstream"
        verbose_name_plural = "spending at the upstream"
        ordering = ["-at"]
        indexes = [models.Index(fields=["at"], name="upstream_spendings_by_time")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class ModelPrice(models.Model):
    """A version of a model's price. Never changed: a new price is a new row, and holds pin theirs.

    Prices are pico-USD per token; ``request_nano_usd`` is nano-USD per call.
    """

    class Source(models.TextChoices):
        UPSTREAM = "upstream"
        STAFF = "staff"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="prices")
    version = models.PositiveIntegerField()
    prompt_pico_usd = models.BigIntegerField()
    completion_pico_usd = models.BigIntegerField()
    cached_pico_usd = models.BigIntegerField(null=True, blank=True)
    request_nano_usd = models.BigIntegerField(default=0)
    image_nano_usd = models.BigIntegerField(default=0)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.UPSTREAM)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "model_prices"
        constraints = [models.UniqueConstraint(fields=["model", "version"], name="model_prices_version")]

    def __str__(self) -> str:
        return f"{self.model_id} version {self.version}"


class ModelClass(models.Model):
    """A named set of models that plans and staff can limit together, as ``class:<name>``.

    ``patterns`` are like a plan's: ``openai/*``, ``*:free``, or a model's own id.
    """

    name = models.SlugField(primary_key=True, max_length=40)
    patterns = models.JSONField(default=list)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "model_classes"
        verbose_name = "class of models"
        verbose_name_plural = "classes of models"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Folder(models.Model):
    """A drawer that a person keeps conversations in. Names are unique for the person, whatever their case."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="folders")
    name = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "folders"
        constraints = [models.UniqueConstraint(F("user"), Lower("name"), name="folders_one_of_a_name")]

    def __str__(self) -> str:
        return f"folder {self.pk}"


class Conversation(models.Model):
    """A person's conversation: a tree of messages and the leaf that is shown."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    title_source = models.CharField(max_length=8, default="auto")
    title_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    title_tried_at = models.DateTimeField(null=True, blank=True)
    model = models.CharField(max_length=200, blank=True)
    system = models.TextField(blank=True)
    folder = models.ForeignKey(
        Folder, on_delete=models.SET_NULL, null=True, blank=True, related_name="conversations", db_index=False
    )
    tags = models.JSONField(default=list, blank=True)
    pinned = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    temporary = models.BooleanField(default=False)
    active_message_id = models.UUIDField(null=True, blank=True)
    message_count = models.PositiveIntegerField(default=0)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now)
    last_message_at = models.DateTimeField(default=now)  # its creation while it is empty, so that it sorts
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "conversations"
        indexes = [
            models.Index(
                F("user"), F("last_message_at").desc(), condition=Q(deleted_at=None), name="conversations_recent"
            ),
            models.Index(fields=["created_at"], name="conversations_newest"),  # for those that want a title
            # A conversation that begins is in no folder and not deleted: neither costs its turn anything.
            models.Index(fields=["folder"], condition=Q(folder__isnull=False), name="conversations_in_folders"),
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="conversations_in_bin"),
        ]

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class Message(models.Model):
    """One message in the tree. Its content changes only while ``streaming``.

    ``attached_bytes`` is above 0 when files are attached: what models get of them as text at most; and the number of
    ``attached_images``, with their tiles as some providers count them.
    """

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"

    class Status(models.TextChoices):
        STREAMING = "streaming"
        COMPLETE = "complete"
        STOPPED = "stopped"
        INTERRUPTED = "interrupted"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="messages")
    role = models.CharField(max_length=9, choices=Role.choices)
    content = models.TextField(blank=True)
    content_html = models.TextField(blank=True)
    html_version = models.PositiveSmallIntegerField(default=0)
    reasoning = models.TextField(blank=True)
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.COMPLETE)
    model_id = models.CharField(max_length=200, blank=True)
    tokens_used = models.BigIntegerField(default=0)
    finish_reason = models.CharField(max_length=20, blank=True)
    error = models.JSONField(null=True, blank=True)
    usage = models.JSONField(null=True, blank=True)
    generation_id = models.UUIDField(null=True, blank=True)
    parent_message = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    attached_bytes = models.PositiveIntegerField(default=0, db_default=0)
    attached_images = models.PositiveSmallIntegerField(default=0, db_default=0)
    attached_tiles = models.PositiveSmallIntegerField(default=0, db_default=0)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "chat_messages"
        constraints = [
            models.CheckConstraint(condition=Q(role__in=["user", "assistant"]), name="chat_messages_role_known"),
        ]
        indexes = [
            models.Index(fields=["conversation", "created_at"], name="chat_messages_in_order"),
            models.Index(fields=["user", "created_at"], name="chat_messages_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class SearchEntry(models.Model):
    """A message in the index of full-text search. Triggers make and delete these rows (``chat.search_schema``).

    ``waiting``: its words are not in the index yet. The words are in a column of their own on PostgreSQL, and in
    an FTS5 table with the rowid ``id`` on SQLite.
    """

    id = models.BigAutoField(primary_key=True)
    message_id = models.UUIDField(unique=True)
    conversation_id = models.UUIDField()
    user_id = models.UUIDField()
    waiting = models.BooleanField(default=True)

    class Meta:
        db_table = "search_entries"
        indexes = [models.Index(fields=["user_id"], condition=Q(waiting=True), name="search_entries_waiting")]

    def __str__(self) -> str:
        return f"words of {self.message_id}"


class SharedSnapshot(models.Model):
    """What a share link shows: the branch of a conversation as it was when it was shared, and on which terms.

    ``token_digest`` finds it; the token itself is worked out from ``token_seed`` (``chat.sharing``) and stored
    nowhere. ``messages`` has ``{"role", "content", "html", "model"}`` each, the oldest first, its HTML of
    ``html_version``.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.OneToOneField(Conversation, on_delete=models.CASCADE, related_name="shared")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="shared")
    token_digest = models.CharField(max_length=64, unique=True)
    token_seed = models.CharField(max_length=32)
    title = models.CharField(max_length=200, blank=True)
    system = models.TextField(blank=True)
    messages = models.JSONField(default=list)
    html_version = models.PositiveSmallIntegerField(default=0)
    include_system = models.BooleanField(default=False)
    allow_continue = models.BooleanField(default=False)
    password = models.CharField(max_length=128, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    views = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    frozen_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "shared_snapshots"

    def __str__(self) -> str:
        return f"snapshot {self.pk}"


class Turn(models.Model):
    """One question and the generations that answer it, through whichever door it came."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="turns")
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, null=True, blank=True)
    user_message_id = models.UUIDField(null=True, blank=True)
    api_key_id = models.UUIDField(null=True, blank=True)
    door = models.CharField(max_length=8)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)
    body_digest = models.CharField(max_length=64, blank=True)
    quote = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "turns"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="turns_one_per_idempotency_key",
            )
        ]
        indexes = [models.Index(fields=["conversation"], name="turns_of_conversation")]

    def __str__(self) -> str:
        return f"turn {self.pk}"


class Generation(models.Model):
    """One model producing one answer. ``hold_id`` names the quota reserved for it.

    ``tries`` has what was asked before and could not answer: ``{"model", "hold_id", "upstream_id", "code"}`` each.
    ``provider`` is who answers behind the upstream, as that says.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        COMPLETE = "complete"
        STOPPED = "stopped"
        INTERRUPTED = "interrupted"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="generations")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="generations")
    position = models.PositiveSmallIntegerField(default=0)
    message_id = models.UUIDField(null=True, blank=True)
    model_id = models.CharField(max_length=200)
    hold_id = models.UUIDField()
    price_id = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=11, choices=State.choices, default=State.RUNNING)
    worker = models.CharField(max_length=80, blank=True)
    upstream = models.CharField(max_length=60, blank=True)
    upstream_id = models.CharField(max_length=120, blank=True)
    provider = models.CharField(max_length=60, blank=True, db_default="")
    tries = models.JSONField(null=True, blank=True)
    prompt_estimate = models.BigIntegerField(default=0)
    delivered_bytes = models.BigIntegerField(default=0)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    error = models.JSONField(null=True, blank=True)
    usage = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    first_token_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "generations"
        indexes = [
            models.Index(fields=["turn", "position"], name="generations_of_turn"),
            models.Index(fields=["created_at"], condition=Q(state="running"), name="generations_running"),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} {self.state}"


class KeptAnswer(models.Model):
    """An answer of ``/v1`` that was asked for under an idempotency key; erased ten minutes after its end."""

    generation = models.OneToOneField(Generation, on_delete=models.CASCADE, primary_key=True, related_name="kept")
    content = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    tool_calls = models.JSONField(default=list)

    class Meta:
        db_table = "kept_answers"

    def __str__(self) -> str:
        return f"answer of {self.pk}"


from chat.attachment_models import Attachment, MessageAttachment  # noqa: E402
from chat.preset_models import Preset  # noqa: E402

__all__ = [
    "AIModel",
    "Attachment",
    "Conversation",
    "Generation",
    "KeptAnswer",
    "Message",
    "MessageAttachment",
    "ModelClass",
    "ModelPrice",
    "Preset",
    "Turn",
    "UpstreamFinding",
    "UpstreamKey",
    "UpstreamReconciliation",
    "UpstreamSpending",
]
