"""What an account may still use: allowances, counters, holds and the ledger under them.

Amounts are integers in the ``unit`` of their row: ``tokens`` or ``nano_usd``. Only
``quotas.ledger`` writes counters, holds, ledger entries and usage records; only
``quotas.allowances`` writes allowances and overrides.
"""

from __future__ import annotations

from django.db import models

from oneai.kit.clock import now, uuid7


class Unit(models.TextChoices):
    TOKENS = "tokens"
    NANO_USD = "nano_usd"


class QuotaAccount(models.Model):
    """One row per account, locked first by every writer: what it serialises is exact.

    It carries the head of the account's ledger chain, the number of open holds, ``windows`` (what was
    asked in each second of the last minute, by scope; see ``quotas.rates``) and ``policy``, a copy of
    the allowances and overrides in force or to come, and of the team that somebody is in (written only by
    ``quotas.allowances`` under this lock), so that admission reads one row, and the team's. ``zone`` is the
    time zone whose days ``usage_daily`` counts in;
    ``has_grants``: there may be top-ups or debts to look for.
    """

    user = models.OneToOneField(
        "accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="quota_account"
    )
    anchor = models.DateTimeField()
    zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    policy = models.JSONField(null=True, blank=True)
    entry_seq = models.BigIntegerField(default=0)
    chain_head = models.CharField(max_length=64, default="")
    in_flight = models.IntegerField(default=0)
    windows = models.JSONField(default=dict, blank=True)
    has_grants = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "quota_accounts"

    def __str__(self) -> str:
        return str(self.user_id)


class Allowance(models.Model):
    """What an account is allowed from ``starts_at`` on. The row without an account is the default.

    ``limits``: a list of ``{"scope": "*"|model|"class:x", "unit": "tokens"|"nano_usd", "limit": int|null}``.
    ``model_patterns``: patterns (``*``, ``openai/*``); ``rates``: null is unlimited.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        "accounts.User",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="allowances",
    )
    team_id = models.UUIDField(null=True, blank=True)
    plan = models.CharField(max_length=40)
    limits = models.JSONField(default=list)
    model_patterns = models.JSONField(default=list)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_generations = models.PositiveIntegerField(null=True, blank=True)
    anchor = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField(default=now)
    until = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "allowances"
        indexes = [models.Index(fields=["user", "starts_at"], name="allowances_of_user")]

    def __str__(self) -> str:
        return f"{self.plan} for {self.user_id or 'everybody'}"


class Override(models.Model):
    """A limit or a rate that staff set for one account, from ``starts_at`` until ``until``.

    ``kind`` is ``limit`` (scope and unit name the counter) or ``rates`` (values hold the changed rates).
    It ends by time comparison, never by a job.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="quota_overrides", db_index=False)
    kind = models.CharField(max_length=8, default="limit")
    scope = models.CharField(max_length=200, default="*")
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.TOKENS)
    limit = models.BigIntegerField(null=True, blank=True)
    values = models.JSONField(default=dict, blank=True)
    starts_at = models.DateTimeField(default=now)
    until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField()
    actor = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "quota_overrides"
        indexes = [models.Index(fields=["user", "starts_at"], name="quota_overrides_of_user")]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.unit}" if self.kind == "limit" else self.kind


class QuotaCounter(models.Model):
    """A limit and what is used and held of it, for one scope, unit and period.

    ``model_id`` is the scope: ``*`` (plan-wide), a bare model id, ``class:x``, ``key:<id>``,
    ``team:<id>``. ``tokens_used`` counts in ``unit``; ``reset_at`` is the period's end.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        "accounts.User",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="usage_quotas",
    )
    team_id = models.UUIDField(null=True, blank=True)
    api_key_id = models.UUIDField(null=True, blank=True)
    model_id = models.CharField(max_length=200, default="*")
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.TOKENS)
    period_start = models.DateTimeField()
    reset_at = models.DateTimeField()
    quota_limit = models.BigIntegerField(null=True, blank=True)
    tokens_used = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    overrun = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "usage_quotas"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "model_id", "unit", "period_start"], name="usage_quotas_one_per_period"
            ),
            models.CheckConstraint(
                condition=models.Q(held__gte=0, tokens_used__gte=0, overrun__gte=0),
                name="usage_quotas_not_negative",
            ),
        ]
        indexes = [models.Index(fields=["user", "reset_at"], name="usage_quotas_of_user")]

    def __str__(self) -> str:
        return f"{self.model_id} {self.unit} from {self.period_start:%Y-%m-%d}"


class PlatformCounter(models.Model):
    """What all accounts together may cost the owner on one UTC day, in nano-USD, in shards.

    A shard that is full takes room from the others under the lock of all of them, so the sum of the
    shards' limits is always the day's limit.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    shard = models.PositiveSmallIntegerField()
    quota_limit = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    overrun = models.BigIntegerField(default=0)

    class Meta:
        db_table = "platform_counters"
        constraints = [models.UniqueConstraint(fields=["day", "shard"], name="platform_counters_one_per_day")]

    def __str__(self) -> str:
        return f"{self.day} shard {self.shard}"


