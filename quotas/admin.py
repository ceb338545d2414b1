"""Quotas on the staff desk: what is counted is only looked at; limits are changed with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import audit
from oneai.kit.clock import now
from quotas import bounds
from quotas.models import (
    Allowance,
    Grant,
    Hold,
    LearntBound,
    LedgerCheck,
    LedgerEntry,
    Override,
    OwnerAlert,
    PlatformCounter,
    PlatformRates,
    QuotaAccount,
    QuotaAlert,
    QuotaCounter,
    Unit,
    UsageDaily,
    UsageRecord,
)
from quotas.wording import amount_text

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[Any]
    RatesForm = forms.ModelForm[PlatformRates]
    BoundForm = forms.ModelForm[LearntBound]
else:
    ModelAdmin = admin.ModelAdmin
    RatesForm = forms.ModelForm
    BoundForm = forms.ModelForm


class Ledgered(ModelAdmin):
    """Rows that only the ledger writes: nobody adds, changes or deletes one by hand."""

    show_full_result_count = False
    list_select_related: ClassVar[Any] = ("user",)
    search_fields: ClassVar[Any] = ("user__email", "=id")
    ordering = ["-id"]
    note = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if self.note:
            self.message_user(request, self.note)
        return super().changelist_view(request, extra_context)


@admin.register(QuotaAccount)
class QuotaAccountAdmin(Ledgered):
    list_display = ["user", "anchor", "in_flight", "entry_seq"]
    search_fields = ("user__email",)
    ordering = ["-user_id"]


@admin.register(QuotaCounter)
class QuotaCounterAdmin(Ledgered):
    list_display = ["user", "model_id", "unit", "limit", "used", "on_hold", "over", "period_start", "reset_at"]
    list_filter = ["unit", ("reset_at", admin.DateFieldListFilter)]
    search_fields = (
        "user__email",
        "=id",
        "model_id",
    )
    note = "A limit is changed by `manage.py set_quota EMAIL --model MODEL --tokens N --reason TEXT`."

    @admin.display(description="limit", ordering="quota_limit")
    def limit(self, row: QuotaCounter) -> str:
        return amount_text(row.unit, row.quota_limit)

    @admin.display(description="used", ordering="tokens_used")
    def used(self, row: QuotaCounter) -> str:
        return amount_text(row.unit, row.tokens_used)

    @admin.display(description="held", ordering="held")
    def on_hold(self, row: QuotaCounter) -> str:
        return amount_text(row.unit, row.held)

    @admin.display(description="overrun", ordering="overrun")
    def over(self, row: QuotaCounter) -> str:
        return amount_text(row.unit, row.overrun)


@admin.register(PlatformCounter)
class PlatformCounterAdmin(Ledgered):
    list_display = ["day", "shard", "limit", "spent", "on_hold"]
    list_select_related = ()
    search_fields = ()
    ordering = ["-day", "shard"]
    note = "The day's limit of all shards together is the setting PLATFORM_DAILY_USD."

    @admin.display(description="limit")
    def limit(self, row: PlatformCounter) -> str:
        return amount_text(Unit.NANO_USD, row.quota_limit)

    @admin.display(description="used")
    def spent(self, row: PlatformCounter) -> str:
        return amount_text(Unit.NANO_USD, row.used)

    @admin.display(description="held")
    def on_hold(self, row: PlatformCounter) -> str:
        return amount_text(Unit.NANO_USD, row.held)


class PlatformRatesForm(RatesForm):
    """The platform's rates, changed with a reason."""

    reason = forms.CharField(max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = PlatformRates
        fields = ["requests_per_minute", "tokens_per_minute", "concurrent_generations"]


@admin.register(PlatformRates)
class PlatformRatesAdmin(ModelAdmin):
    """What all accounts together may ask for; empty is unlimited."""

    form = PlatformRatesForm
    list_display = ["__str__", "requests_per_minute", "tokens_per_minute", "concurrent_generations", "updated_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PlatformRates, form: Any, change: bool) -> None:
        staff: Any = request.user
        chosen = {name: form.cleaned_data[name] for name in PlatformRatesForm.Meta.fields}
        with transaction.atomic():
            rates = PlatformRates.objects.filter(pk=obj.pk)
            before = rates.select_for_update().values(*chosen).get()
            # The window is the ledger's: only what was chosen is written.
            rates.update(**chosen, updated_at=now())
            audit.record(
                staff.email,
                "platform.rates",
                target="platform",
                reason=form.cleaned_data["reason"],
                details={"before": before, "after": chosen},
                actor_id=staff.pk,
            )


@admin.register(Hold)
class HoldAdmin(Ledgered):
    list_display = ["reference", "user", "model_id", "state", "tokens", "cost", "created_at", "heartbeat_at", "checks"]
    list_filter = ["state"]
    search_fields = (
        "user__email",
        "=id",
        "=reference",
    )

    @admin.display(description="cost", ordering="nano_usd")
    def cost(self, row: Hold) -> str:
        return amount_text(Unit.NANO_USD, row.nano_usd)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(Ledgered):
    list_display = ["user", "seq", "at", "kind", "held_delta", "used_delta", "overrun_delta", "limit_after"]
    list_filter = ["kind"]
    search_fields = (
        "user__email",
        "=counter_id",
        "=hold_id",
    )


@admin.register(UsageRecord)
class UsageRecordAdmin(Ledgered):
    list_display = ["user", "at", "model_id", "tokens", "cost", "source", "reference", "upstream_id"]
    list_filter = ["source"]
    search_fields = (
        "user__email",
        "=reference",
        "=upstream_id",
        "model_id",
    )

    @admin.display(description="cost", ordering="nano_usd")
    def cost(self, row: UsageRecord) -> str:
        return amount_text(Unit.NANO_USD, row.nano_usd)


@admin.register(UsageDaily)
class UsageDailyAdmin(Ledgered):
    list_display = ["user", "day", "part", "model_id", "calls", "tokens", "cost", "period_start"]
    list_filter = ["part"]
    search_fields = (
        "user__email",
        "model_id",
    )

    @admin.display(description="cost", ordering="nano_usd")
    def cost(self, row: UsageDaily) -> str:
        return amount_text(Unit.NANO_USD, row.nano_usd)


@admin.register(QuotaAlert)
class QuotaAlertAdmin(Ledgered):
    list_display = ["user", "percent", "scope", "unit", "created_at", "told_at", "reset_at"]
    list_filter = ["percent"]


@admin.register(OwnerAlert)
class OwnerAlertAdmin(Ledgered):
    """What the owners were told of by mail."""

    list_display = ["day", "kind", "percent", "limit", "created_at", "told_at"]
    list_select_related = ()
    list_filter = ["kind"]
    search_fields = ()

    @admin.display(description="limit")
    def limit(self, row: OwnerAlert) -> str:
        return amount_text(Unit.NANO_USD, row.quota_limit)


@admin.register(Grant)
class GrantAdmin(Ledgered):
    list_display = [
        "user", "kind", "scope", "unit", "given", "used", "on_hold", "back", "valid_from", "valid_until", "source_key",
    ]  # fmt: skip
    list_filter = ["kind", "unit"]
    search_fields = ("user__email", "=id", "source_key")
    note = (
        "A top-up is given by `manage.py grant_tokens EMAIL --tokens N --reason TEXT`; what somebody owes is let be "
        "by `manage.py forgive_debt EMAIL --reason TEXT`."
    )

    @admin.display(description="amount")
    def given(self, row: Grant) -> str:
        return amount_text(row.unit, row.amount)

    @admin.display(description="used, or made good")
    def used(self, row: Grant) -> str:
        return amount_text(row.unit, row.consumed)

    @admin.display(description="held")
    def on_hold(self, row: Grant) -> str:
        return amount_text(row.unit, row.held)

    @admin.display(description="taken back, or forgiven")
    def back(self, row: Grant) -> str:
        return amount_text(row.unit, row.refunded)


@admin.register(Allowance)
class AllowanceAdmin(Ledgered):
    list_display = ["who", "plan", "summary", "starts_at", "until", "source"]
    list_filter = ["plan"]
    ordering = ["-starts_at"]
    note = "A plan is given by `manage.py grant_plan EMAIL PLAN --reason TEXT`; the free plan's row is edited in Plans."

    @admin.display(description="account", ordering="user__email")
    def who(self, row: Allowance) -> str:
        return str(row.user) if row.user_id else "everybody without a plan"

    @admin.display(description="limits")
    def summary(self, row: Allowance) -> str:
        return ", ".join(f"{each['scope']} {amount_text(each['unit'], each['limit'])}" for each in row.limits)


@admin.register(Override)
class OverrideAdmin(Ledgered):
    list_display = ["user", "kind", "scope", "value", "starts_at", "until", "ended_at", "actor", "reason"]
    list_filter = ["kind"]
    ordering = ["-starts_at"]
    note = "Overrides are set by `manage.py set_quota` and `manage.py set_rates`, each with its reason."

    @admin.display(description="value")
    def value(self, row: Override) -> str | SafeString:
        if row.kind == "limit":
            return amount_text(row.unit, row.limit)
        shown = (f"{name} {'unlimited' if rate is None else rate}" for name, rate in sorted(row.values.items()))
        return format_html("{}", ", ".join(shown))


@admin.register(LedgerCheck)
class LedgerCheckAdmin(Ledgered):
    """What the scheduled check has found."""

    list_display = ["at", "accounts", "differences"]
    list_select_related = ()
    search_fields = ()
    ordering = ["-at"]


class LearntBoundForm(BoundForm):
    """Whether what was learnt of a model may decide, and why."""

    reason = forms.CharField(max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = LearntBound
        fields = ["is_trusted"]
        help_texts: ClassVar[Any] = {
            "is_trusted": "Off, a prompt is held at its bytes and no limit can be overspent. On, a call that its bytes "
            "would refuse or cut short near a limit is held at what the model's calls have shown so far. A denser "
            "prompt then uses more than the limit: by the difference between both for each call at most, which is "
            "recorded as overrun and is the platform's expense. After the first such call its bytes decide again "
            "for a month."
        }


@admin.register(LearntBound)
class LearntBoundAdmin(Ledgered):
    """What the models' calls have taught about the length of prompts; the owner says whether it may decide."""

    form = LearntBoundForm
    list_display = ["model_id", "is_trusted", "sample", "most_ppm", "broken_at", "updated_at"]
    list_filter = ["is_trusted"]
    list_select_related = ()
    search_fields = ("model_id",)
    ordering = ["model_id"]
    fields = ["model_id", "sample", "most_ppm", "broken_at", "updated_at", "is_trusted", "reason"]
    readonly_fields = ["model_id", "sample", "most_ppm", "broken_at", "updated_at"]
    note = (
        "Of a million tokens that prompts could not exceed, the most that were counted. It decides only for models "
        "that may: on the page of each is said what that risks."
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super(Ledgered, self).has_change_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).exclude(model_id=bounds.ALL)

    def save_model(self, request: HttpRequest, obj: LearntBound, form: Any, change: bool) -> None:
        staff: Any = request.user
        chosen = {"is_trusted": form.cleaned_data["is_trusted"]}
        with transaction.atomic():
            # What was learnt goes on beside: only what was chosen is written.
            LearntBound.objects.filter(pk=obj.pk).update(**chosen)
            audit.record(
                staff.email,
                "bounds.trusted",
                target=obj.model_id,
                reason=form.cleaned_data["reason"],
                details=chosen,
                actor_id=staff.pk,
            )
