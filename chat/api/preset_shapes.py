"""How presets look on the wire, and what may be written to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat import presets
from chat.api.shapes import EmptyIsNull, known_model
from chat.preset_models import Preset
from chat.requests import EFFORTS, LONGEST_MESSAGE, LONGEST_SYSTEM, MOST_TOKENS
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, Text, WholeNumber


class ParametersShape(serializers.Serializer[Preset]):
    """What is asked of the model beside the words; null leaves it to the message or to the model."""

    temperature = serializers.FloatField(allow_null=True)
    max_tokens = serializers.IntegerField(allow_null=True)
    reasoning_effort = EmptyIsNull()


class PresetShape(serializers.Serializer[Preset]):
    """A preset."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prompt = EmptyIsNull(help_text="Words for the message box.")
    system = EmptyIsNull()
    model = EmptyIsNull()
    parameters = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(ParametersShape)
    def get_parameters(self, preset: Preset) -> dict[str, Any]:
        return dict(ParametersShape(preset).data)


class Decimal(serializers.FloatField):
    """A JSON number; neither "0.5" nor true."""

    def to_internal_value(self, data: object) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError("Must be a number.")
        return float(super().to_internal_value(data))


class Parameters(Body):
    """The parameters, all of them: what is left out is left to the message or to the model."""

    temperature = Decimal(min_value=0, max_value=2, required=False)
    max_tokens = WholeNumber(min_value=1, max_value=MOST_TOKENS, required=False)
    reasoning_effort = serializers.ChoiceField(choices=EFFORTS, required=False)


class PresetChange(Body):
    """What may be changed: what is left out or null stays, an empty text clears, ``parameters`` are replaced whole."""

    name = Text(max_length=presets.LONGEST_NAME, required=False)
    prompt = Text(max_length=LONGEST_MESSAGE, required=False, allow_blank=True, trim_whitespace=False)
    system = Text(max_length=LONGEST_SYSTEM, required=False, allow_blank=True, trim_whitespace=False)
    model = Text(max_length=200, required=False, allow_blank=True)
    parameters = Parameters(required=False)

    def validate_name(self, value: str) -> str:
        name = " ".join(value.split())
        if not name or not name.isprintable():
            raise serializers.ValidationError("Use printable characters.")
        return name

    def validate_model(self, value: str) -> str:
        return known_model(value)


class NewPreset(PresetChange):
    """A preset to make; only its name must be there."""

    name = Text(max_length=presets.LONGEST_NAME)


def columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a checked body gives."""
    values = dict(given)
    wanted = values.pop("parameters", None)
    if wanted is not None:
        values |= {
            "temperature": wanted.get("temperature"),
            "max_tokens": wanted.get("max_tokens"),
            "reasoning_effort": wanted.get("reasoning_effort", ""),
        }
    return values


def needed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """``values`` of a new preset. Refusal ``missing_required_parameter`` without a name."""
    if "name" not in values:
        raise Refusal("missing_required_parameter", "name is required.", param="name")
    return values