class PlatformRates(models.Model):
    """What all accounts together may ask for in a minute and at once; null is unlimited. One row, the owner's."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveBigIntegerField(null=True, blank=True)
    concurrent_generations = models.PositiveIntegerField(null=True, blank=True)
    recent = models.JSONField(default=list, blank=True, editable=False)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "platform_rates"
        verbose_name = verbose_name_plural = "rates of the platform"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="platform_rates_one_row")]

    def __str__(self) -> str:
        return "rates of the platform"


class Hold(models.Model):
    """Quota reserved for one generation, written before anything goes upstream.

    ``user`` has asked; ``team_id`` is the team that pays, null: they pay themselves. Periods are the payer's.

    ``lines`` maps counter id to the amount held there, ``grant_lines`` top-up id; the same figures are
    the ledger's HOLD entries. ``extensions`` lists the completion tokens that were added while it ran.
    ``safe_bound`` is what no tokenizer can exceed for the prompt, whatever was held. ``check_at`` set:
    the producer is gone or the upstream's figure is missing, and whoever claims the lease settles it.
    """

    class State(models.TextChoices):
        HELD = "held"
        ORPHANED = "orphaned"
        SETTLED = "settled"
        RELEASED = "released"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="holds")
    team_id = models.UUIDField(null=True, blank=True)
    api_key_id = models.UUIDField(null=True, blank=True)
    reference = models.CharField(max_length=80, unique=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    model_id = models.CharField(max_length=200)
    price_id = models.UUIDField(null=True, blank=True)
    max_tokens = models.BigIntegerField()
    tokens = models.BigIntegerField()
    nano_usd = models.BigIntegerField()
    lines = models.JSONField(default=dict)
    grant_lines = models.JSONField(null=True, blank=True)
    extensions = models.JSONField(null=True, blank=True)
    safe_bound = models.BigIntegerField(null=True, blank=True)
    platform_day = models.DateField(null=True, blank=True)
    platform_shard = models.PositiveSmallIntegerField(null=True, blank=True)
    period_start = models.DateTimeField()
    worker = models.CharField(max_length=80, blank=True)
    heartbeat_at = models.DateTimeField(default=now)
    check_at = models.DateTimeField(null=True, blank=True)
    checks = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "holds"
        indexes = [
            models.Index(
                fields=["heartbeat_at"], condition=models.Q(state__in=["held", "orphaned"]), name="holds_open"
            ),
            models.Index(fields=["team_id"], condition=models.Q(team_id__isnull=False), name="holds_of_team"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.state}"


class LedgerEntry(models.Model):
    """One change of one counter. Append-only, numbered and chained per account by a keyed HMAC.

    GRANT and ADJUST set the limit (``limit_after``; null is unlimited); HOLD, RELEASE and SETTLE move
    ``held``, ``used`` and ``overrun`` by their deltas. Replaying an account's entries gives its counters.
    A RECONCILE with a hold corrects what that was charged; its ``source_key`` numbers the correction.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        HOLD = "hold"
        RELEASE = "release"
        SETTLE = "settle"
        EXPIRE = "expire"
        ADJUST = "adjust"
        REFUND = "refund"
        RECONCILE = "reconcile"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="ledger_entries", db_index=False)
    seq = models.BigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    counter_id = models.UUIDField()
    hold_id = models.UUIDField(null=True, blank=True)
    held_delta = models.BigIntegerField(default=0)
    used_delta = models.BigIntegerField(default=0)
    overrun_delta = models.BigIntegerField(default=0)
    limit_after = models.BigIntegerField(null=True, blank=True)
    source_key = models.CharField(max_length=200, blank=True)
    mac = models.CharField(max_length=64)

    class Meta:
        db_table = "ledger_entries"
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["user", "seq"], name="ledger_entries_in_sequence"),
            models.UniqueConstraint(
                fields=["counter_id", "source_key"],
                condition=models.Q(kind="reconcile", hold_id__isnull=False),
                name="ledger_entries_correct_once",
            ),
        ]
        indexes = [
            models.Index(fields=["counter_id", "hold_id"], name="ledger_entries_of_hold"),
            models.Index(fields=["at"], condition=models.Q(overrun_delta__gt=0), name="ledger_entries_overrun"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.seq}"


class Grant(models.Model):
    """Allowance given once: ``source_key`` is unique, so a repeated cause grants nothing twice.

    ``plan``: what a counter began its period with; a record, the counter itself is the limit.
    ``extra``: a top-up, used once the plan's own quota is; ``refunded`` was taken back.
    ``debt``: the part of a refunded top-up that was used already; ``consumed`` was made good since,
    ``refunded`` forgiven. ``parent`` is the top-up that it comes from.
    The ledger's entries name a top-up or a debt as they name a counter.
    """

    class Kind(models.TextChoices):
        PLAN = "plan"
        EXTRA = "extra"
        DEBT = "debt"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="grants", db_index=False)
    team_id = models.UUIDField(null=True, blank=True)
    source_key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.PLAN, db_default="plan")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="debts")
    scope = models.CharField(max_length=200, default="*")
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.TOKENS)
    amount = models.BigIntegerField(null=True, blank=True)
    consumed = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0, db_default=0)
    refunded = models.BigIntegerField(default=0, db_default=0)
    priority = models.SmallIntegerField(default=0)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "grants"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="plan")
                | models.Q(
                    consumed__gte=0,
                    held__gte=0,
                    refunded__gte=0,
                    amount__gte=models.F("consumed") + models.F("held") + models.F("refunded"),
                ),
                name="grants_not_overdrawn",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "valid_from"], name="grants_of_user"),
            models.Index(fields=["user"], condition=~models.Q(kind="plan"), name="grants_beside_plan"),
        ]

    def __str__(self) -> str:
        return self.source_key


