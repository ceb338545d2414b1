"""Conversations, models, prices and turns on the staff desk. What people write is never shown here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from chat import catalog_sync, pricing
from chat.class_admin import ModelClassAdmin
from chat.models import AIModel, Conversation, Generation, ModelPrice, Turn, UpstreamKey
from chat.reconcile_admin import ReconciliationAdmin
from oneai.kit.money import per_million_string, usd_string
from oneai.kit.read_only_admin import ReadOnly

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[Any]
    PriceForm = forms.ModelForm[ModelPrice]
    ModelForm = forms.ModelForm[AIModel]
else:
    ModelAdmin = admin.ModelAdmin
    PriceForm = forms.ModelForm
    ModelForm = forms.ModelForm

__all__ = ["ModelClassAdmin", "ReconciliationAdmin"]
NANO_PLACES: Final = 9


@admin.register(Conversation)
class ConversationAdmin(ReadOnly):
    """That a conversation is there and how long it is: no title, no instructions, no messages, no tags."""

    list_display = ["id", "user", "message_count", "model", "created_at", "last_message_at", "deleted_at"]
    list_select_related = ["user"]
    list_filter = ["temporary", "archived"]
    search_fields = ["user__email", "=id"]
    ordering = ["-id"]
    show_full_result_count = False
    fields = [
        "id",
        "user",
        "model",
        "message_count",
        "pinned",
        "archived",
        "temporary",
        "created_at",
        "updated_at",
        "last_message_at",
        "deleted_at",
    ]


class ModelFallbacksForm(ModelForm):
    """A model's switch, and who answers when it can't."""

    MOST: Final = 5
    fallback_slugs = forms.CharField(
        label="Fallbacks",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60, "spellcheck": "false"}),
        help_text="One model a line, the first is asked first: before a word is said, when this one fails. "
        "At its own price, and people are told.",
    )

    class Meta:
        model = AIModel
        fields = ["is_enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["fallback_slugs"] = "\n".join(self.instance.fallbacks or ())

    def clean_fallback_slugs(self) -> list[str]:
        """The slugs in order, each once and known."""
        slugs = list(dict.fromkeys(self.cleaned_data["fallback_slugs"].split()))
        if self.instance.slug in slugs:
            raise forms.ValidationError("A model can't stand in for itself.")
        if len(slugs) > self.MOST:
            raise forms.ValidationError(f"At most {self.MOST}.")
        known = set(AIModel.objects.filter(slug__in=slugs).values_list("slug", flat=True))
        if unknown := [slug for slug in slugs if slug not in known]:
            raise forms.ValidationError(f"Not in the catalogue: {', '.join(unknown)}")
        return slugs


@admin.register(AIModel)
class AIModelAdmin(ModelAdmin):
    """A model of the catalogue: staff switch it and name its fallbacks; everything else comes from its provider."""

    form = ModelFallbacksForm

    list_display = ["slug", "name", "upstream", "is_enabled", "is_listed", "price_now", "unusable_reason"]
    list_select_related = ["price"]
    list_filter = ["is_enabled", "is_listed", "upstream"]
    search_fields = ["slug", "name"]
    ordering = ["slug"]
    list_per_page = 50
    actions = ["switch_on", "switch_off"]
    fields = [
        "slug",
        "is_enabled",
        "fallback_slugs",
        "name",
        "description",
        "upstream",
        "upstream_slug",
        "context_length",
        "max_output",
        "input_modalities",
        "output_modalities",
        "supports",
        "is_listed",
        "unusable_reason",
        "price_now",
        "expires_at",
        "released_at",
        "synced_at",
        "created_at",
    ]
    readonly_fields = [str(name) for name in fields if name not in {"is_enabled", "fallback_slugs"}]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="$ per million (in / out)")
    def price_now(self, model: AIModel) -> str:
        """The price in force."""
        price = model.price
        if price is None:
            return "none"
        amounts = (price.prompt_pico_usd, price.completion_pico_usd)
        return " / ".join(per_million_string(amount) for amount in amounts) + (
            " (ours)" if price.source == ModelPrice.Source.STAFF else ""
        )

    def save_model(self, request: HttpRequest, obj: AIModel, form: Any, change: bool) -> None:
        if "is_enabled" in form.changed_data:
            self._switch(request, AIModel.objects.filter(pk=obj.pk), on=obj.is_enabled)
        if "fallback_slugs" in form.changed_data:
            self._name_fallbacks(request, obj, form.cleaned_data["fallback_slugs"])

    def _name_fallbacks(self, request: HttpRequest, model: AIModel, slugs: list[str]) -> None:
        staff: Any = request.user
        with transaction.atomic():
            catalog_sync.set_fallbacks(model.pk, slugs)
            audit.record(
                staff.email,
                "model.fallbacks",
                target=model.slug,
                reason="by the staff desk",
                details={"before": model.fallbacks or [], "after": slugs},
                actor_id=staff.pk,
            )

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[AIModel], *, on: bool) -> None:
        staff: Any = request.user
        with transaction.atomic():
            slugs = catalog_sync.switch(queryset.values_list("pk", flat=True), on=on)
            for slug in slugs:
                audit.record(
                    staff.email,
                    "model.switched_on" if on else "model.switched_off",
                    target=slug,
                    reason="by the staff desk",
                    actor_id=staff.pk,
                )
        self.message_user(request, f"{len(slugs)} switched {'on' if on else 'off'}.")


def _dollars(label: str, *, most: int, places: int, required: bool = True) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(0),
        max_value=Decimal(most),
        decimal_places=places,
        max_digits=places + 8,
        required=required,
    )


class StaffPriceForm(PriceForm):
    """A price in dollars; it becomes the next version and is never edited."""

    prompt = _dollars("Input, $ per million tokens", most=1_000_000, places=6)
    completion = _dollars("Output, $ per million tokens", most=1_000_000, places=6)
    cached = _dollars("Cached input, $ per million tokens", most=1_000_000, places=6, required=False)
    request_usd = _dollars("Per call, $", most=100, places=NANO_PLACES, required=False)
    image_usd = _dollars("Per image, $", most=100, places=NANO_PLACES, required=False)
    reason = forms.CharField(max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = ModelPrice
        fields = ["model"]

    def price(self) -> pricing.PriceList:
        """The valid form as a price list."""
        given = self.cleaned_data

        def per_token(name: str) -> int:
            return int(given[name] * 1_000_000)

        def per_unit(name: str) -> int:
            return int((given[name] or 0) * 10**NANO_PLACES)

        return pricing.PriceList(
            prompt_pico_usd=per_token("prompt"),
            completion_pico_usd=per_token("completion"),
            cached_pico_usd=None if given["cached"] is None else per_token("cached"),
            request_nano_usd=per_unit("request_usd"),
            image_nano_usd=per_unit("image_usd"),
        )


@admin.register(ModelPrice)
class ModelPriceAdmin(ModelAdmin):
    """Versions of prices: staff add one, which wins over the provider's; nobody edits or deletes one."""

    list_display = ["model", "version", "source", "input_price", "output_price", "call_price", "created_at"]
    list_select_related = ["model"]
    list_filter = ["source"]
    search_fields = ["model__slug"]
    ordering = ["-id"]
    show_full_result_count = False
    form = StaffPriceForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["model", "prompt", "completion", "cached", "request_usd", "image_usd", "reason"]
        return [field.name for field in ModelPrice._meta.fields]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="in, $ per million")
    def input_price(self, price: ModelPrice) -> str:
        return per_million_string(price.prompt_pico_usd)

    @admin.display(description="out, $ per million")
    def output_price(self, price: ModelPrice) -> str:
        return per_million_string(price.completion_pico_usd)

    @admin.display(description="$ per call")
    def call_price(self, price: ModelPrice) -> str:
        return usd_string(price.request_nano_usd)

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        staff: Any = request.user
        with transaction.atomic():
            saved = catalog_sync.set_staff_price(obj.model_id, form.price())
            audit.record(
                staff.email,
                "model.priced",
                target=obj.model.slug,
                reason=form.cleaned_data["reason"],
                details={"version": saved.version, "price_id": str(saved.pk)},
                actor_id=staff.pk,
            )
        # The desk goes on with the object it was given: it is the row that was written.
        obj.pk, obj.version, obj.source = saved.pk, saved.version, saved.source
        obj._state.adding = False


