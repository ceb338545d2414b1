"""Receipts over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.doors import ScopedView, principal
from chat import receipts
from chat.models import ModelPrice
from quotas.api.usage_shapes import EntryNumberShape, HoldShape, TokensShape
from quotas.models import UsageRecord
from quotas.policy import UNITS


class ReceiptPriceShape(serializers.Serializer[Any]):
    """The version of the price that was pinned when the answer was asked for."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    source = serializers.ChoiceField(choices=ModelPrice.Source.choices)  # type: ignore[assignment]
    prompt_pico_usd = serializers.IntegerField(help_text="For each token.")
    completion_pico_usd = serializers.IntegerField(help_text="For each token.")
    cached_pico_usd = serializers.IntegerField(allow_null=True, help_text="null: cached tokens cost as others.")
    request_nano_usd = serializers.IntegerField(help_text="For the call itself.")
    prompt_usd_per_million = serializers.CharField()
    completion_usd_per_million = serializers.CharField()


class ChargeShape(serializers.Serializer[Any]):
    """What was charged, on whose word, and by what it was worked out."""

    tokens = serializers.IntegerField()
    nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    source = serializers.ChoiceField(choices=UsageRecord.Source.choices)  # type: ignore[assignment]
    basis = serializers.ChoiceField(choices=receipts.BASES)
    billed_usd = serializers.CharField(allow_null=True, help_text="The upstream's own bill, if it gave one.")
    overrun_tokens = serializers.IntegerField()
    overrun_nano_usd = serializers.IntegerField()
    settled_at = serializers.DateTimeField()


class ReceiptLimitShape(serializers.Serializer[Any]):
    """A limit that the answer counted on, in its unit; null where it is unlimited."""

    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=UNITS)
    shared = serializers.BooleanField(
        required=False, help_text="There when a team paid: whether it is all its members', or what one may use."
    )
    top_up = serializers.BooleanField(help_text="Whether it is a top-up beside the limit.")
    limit = serializers.IntegerField(allow_null=True)
    held = serializers.IntegerField()
    charged = serializers.IntegerField()
    balance_before = serializers.IntegerField(allow_null=True)
    balance_after = serializers.IntegerField(allow_null=True)


class ReceiptEntryShape(EntryNumberShape):
    """An entry of the account's ledger, in the unit of its limit."""

    at = serializers.DateTimeField()
    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=UNITS)
    shared = serializers.BooleanField(required=False)
    top_up = serializers.BooleanField()
    held = serializers.IntegerField()
    used = serializers.IntegerField()
    overrun = serializers.IntegerField()


class ReceiptShape(serializers.Serializer[Any]):
    """What an answer cost. ``free``: nothing was charged; ``running``: it is not settled yet."""

    message_id = serializers.UUIDField()
    generation_id = serializers.UUIDField()
    model = serializers.CharField()
    state = serializers.ChoiceField(choices=receipts.STATES)
    asked_at = serializers.DateTimeField()
    team_id = serializers.UUIDField(allow_null=True, help_text="The team that pays.")
    hold = HoldShape()
    price = ReceiptPriceShape(allow_null=True)
    usage = TokensShape(allow_null=True)
    charge = ChargeShape(allow_null=True)
    limits = ReceiptLimitShape(many=True)
    ledger_entries = ReceiptEntryShape(many=True)


class MessageReceipt(ScopedView):
    """The receipt of an answer."""

    scope = "conversations"

    @extend_schema(operation_id="messages_receipt", responses=ReceiptShape)
    def get(self, request: Request, message_id: str) -> Response:
        """What was set aside, used and charged for an answer, with the price, the balances and the ledger entries."""
        return Response(receipts.receipt(principal(request), message_id))
