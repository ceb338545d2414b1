"""Money on the staff desk: what was subscribed, paid and given back, to be read; packs and coupons, to be sold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.models import Role
from billing import refunds
from billing.models import (
    Coupon,
    Difference,
    Pack,
    Payment,
    Price,
    Purchase,
    Refund,
    Subscription,
    SubscriptionChange,
)
from oneai.kit.read_only_admin import ReadOnly, Rows

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[Any]
    ModelForm = forms.ModelForm[Coupon]
else:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm


class Changes(Rows):
    """What happened to a subscription, in order."""

    model = SubscriptionChange
    fields = ["created_at", "kind", "before", "after", "actor", "reason", "details"]
    readonly_fields = ["created_at", "kind", "before", "after", "actor", "reason", "details"]


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ["user", "plan", "status", "quantity", "current_period_end", "cancel_at_cycle_end", "created_at"]
    list_filter = ["status", "plan", "mode"]
    search_fields = ["user__email", "razorpay_subscription_id"]
    list_select_related = ["user", "plan"]
    inlines = [Changes]


@admin.register(Payment)
class PaymentAdmin(ReadOnly):
    list_display = ["razorpay_payment_id", "user", "amount_paise", "refunded_paise", "status", "method", "created_at"]
    list_filter = ["status", "method", "mode"]
    search_fields = ["user__email", "razorpay_payment_id", "razorpay_order_id"]
    list_select_related = ["user"]


@admin.register(Purchase)
class PurchaseAdmin(ReadOnly):
    list_display = ["user", "pack", "amount_paise", "status", "credited_at", "created_at"]
    list_filter = ["status", "pack"]
    search_fields = ["user__email", "razorpay_order_id"]
    list_select_related = ["user", "pack"]


@admin.register(Refund)
class RefundAdmin(ReadOnly):
    """What has to be paid by hand has the status ``to_pay``: whoever has paid it says so here."""

    actions = ["paid_by_hand"]

    def has_money_permission(self, request: HttpRequest) -> bool:
        """Whose work money is."""
        return getattr(request.user, "role", None) in (Role.FINANCE, Role.OWNER)

    @admin.action(description="Paid by hand, by another way than Razorpay", permissions=["money"])
    def paid_by_hand(self, request: HttpRequest, queryset: QuerySet[Refund]) -> None:
        staff: Any = request.user
        done = 0
        for row in queryset.select_related("payment"):
            with transaction.atomic():
                if not refunds.paid_by_hand(row):
                    continue
                done += 1
                details = {"payment": row.payment.razorpay_payment_id, "amount_paise": row.amount_paise}
                audit.record(staff.email, "refund.paid_by_hand", target=row.key, details=details, actor_id=staff.pk)
        self.message_user(request, f"Noted as paid: {done} of {len(queryset)}.", messages.SUCCESS)

    list_display = ["payment", "amount_paise", "status", "reason", "attempts", "created_at"]
    list_filter = ["status"]
    search_fields = ["payment__razorpay_payment_id", "razorpay_refund_id", "key"]
    list_select_related = ["payment"]


@admin.register(Price)
class PriceAdmin(ReadOnly):
    list_display = ["plan", "interval", "version", "amount_paise", "current", "mode", "razorpay_plan_id"]
    list_filter = ["current", "mode", "plan"]
    list_select_related = ["plan"]


@admin.register(Difference)
class DifferenceAdmin(ReadOnly):
    list_display = ["kind", "reference", "ours", "theirs", "repaired_at", "found_at"]
    list_filter = ["kind", ("repaired_at", admin.EmptyFieldListFilter)]
    search_fields = ["reference"]


class Sold(ModelAdmin):
    """Something that staff sell: changed with an audit entry, taken off sale and never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["code"] if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor: Any = request.user
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            audit.record(
                str(actor),
                f"{obj._meta.model_name}.{'changed' if change else 'added'}",
                target=obj.code,
                details={"fields": list(form.changed_data)},
                actor_id=actor.pk,
            )


@admin.register(Pack)
class PackAdmin(Sold):
    list_display = ["name", "code", "amount_paise", "tokens", "days", "is_active", "position"]


class CouponForm(ModelForm):
    """Refuses a coupon that takes off nothing, or twice."""

    class Meta:
        model = Coupon
        exclude = ["uses"]
        help_texts = {
            "plans": 'A list of plans such as ["plus"]; "packs" is all packs of tokens; empty is everything.',
            "amount_paise": "In paise: ₹50 is 5000.",
            "razorpay_offer_id": "The offer at Razorpay that takes it off a subscription: only Razorpay can do that.",
        }

    def clean_percent(self) -> int | None:
        percent: int | None = self.cleaned_data["percent"]
        if percent is not None and not 1 <= percent <= 100:
            raise forms.ValidationError("From 1 to 100.")
        return percent

    def clean_plans(self) -> list[str]:
        found = self.cleaned_data["plans"] or []
        if not isinstance(found, list) or any(not isinstance(each, str) for each in found):
            raise forms.ValidationError("A list of texts.")
        return found

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = [name for name in ("percent", "amount_paise") if self.cleaned_data.get(name)]
        if len(given) == 2:
            raise forms.ValidationError("Either a percentage or an amount.")
        if not given and not self.cleaned_data.get("bonus_tokens"):
            raise forms.ValidationError("A percentage, an amount or bonus tokens.")
        return cleaned


@admin.register(Coupon)
class CouponAdmin(Sold):
    form = CouponForm
    list_display = ["code", "percent", "amount_paise", "bonus_tokens", "uses", "most_uses", "until", "is_active"]
