"""The shapes of ``/api/admin``: what is answered, and what is sent to change something."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Role
from adminpanel.api.doors import REASON
from billing.api.subscription_shapes import WHEN
from billing.models import SubscriptionStatus, WebhookState
from oneai.kit.fields import Body, Flag, Moment, Text, WholeNumber
from oneai.kit.money import nano_from_usd
from quotas.allowances import InvalidTerms, check_amount
from quotas.api.serializers import (
    LimitSerializer,
    OverrideSerializer,
    PeriodSerializer,
    RatesSerializer,
    TopUpSerializer,
)

UNLIMITED: Final = "unlimited"
LONGEST_REASON: Final = 500


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": [UNLIMITED]}]})
class Amount(serializers.Field[Any, Any, Any, Any]):
    """A whole number from 0 on, or ``unlimited``; read as an int or None."""

    def to_internal_value(self, data: object) -> int | None:
        if data == UNLIMITED:
            return None
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError(f"Must be a whole number from 0 on, or {UNLIMITED!r}.")
        try:
            return check_amount("it", data)
        except InvalidTerms as error:
            raise serializers.ValidationError(f"Must be a whole number from 0 on, or {UNLIMITED!r}.") from error

    def to_representation(self, value: Any) -> Any:
        return UNLIMITED if value is None else value


@extend_schema_field({"type": "string", "example": "2.50"})
class Dollars(serializers.Field[Any, Any, Any, Any]):
    """An amount in dollars as a decimal string, or ``unlimited``; read as nano-USD or None."""

    def to_internal_value(self, data: object) -> int | None:
        if data == UNLIMITED:
            return None
        try:
            if not isinstance(data, str):
                raise ValueError
            return check_amount("it", nano_from_usd(data))
        except ValueError as error:
            raise serializers.ValidationError(f"Must be dollars as a decimal string, or {UNLIMITED!r}.") from error

    def to_representation(self, value: Any) -> Any:
        return value


class ReasonedBody(Body):
    """A change that says why."""

    reason = Text(max_length=LONGEST_REASON, help_text=REASON)


class UserBody(ReasonedBody):
    """Exactly one change: ``is_active``, ``sign_out``, or ``plan`` (with ``until``), which needs another permission."""

    is_active = Flag(required=False, help_text="false ends all that they are signed in by.")
    sign_out = Flag(required=False, help_text="true: end every session and token.")
    plan = Text(max_length=40, required=False, help_text="The code of a plan, given from now on without a payment.")
    until = Moment(required=False, help_text="The end of the plan.")


class RatesBody(Body):
    """Rates; those that are left out stay."""

    requests_per_minute = Amount(required=False)
    tokens_per_minute = Amount(required=False)
    concurrent_generations = Amount(required=False)


class QuotaBody(ReasonedBody):
    """One change: limits of a scope (``tokens``, ``usd``), ``rates``, ``extra_tokens``, or the end of an override."""

    scope = Text(max_length=200, required=False, help_text="`*` when left out, a model's id, or `class:NAME`.")
    tokens = Amount(required=False, help_text="The period's limit: not an addition. It lifts the limit in dollars.")
    usd = Dollars(required=False, help_text="The period's limit in dollars.")
    rates = RatesBody(required=False)
    extra_tokens = WholeNumber(min_value=1, max_value=10**15, required=False, help_text="Beside the plan, on top.")
    starts_at = Moment(required=False, help_text="A limit may begin later.")
    until = Moment(required=False, help_text="What was before holds again from then on.")
    end_override = serializers.UUIDField(required=False, help_text="The id of an override that is to end now.")


class SubscriptionBody(ReasonedBody):
    """When it is to end."""

    cancel = serializers.ChoiceField(choices=WHEN, help_text="`now` gives back the unused part.")


class ReplayBody(Body):
    """Why, if there is something to say."""

    reason = Text(max_length=LONGEST_REASON, required=False, allow_blank=True)


class NameShape(serializers.Serializer[Any]):
    """Whose it is."""

    id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()


class StaffUserShape(NameShape):
    """A person."""

    role = serializers.ChoiceField(choices=Role.choices)
    plan = serializers.CharField()
    subscription_status = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    last_login = serializers.DateTimeField(allow_null=True)


class StaffOverrideShape(OverrideSerializer):
    """What staff set for one person: a limit, or rates."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["limit", "rates"])
    scope = serializers.CharField(allow_null=True)
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"], allow_null=True)
    limit = serializers.IntegerField(allow_null=True)
    rates = serializers.DictField(child=serializers.IntegerField(allow_null=True), allow_null=True)
    actor = serializers.CharField()


