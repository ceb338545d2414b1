"""The shapes of the usage answers, for the API's description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from quotas.api.serializers import PeriodSerializer
from quotas.models import LedgerEntry, UsageRecord


class SumsShape(serializers.Serializer[object]):
    """Calls, tokens by kind and cost. Reasoning is among the completion's tokens, cached among the prompt's."""

    calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    cost_usd = serializers.CharField(help_text="Exact, a decimal string.")
    average_cost_usd = serializers.CharField(allow_null=True, help_text="For each call, to the nearest nano-dollar.")
    cost_per_1k_tokens_usd = serializers.CharField(allow_null=True)
    estimated_calls = serializers.IntegerField(help_text="Calls that were charged by an estimate.")
    estimated_cost_usd = serializers.CharField()


class UsageKeyShape(serializers.Serializer[object]):
    """An API key; its name is empty once it is gone."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()


class _GroupShape(serializers.Serializer[object]):
    day = serializers.DateField(required=False, help_text="With `group=day`.")
    model = serializers.CharField(required=False, help_text="With `group=model`.")
    key = UsageKeyShape(required=False, allow_null=True, help_text="With `group=key`; null: without a key.")
    conversation_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="With `group=conversation`; null: calls that stored nothing."
    )


class UsageGroupShape(_GroupShape, SumsShape):
    """What one day, model, key or conversation used."""

    share = serializers.CharField(help_text="Of the cost, else of the tokens, from 0 to 1 with four places.")


class MostExpensiveShape(_GroupShape):
    """The day, model, key or conversation that cost most."""

    cost_usd = serializers.CharField()
    share = serializers.CharField()


class ProjectionShape(serializers.Serializer[object]):
    """What the running period comes to at this pace."""

    total_tokens = serializers.IntegerField()
    cost_usd = serializers.CharField()


class LastPeriodShape(serializers.Serializer[object]):
    """The period before: all of it, and its days up to today's counterpart."""

    start = serializers.DateTimeField()
    totals = SumsShape()
    by_this_day = SumsShape()


class AccountUsageShape(serializers.Serializer[object]):
    """Usage in a range of days; with no range, in the running period."""

    timezone = serializers.CharField(
        help_text="The zone that the days are of: the person's own, or for up to an hour after a change the one before."
    )
    group = serializers.ChoiceField(choices=["day", "model", "key", "conversation"])
    to = serializers.DateField()
    period = PeriodSerializer(allow_null=True, help_text="null when a range was asked for.")
    totals = SumsShape()
    most_expensive = MostExpensiveShape(allow_null=True)
    projection = ProjectionShape(allow_null=True, help_text="null on the period's first day, and with a range.")
    last_period = LastPeriodShape(allow_null=True)
    results = UsageGroupShape(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {"from": serializers.DateField()}  # a keyword can't be a class attribute


class HoldShape(serializers.Serializer[object]):
    """What was set aside for a call."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    max_tokens = serializers.IntegerField(help_text="The most completion tokens that it covered.")
    tokens = serializers.IntegerField()
    nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()


class EntryNumberShape(serializers.Serializer[object]):
    """Where in the account's ledger an entry stands."""

    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=LedgerEntry.Kind.choices)


class TokensShape(serializers.Serializer[object]):
    """Tokens by kind."""

    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class UsageRecordShape(TokensShape):
    """One call that was charged."""

    id = serializers.UUIDField()
    asked_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField()
    period_start = serializers.DateTimeField()
    reference = serializers.CharField()
    model = serializers.CharField()
    key_id = serializers.UUIDField(allow_null=True)
    team_id = serializers.UUIDField(allow_null=True, help_text="The team that paid.")
    conversation_id = serializers.UUIDField(allow_null=True)
    cost_usd = serializers.CharField()
    source = serializers.ChoiceField(choices=UsageRecord.Source.choices)  # type: ignore[assignment]
    price_id = serializers.UUIDField(allow_null=True)
    hold = HoldShape()
    ledger_entries = EntryNumberShape(many=True)


class RefusedCallShape(serializers.Serializer[object]):
    """Calls that one limit, rate or list of models refused, within a minute of each other; figures of the last."""

    code = serializers.CharField()
    message = serializers.CharField()
    scope = serializers.CharField(
        help_text="Whose limit: `*` the plan's, a model, `class:x`, `key:<id>`, `team:<id>`, or `global`, of all."
    )
    unit = serializers.CharField(
        allow_null=True,
        help_text="`tokens` or `nano_usd` of a period, `requests_per_minute`, `tokens_per_minute` or "
        "`concurrent_generations`; null where a list of models refused.",
    )
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(allow_null=True)
    held = serializers.IntegerField(allow_null=True, help_text="Set aside for answers that ran.")
    remaining = serializers.IntegerField(allow_null=True)
    asked = serializers.IntegerField(allow_null=True, help_text="The least that would have done.")
    shared = serializers.BooleanField(
        allow_null=True, help_text="Of a team's limits: whether all members use it together, or it is the member's own."
    )
    models = serializers.ListField(child=serializers.CharField())
    key_id = serializers.UUIDField(allow_null=True)
    request_id = serializers.CharField(help_text="Of the last of them.")
    at = serializers.DateTimeField(help_text="When the last of them was refused.")
    first_at = serializers.DateTimeField()
    frees_at = serializers.DateTimeField(allow_null=True, help_text="null: when an answer ends, or never by itself.")
    times = serializers.IntegerField(help_text="How many they were, at least.")


class RefusedCallsShape(serializers.Serializer[object]):
    """What was refused lately; all that is kept is on this page."""

    results = RefusedCallShape(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
