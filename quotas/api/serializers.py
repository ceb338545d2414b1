"""The shapes of the quota answers, for the API's description."""

from __future__ import annotations

from rest_framework import serializers


class LimitSerializer(serializers.Serializer[object]):
    """A limit; ``limit`` and ``remaining`` are null when unlimited."""

    scope = serializers.CharField(help_text="`*`, a model id, `class:x`, `key:<id>` or `team:<id>`")
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField()
    held = serializers.IntegerField()
    remaining = serializers.IntegerField(allow_null=True)
    reset_at = serializers.DateTimeField()


class PeriodSerializer(serializers.Serializer[object]):
    """A period, from ``start`` up to ``end``."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class RatesSerializer(serializers.Serializer[object]):
    """Rates; null is unlimited."""

    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    concurrent_generations = serializers.IntegerField(allow_null=True)


class QuotaSerializer(serializers.Serializer[object]):
    """What an account may still use."""

    plan = serializers.CharField()
    period = PeriodSerializer()
    limits = LimitSerializer(many=True)
    rates = RatesSerializer()
    topups = serializers.ListField(child=serializers.DictField())