class UsageRecord(models.Model):
    """What one dispatch used and cost, and where the figure comes from. One per hold, at most.

    ``user`` and ``team_id`` are those of the hold. ``asked_at`` is the moment of its admission, which gives its
    day; ``at`` that of its settlement.
    ``billed_usd`` is the upstream's own bill as it gave it, in plain decimals; empty when it gave none.
    ``corrections``: how often it was replaced by what the upstream said later; the ledger has the differences.
    """

    class Source(models.TextChoices):
        UPSTREAM_FINAL = "upstream_final"
        GENERATION_API = "generation_api"
        LOCAL_ESTIMATE = "local_estimate"
        HOLD_AMOUNT = "hold_amount"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hold = models.OneToOneField(Hold, on_delete=models.CASCADE, related_name="usage")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="usage_records", db_index=False)
    team_id = models.UUIDField(null=True, blank=True)
    api_key_id = models.UUIDField(null=True, blank=True)
    reference = models.CharField(max_length=80)
    conversation_id = models.UUIDField(null=True, blank=True)
    model_id = models.CharField(max_length=200)
    upstream_id = models.CharField(max_length=120, blank=True)
    price_id = models.UUIDField(null=True, blank=True)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    nano_usd = models.BigIntegerField(default=0)
    billed_usd = models.CharField(max_length=40, blank=True, default="", db_default="")
    source = models.CharField(max_length=16, choices=Source.choices)
    corrections = models.PositiveSmallIntegerField(default=0, db_default=0)
    period_start = models.DateTimeField()
    asked_at = models.DateTimeField()
    at = models.DateTimeField()

    class Meta:
        db_table = "usage_records"
        indexes = [
            models.Index(fields=["user", "asked_at", "id"], name="usage_records_by_day"),
            models.Index(fields=["upstream_id"], name="usage_records_by_upstream"),
            models.Index(
                fields=["team_id", "asked_at"],
                condition=models.Q(team_id__isnull=False),
                name="usage_records_of_team",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.tokens}"


class UsageDaily(models.Model):
    """The usage records of one account and day, added up; written with them by ``quotas.rollup``.

    Rows of the part ``model`` are sums by model and key, rows of the part ``conversation`` by
    conversation: each record is in one of either. What does not apply is empty, or the UUID of zeros.
    ``day`` is that of the admission in the account's ``zone``; a day on which a period ends has rows of both.
    """

    class Part(models.TextChoices):
        MODEL = "model"
        CONVERSATION = "conversation"

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="usage_daily", db_index=False)
    part = models.CharField(max_length=12, choices=Part.choices)
    day = models.DateField()
    period_start = models.DateTimeField()
    model_id = models.CharField(max_length=200, blank=True)
    api_key_id = models.UUIDField()
    conversation_id = models.UUIDField()
    calls = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    nano_usd = models.BigIntegerField(default=0)
    estimated_calls = models.BigIntegerField(default=0)
    estimated_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        db_table = "usage_daily"
        verbose_name_plural = "usage by day"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "part", "day", "period_start", "model_id", "api_key_id", "conversation_id"],
                name="usage_daily_one_per_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model_id or self.conversation_id}"