class StaffQuotaShape(serializers.Serializer[Any]):
    """Where somebody's quota stands."""

    user = NameShape()
    plan = serializers.CharField()
    period = PeriodSerializer()
    limits = LimitSerializer(many=True)
    rates = RatesSerializer()
    topups = TopUpSerializer(many=True)
    overrides = StaffOverrideShape(many=True)


class StaffSubscriptionShape(serializers.Serializer[Any]):
    """A subscription. Amounts are of a cycle, in paise."""

    id = serializers.UUIDField()
    user = NameShape()
    team_id = serializers.UUIDField(allow_null=True)
    razorpay_subscription_id = serializers.CharField(allow_null=True)
    plan = serializers.CharField()
    interval = serializers.CharField()
    seats = serializers.IntegerField()
    amount = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=SubscriptionStatus.choices)
    current_period_start = serializers.DateTimeField(allow_null=True)
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_cycle_end = serializers.BooleanField()
    ended_at = serializers.DateTimeField(allow_null=True)
    paid_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class AuditShape(serializers.Serializer[Any]):
    """What was done, by whom, to what and why."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor_id = serializers.UUIDField(allow_null=True)
    actor = serializers.CharField(source="actor_label")
    action = serializers.CharField()
    subject_id = serializers.UUIDField(allow_null=True)
    target = serializers.CharField()
    reason = serializers.CharField()
    details = serializers.DictField()
    request_id = serializers.CharField()


class WebhookShape(serializers.Serializer[Any]):
    """An event that came in. Its body is on the desk alone."""

    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    event_id = serializers.CharField()
    event_type = serializers.CharField()
    state = serializers.ChoiceField(choices=WebhookState.choices)
    attempts = serializers.IntegerField()
    last_error = serializers.CharField()
    received_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    handled_at = serializers.DateTimeField(allow_null=True)


class FiguresShape(serializers.Serializer[Any]):
    """Money in paise (null where money has no such part), tokens, and cost at the upstreams."""

    payments = serializers.IntegerField(allow_null=True)
    paid_paise = serializers.IntegerField(allow_null=True)
    refunds = serializers.IntegerField(allow_null=True)
    refunded_paise = serializers.IntegerField(allow_null=True)
    net_paise = serializers.IntegerField(allow_null=True, help_text="Paid less refunded, tax included.")
    invoiced_paise = serializers.IntegerField(allow_null=True, help_text="Invoices less credit notes.")
    tax_paise = serializers.IntegerField(allow_null=True, help_text="On those invoices.")
    failed_payments = serializers.IntegerField(allow_null=True)
    failed_paise = serializers.IntegerField(allow_null=True)
    active_users = serializers.IntegerField()
    calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    cost_usd = serializers.CharField()
    estimated_cost_usd = serializers.CharField(help_text="The part that no upstream has confirmed.")
    cost_paise = serializers.IntegerField(allow_null=True, help_text="null: no exchange rate was named.")
    margin_paise = serializers.IntegerField(allow_null=True, help_text="Net, less tax, less cost.")


class AnalyticsLineShape(FiguresShape):
    """One day, plan or model: that field alone is there."""

    day = serializers.DateField(required=False)
    plan = serializers.CharField(required=False)
    model = serializers.CharField(required=False)


class RecurringShape(serializers.Serializer[Any]):
    """What recurs at the end of the days, and who was lost in them."""

    mrr_paise = serializers.IntegerField()
    subscribers = serializers.IntegerField()
    subscribers_at_start = serializers.IntegerField()
    subscribers_new = serializers.IntegerField()
    subscribers_lost = serializers.IntegerField()
    churn = serializers.CharField(allow_null=True, help_text="Of those at the start, from 0 to 1.")
    mrr_at_start_paise = serializers.IntegerField()
    mrr_lost_paise = serializers.IntegerField()
    mrr_churn = serializers.CharField(allow_null=True)


class AnalyticsShape(serializers.Serializer[Any]):
    """The figures of some days."""

    group = serializers.ChoiceField(choices=["day", "plan", "model"])
    to = serializers.DateField()
    currency = serializers.CharField()
    totals = FiguresShape()
    recurring = RecurringShape()
    results = AnalyticsLineShape(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {"from": serializers.DateField()}  # a keyword can't be a class attribute
