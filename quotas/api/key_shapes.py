"""How API keys look on the wire, and what may be written to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import key_terms, own_keys
from accounts.models import ApiKey
from accounts.principal import SCOPES
from oneai.kit.fields import Body, Moment, Text, Texts, WholeNumber
from quotas.api.serializers import LimitSerializer
from quotas.figures import LimitState

UNLIMITED: Final = "unlimited"
NEVER: Final = "never"
# In a body null is as good as left out, so what is to be lifted is named by a word.
_LIMIT: Final = {
    "oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": [UNLIMITED]}],
    "nullable": True,
}
_END: Final = {
    "oneOf": [{"type": "string", "format": "date-time"}, {"type": "string", "enum": [NEVER]}],
    "nullable": True,
}
_PLAIN: Final = ("name", "scopes", "allowed_models", *key_terms.LIMITS)


@extend_schema_field(_LIMIT)
class Limit(WholeNumber):
    """A whole number from 1 on, or the word for none."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == UNLIMITED else super().run_validation(data)


@extend_schema_field(_END)
class End(Moment):
    """A time, or the word for none."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == NEVER else super().run_validation(data)


class KeyChange(Body):
    """The terms of a key that are to change; an empty list lifts that bound."""

    name = Text(max_length=1000, help_text=f"1 to {key_terms.LONGEST_NAME} characters.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(SCOPES)), required=False, help_text="At least one."
    )
    expires_at = End(required=False, help_text="A time to come.")
    allowed_models = Texts(required=False, help_text="Ids, `*` for any text; none: every model of the plan.")
    allowed_addresses = Texts(required=False, help_text="IPv4 and IPv6 addresses and ranges; none: from anywhere.")
    limit_tokens = Limit(required=False, help_text="What the key may use in a period.")
    limit_nano_usd = Limit(required=False, help_text="What the key may cost in a period, in 10⁻⁹ dollars.")
    requests_per_minute = Limit(required=False)
    tokens_per_minute = Limit(required=False)

    def to_internal_value(self, data: object) -> Any:
        values = super().to_internal_value(data)
        if "allowed_addresses" in values:
            values["allowed_networks"] = values.pop("allowed_addresses")
        return values


class NewKey(KeyChange):
    """The terms of a new key; without scopes it may do all that a key can."""


class Rotation(Body):
    """For how long the text that the key has now stays good."""

    overlap_seconds = WholeNumber(
        min_value=0,
        max_value=int(own_keys.LONGEST_OVERLAP.total_seconds()),
        required=False,
        default=int(own_keys.USUAL_OVERLAP.total_seconds()),
        help_text="0 ends it at once.",
    )

    @staticmethod
    def overlap(values: Mapping[str, Any]) -> timedelta:
        """The overlap in the fields of a body."""
        seconds = values.get("overlap_seconds")
        return own_keys.USUAL_OVERLAP if seconds is None else timedelta(seconds=seconds)


class PreviousText(serializers.Serializer[Any]):
    """The text before the last rotation, by its prefix."""

    prefix = serializers.CharField()
    until = serializers.DateTimeField()


class KeyShape(serializers.Serializer[Any]):
    """A key, without its text."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="What its text begins with.")
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True, help_text="null: never.")
    allowed_models = serializers.ListField(child=serializers.CharField())
    allowed_addresses = serializers.ListField(child=serializers.CharField())
    limit_tokens = serializers.IntegerField(allow_null=True)
    limit_nano_usd = serializers.IntegerField(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    limits = LimitSerializer(many=True, help_text="How its own budgets stand in this period.")
    previous = PreviousText(allow_null=True, help_text="What is still good from before the last rotation.")
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    created_at = serializers.DateTimeField()


class KeyWithText(KeyShape):
    """A key with its text, which is shown this once."""

    key = serializers.CharField()


def shown(key: ApiKey, limits: Sequence[LimitState], at: datetime, text: str = "") -> dict[str, Any]:
    """A key as an answer; with ``text`` the one answer that has it."""
    previous = None
    if key.previous_until is not None and key.previous_until > at:
        previous = {"prefix": key.previous_prefix, "until": key.previous_until}
    values: dict[str, Any] = {name: getattr(key, name) for name in ("id", *_PLAIN, "prefix", "expires_at")}
    values |= {
        "allowed_addresses": key.allowed_networks,
        "limits": [limit.as_json() for limit in limits],
        "previous": previous,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
    }
    if text:
        return dict(KeyWithText(values | {"key": text}).data)
    return dict(KeyShape(values).data)