class QuotaAlert(models.Model):
    """A limit that was used to ``percent``, to be told by mail: once for each limit and period.

    Written with the settlement that crossed the line, by ``quotas.alerts``; ``told_at`` set: the mail is in
    the outbox, or the person does not want it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="quota_alerts", db_index=False)
    counter_id = models.UUIDField()
    percent = models.PositiveSmallIntegerField()
    scope = models.CharField(max_length=200)
    unit = models.CharField(max_length=8, choices=Unit.choices)
    quota_limit = models.BigIntegerField()
    used = models.BigIntegerField()
    reset_at = models.DateTimeField()
    created_at = models.DateTimeField(default=now, editable=False)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "quota_alerts"
        constraints = [
            models.UniqueConstraint(fields=["counter_id", "percent", "quota_limit"], name="quota_alerts_once")
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=models.Q(told_at=None), name="quota_alerts_untold"),
            models.Index(fields=["user", "created_at"], name="quota_alerts_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.scope} {self.unit}"


class OwnerAlert(models.Model):
    """What the owners hear of once: how far a day's ceiling is used, and what goes beyond what plans cover.

    ``ceiling``: ``percent`` of the day's ``quota_limit`` (nano-USD) is used, or calls are refused for it (100).
    ``overrun``: what was used beyond the holds up to ``until``, told of once a day.
    """

    class Kind(models.TextChoices):
        CEILING = "ceiling"
        OVERRUN = "overrun"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    day = models.DateField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    percent = models.PositiveSmallIntegerField(default=0)
    quota_limit = models.BigIntegerField(default=0)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "owner_alerts"
        constraints = [
            models.UniqueConstraint(fields=["day", "kind", "percent", "quota_limit"], name="owner_alerts_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.day}"


class LearntBound(models.Model):
    """How many prompt tokens a model's upstream has counted for what could be many more, at most.

    ``most_ppm``: of a million tokens that the prompt could not exceed, the most that were counted, over
    ``sample`` calls. ``is_trusted``: the owner lets what was learnt decide, which may use more than a limit.
    ``broken_at``: a call went over what had been learnt; the safe bound holds again.
    The row ``*`` keeps how far the usage records were read.
    """

    model_id = models.CharField(max_length=200, primary_key=True)
    sample = models.BigIntegerField(default=0)
    most_ppm = models.BigIntegerField(default=0)
    is_trusted = models.BooleanField("may decide", default=False, db_default=False)
    broken_at = models.DateTimeField(null=True, blank=True)
    read_to = models.UUIDField(null=True, blank=True)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "learnt_bounds"

    def __str__(self) -> str:
        return self.model_id


class RefusedCalls(models.Model):
    """What calls of an account were refused lately, the newest first; see ``quotas.refused``, which alone writes it.

    Apart from the account's own row, which every call rewrites.
    """

    user = models.OneToOneField("accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="+")
    latest = models.JSONField(default=list)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "refused_calls"

    def __str__(self) -> str:
        return str(self.user_id)


class LedgerCheck(models.Model):
    """One run of the scheduled audit: how many accounts it replayed and what differed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(default=now)
    accounts = models.IntegerField(default=0)
    last_account = models.UUIDField(null=True, blank=True)
    differences = models.IntegerField(default=0)
    found = models.JSONField(default=list)

    class Meta:
        db_table = "ledger_checks"
        indexes = [models.Index(fields=["-at"], name="ledger_checks_by_time")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.differences}"