@admin.register(Turn)
class TurnAdmin(ReadOnly):
    """When somebody asked, through which door, and when it was over; not what."""

    list_display = ["id", "user", "door", "created_at", "finished_at"]
    list_select_related = ["user"]
    list_filter = ["door"]
    search_fields = ["user__email", "=id"]
    ordering = ["-id"]
    show_full_result_count = False
    fields = ["id", "user", "api_key_id", "door", "created_at", "finished_at"]


@admin.register(Generation)
class GenerationAdmin(ReadOnly):
    """How a model's answer went and what it used; not what it says."""

    list_display = [
        "id",
        "user",
        "model_id",
        "state",
        "finish_reason",
        "error_code",
        "created_at",
        "finished_at",
    ]
    list_select_related = ["user"]
    list_filter = ["state"]
    search_fields = ["user__email", "=id", "=upstream_id", "=hold_id"]
    ordering = ["-id"]
    show_full_result_count = False
    fields = [
        "id",
        "turn",
        "user",
        "model_id",
        "hold_id",
        "price_id",
        "state",
        "finish_reason",
        "error_code",
        "usage",
        "worker",
        "upstream",
        "upstream_id",
        "provider",
        "tries",
        "prompt_estimate",
        "delivered_bytes",
        "created_at",
        "first_token_at",
        "finished_at",
    ]
    readonly_fields = ["error_code"]

    @admin.display(description="error")
    def error_code(self, generation: Generation) -> str:
        """The code alone: a provider's message can quote what was asked."""
        return str(generation.error.get("code", "")) if isinstance(generation.error, dict) else ""


@admin.register(UpstreamKey)
class UpstreamKeyAdmin(ReadOnly):
    """Our keys at upstreams: what each has used and has left. The keys themselves are in the settings alone."""

    list_display = ["upstream", "label", "name", "state", "problem", "left", "today", "is_configured", "checked_at"]
    list_filter = ["state", "is_configured"]
    fields = [
        "upstream",
        "label",
        "name",
        "state",
        "problem",
        "limit",
        "left",
        "used",
        "today",
        "is_configured",
        "checked_at",
        "created_at",
    ]
    readonly_fields = ["limit", "left", "used", "today"]

    @staticmethod
    def _dollars(nano: int | None, none: str = "") -> str:
        return none if nano is None else f"${usd_string(nano)}"

    @admin.display(description="limit")
    def limit(self, key: UpstreamKey) -> str:
        return self._dollars(key.limit_nano_usd, "none")

    @admin.display(description="left")
    def left(self, key: UpstreamKey) -> str:
        return self._dollars(key.remaining_nano_usd)

    @admin.display(description="used")
    def used(self, key: UpstreamKey) -> str:
        return self._dollars(key.used_nano_usd)

    @admin.display(description="used today")
    def today(self, key: UpstreamKey) -> str:
        return self._dollars(key.used_today_nano_usd)
