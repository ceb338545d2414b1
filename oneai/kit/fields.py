"""Strict reading of bodies and query parameters: no guessing, and every fault names its field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any, Final, TypeVar

import orjson
from rest_framework import serializers
from rest_framework.request import Request

from oneai.kit.clock import calendar_day
from oneai.kit.errors import Refusal

Choice = TypeVar("Choice")

LONGEST_QUERY: Final = 200
MOST_METADATA_BYTES: Final = 16 * 1024


class Text(serializers.CharField):
    """A JSON string; a number or a boolean is not taken for one. Null characters are refused."""

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a string.")
        return str(super().to_internal_value(data))


class Flag(serializers.BooleanField):
    """true or false, and neither "true" nor 1."""

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Must be true or false.")
        return data


class Texts(serializers.ListField):
    """A list of strings; how many and which is the writer's affair."""

    child = Text(max_length=1000)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=1000, **kwargs)

    def to_internal_value(self, data: object) -> list[str]:
        if not isinstance(data, list):
            raise serializers.ValidationError("Must be a list of strings.")
        return list(super().to_internal_value(data))


class WholeNumber(serializers.IntegerField):
    """A JSON integer; neither "5" nor 5.0 nor true."""

    def to_internal_value(self, data: object) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("Must be a whole number.")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A JSON number; neither "5" nor true."""

    def to_internal_value(self, data: object) -> float:
        if not isinstance(data, int | float) or isinstance(data, bool):
            raise serializers.ValidationError("Must be a number.")
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A time in ISO 8601, UTC unless it says otherwise."""

    def to_internal_value(self, data: object) -> datetime:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a time in ISO 8601.")
        try:
            return moment(data)
        except (ValueError, OverflowError) as error:
            raise serializers.ValidationError("Must be a time in ISO 8601.") from error


class Metadata(serializers.DictField):
    """Any JSON object of up to 16 KiB."""

    def to_internal_value(self, data: object) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object.")
        written = orjson.dumps(data)
        if len(written) > MOST_METADATA_BYTES:
            raise serializers.ValidationError("Must not be larger than 16 KiB.")
        if b"\\u0000" in written:
            raise serializers.ValidationError("Null characters are not allowed.")
        return data


class Tags(serializers.ListField):
    """Up to 20 different tags of up to 50 characters, in the order given."""

    child = Text(max_length=50)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)

    def to_internal_value(self, data: object) -> list[str]:
        if not isinstance(data, list):
            raise serializers.ValidationError("Must be a list of strings.")
        return list(dict.fromkeys(super().to_internal_value(data)))


class Body(serializers.Serializer[Any]):
    """A body whose fields are all known: Refusal ``unknown_field`` names another. null counts as left out."""

    def to_internal_value(self, data: object) -> Any:
        if not isinstance(data, Mapping):
            raise Refusal("invalid_request", "The body must be a JSON object.")
        for name in data:
            if name not in self.fields:
                raise Refusal("unknown_field", f"The field {str(name)[:100]!r} is not known.", param=str(name)[:100])
        return super().to_internal_value({name: value for name, value in data.items() if value is not None})


def read_body(kind: type[Body], request: Request) -> dict[str, Any]:
    """The validated fields that the request's body gives; those left out are left out."""
    body = kind(data=request.data, partial=True)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def text_parameter(request: Request, name: str, *, longest: int = LONGEST_QUERY) -> str:
    """The query parameter ``name``, trimmed; empty when left out. Refusal ``invalid_value`` if too long."""
    value = request.query_params.get(name, "").strip()
    if len(value) > longest:
        raise Refusal("invalid_value", f"At most {longest} characters.", param=name)
    if "\x00" in value:
        raise Refusal("invalid_value", "Null characters are not allowed.", param=name)
    return value


def flag_parameter(request: Request, name: str) -> bool | None:
    """The query parameter ``name`` as yes or no; None when it isn't there."""
    value = text_parameter(request, name).lower()
    if not value:
        return None
    if value in {"1", "true"}:
        return True
    if value in {"0", "false"}:
        return False
    raise Refusal("invalid_value", "Must be true or false.", param=name)


def choice_parameter(request: Request, name: str, choices: Mapping[str, Choice], default: str) -> Choice:
    """What the query parameter ``name`` chooses. Refusal ``invalid_value`` that lists the choices."""
    value = text_parameter(request, name) or default
    if value not in choices:
        raise Refusal("invalid_value", f"Must be one of: {', '.join(choices)}.", param=name)
    return choices[value]


def moment(text: str) -> datetime:
    """The time that ``text`` says in ISO 8601, in UTC. ValueError or OverflowError when it says none."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def moment_parameter(request: Request, name: str, *, end: bool = False) -> datetime | None:
    """The query parameter ``name`` as a moment: ISO 8601, UTC unless it says otherwise.

    A date alone is its first moment, or with ``end`` its last.
    """
    value = text_parameter(request, name).replace(" ", "+")  # a plus sign that was not escaped
    if not value:
        return None
    try:
        if len(value) == len("2026-01-31"):
            return datetime.combine(calendar_day(value), time.max if end else time.min, UTC)
        return moment(value)
    except (ValueError, OverflowError) as error:
        raise Refusal("invalid_value", "Must be a date or a time in ISO 8601.", param=name) from error
