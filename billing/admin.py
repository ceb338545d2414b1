"""Plans on the staff desk: edited with checks; what is sold already keeps the terms it was sold with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from billing import plans
from billing.inbox_admin import WebhookEventAdmin
from billing.invoice_admin import InvoiceAdmin
from billing.mail_desk import NoticeAdmin
from billing.models import Plan
from billing.money_admin import CouponAdmin, PackAdmin, SubscriptionAdmin
from quotas.allowances import InvalidTerms, check_limits, check_patterns

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[Plan]
    ModelForm = forms.ModelForm[Plan]
else:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm


class PlanForm(ModelForm):
    """Refuses terms that the ledger could not keep."""

    class Meta:
        model = Plan
        exclude: list[str] = []
        help_texts = {
            "limits": 'A list such as [{"scope": "*", "unit": "tokens", "limit": 50000}]; null is unlimited.',
            "model_patterns": 'A list such as ["*"] or ["openai/*"].',
            "price_month_paise": "In paise: ₹499 is 49900.",
        }

    def clean_limits(self) -> Any:
        try:
            return check_limits(self.cleaned_data["limits"])
        except InvalidTerms as error:
            raise forms.ValidationError(str(error)) from error

    def clean_model_patterns(self) -> Any:
        try:
            return check_patterns(self.cleaned_data["model_patterns"])
        except (InvalidTerms, TypeError) as error:
            raise forms.ValidationError("a list of texts such as * or openai/*") from error

    def clean_features(self) -> Any:
        features = self.cleaned_data["features"]
        if not isinstance(features, list) or any(not isinstance(each, str) for each in features):
            raise forms.ValidationError("a list of texts")
        return features

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in ("price_month_paise", "price_year_paise"):
            if (self.cleaned_data.get(name) or 0) < 0:
                self.add_error(name, "A price is never negative.")
        return cleaned


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    form = PlanForm
    list_display = ["name", "code", "price_month_paise", "price_year_paise", "per_seat", "is_active", "position"]
    ordering = ["position"]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        return ["code"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A plan is taken off sale, never deleted: people have it."""
        return False

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        """Save, with an audit entry; the free plan becomes what everybody without a plan may."""
        actor: Any = request.user
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            audit.record(
                str(actor),
                "plan.changed" if change else "plan.added",
                target=obj.code,
                details={"fields": list(form.changed_data)},
                actor_id=actor.pk,
            )
            if {"limits", "model_patterns", *plans.rates(obj)} & set(form.changed_data):
                plans.publish_default(obj, str(actor))


__all__ = [
    "CouponAdmin",
    "InvoiceAdmin",
    "NoticeAdmin",
    "PackAdmin",
    "PlanAdmin",
    "SubscriptionAdmin",
    "WebhookEventAdmin",
]
