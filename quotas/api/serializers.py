"""The shapes of the quota answers, for the API's description."""

from __future__ import annotations

from rest_framework import serializers

from accounts.models import TeamRole


class LimitSerializer(serializers.Serializer[object]):
    """A limit; ``limit`` and ``remaining`` are null when unlimited."""

    scope = serializers.CharField(help_text="`*`, a model id, `class:x`, `key:<id>` or `team:<id>`")
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField()
    held = serializers.IntegerField()
    remaining = serializers.IntegerField(allow_null=True)
    reset_at = serializers.DateTimeField()
    shared = serializers.BooleanField(
        required=False,
        help_text="There when a team pays: whether all its members use it together, or it is what one may use of it.",
    )


class OverrideSerializer(serializers.Serializer[object]):
    """A limit that staff set for this account; ``until`` null: until it is ended."""

    reason = serializers.CharField()
    starts_at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)


class RatesOverrideSerializer(OverrideSerializer):
    """Rates that staff set for this account, by name."""

    rates = serializers.ListField(child=serializers.CharField())


class OwnLimitSerializer(LimitSerializer):
    """A limit; ``remaining`` counts what top-ups add, ``override`` is there when staff set it."""

    override = OverrideSerializer(required=False)


class TopUpSerializer(serializers.Serializer[object]):
    """What comes to the plan's quota and is used after it; ``expires_at`` null: it does not expire."""

    id = serializers.UUIDField()
    cause = serializers.ChoiceField(choices=["pay", "sub", "admin"])
    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    amount = serializers.IntegerField()
    used = serializers.IntegerField()
    held = serializers.IntegerField()
    remaining = serializers.IntegerField()
    starts_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()


class OwedSerializer(serializers.Serializer[object]):
    """What was used of a top-up whose payment was given back; it is taken from what comes next."""

    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    amount = serializers.IntegerField()


class PeriodSerializer(serializers.Serializer[object]):
    """A period, from ``start`` up to ``end``."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class RatesSerializer(serializers.Serializer[object]):
    """Rates; null is unlimited."""

    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    concurrent_generations = serializers.IntegerField(allow_null=True)


class PayingTeamSerializer(serializers.Serializer[object]):
    """The team that pays."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=TeamRole.choices)


class QuotaSerializer(serializers.Serializer[object]):
    """What an account may still use."""

    plan = serializers.CharField(help_text="The team's while it pays.")
    period = PeriodSerializer()
    team = PayingTeamSerializer(required=False)
    limits = OwnLimitSerializer(many=True)
    rates = RatesSerializer()
    topups = TopUpSerializer(many=True)
    owed = OwedSerializer(many=True, required=False)
    rate_overrides = RatesOverrideSerializer(many=True, required=False)
