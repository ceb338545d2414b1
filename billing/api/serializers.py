"""The shapes of the billing answers."""

from __future__ import annotations

from rest_framework import serializers

from billing.models import Plan
from quotas.api.serializers import RatesSerializer


class PlanLimitSerializer(serializers.Serializer[object]):
    """A limit of a plan; null is unlimited."""

    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    limit = serializers.IntegerField(allow_null=True)


class PriceSerializer(serializers.Serializer[Plan]):
    """Prices in the smallest unit of the plan's currency (paise)."""

    month = serializers.IntegerField(source="price_month_paise")
    year = serializers.IntegerField(source="price_year_paise")


class PlanSerializer(serializers.ModelSerializer[Plan]):
    """A plan on sale."""

    price = PriceSerializer(source="*")
    limits = PlanLimitSerializer(many=True)
    features = serializers.ListField(child=serializers.CharField())
    model_patterns = serializers.ListField(child=serializers.CharField())
    rates = RatesSerializer(source="*")

    class Meta:
        model = Plan
        fields = [
            "id",
            "code",
            "name",
            "tagline",
            "currency",
            "price",
            "per_seat",
            "features",
            "limits",
            "model_patterns",
            "rates",
        ]
