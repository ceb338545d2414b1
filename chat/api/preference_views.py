"""/api/user/preferences: what somebody prefers, on the site and where a chat request leaves something out."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import preferences
from accounts.api.doors import PersonView, person
from accounts.api.serializers import LANGUAGE
from chat import preferring, requests
from oneai.kit.fields import Body, Flag, Number, Text, WholeNumber, read_body

DEFAULT: Final = "default"
# In a body null is as good as left out, so what is to be taken back is named by a word.


def _or_default(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "string", "enum": [DEFAULT]}], "nullable": True}


@extend_schema_field(_or_default({"type": "number", "minimum": 0, "maximum": preferring.WARMEST}))
class Temperature(Number):
    """A number from 0 to 2, or the word for the model's own."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == DEFAULT else super().run_validation(data)


@extend_schema_field(_or_default({"type": "integer", "minimum": 1, "maximum": requests.MOST_TOKENS}))
class MaxTokens(WholeNumber):
    """A whole number from 1 on, or the word for none."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data == DEFAULT else super().run_validation(data)


class Choices(Body):
    """Which mails somebody wants that they may do without."""

    quota = Flag(help_text="At 80 % and 100 % of a quota.")
    renewals = Flag(help_text="Ahead of a charge, and before a trial ends.")


class PreferencesBody(Body):
    """What may be preferred. "" or "default" takes a choice back."""

    theme = serializers.ChoiceField(choices=preferences.THEMES)
    language = serializers.RegexField(LANGUAGE, max_length=16)
    default_model = Text(max_length=requests.LONGEST_MODEL, allow_blank=True)
    system = Text(max_length=requests.LONGEST_SYSTEM, allow_blank=True, trim_whitespace=False)
    temperature = Temperature(min_value=0, max_value=preferring.WARMEST)
    max_tokens = MaxTokens(min_value=1, max_value=requests.MOST_TOKENS)
    reasoning_effort = serializers.ChoiceField(choices=[*requests.EFFORTS, DEFAULT])
    notifications = Choices(partial=True)


class NotificationsShape(serializers.Serializer[Any]):
    quota = serializers.BooleanField()
    renewals = serializers.BooleanField()


class PreferencesShape(serializers.Serializer[Any]):
    """What holds; null and "" are the model's or the site's own."""

    theme = serializers.ChoiceField(choices=preferences.THEMES)
    language = serializers.CharField()
    default_model = serializers.CharField()
    system = serializers.CharField()
    temperature = serializers.FloatField(allow_null=True)
    max_tokens = serializers.IntegerField(allow_null=True)
    reasoning_effort = serializers.ChoiceField(choices=requests.EFFORTS, allow_null=True)
    notifications = NotificationsShape()


class PreferencesView(PersonView):
    """A person's own preferences; closed to API keys."""

    @extend_schema(operation_id="user_preferences", tags=["user"], responses=PreferencesShape)
    def get(self, request: Request) -> Response:
        """The preferences."""
        return Response(preferences.of(person(request)))

    @extend_schema(
        operation_id="user_preferences_change", tags=["user"], request=PreferencesBody, responses=PreferencesShape
    )
    def patch(self, request: Request) -> Response:
        """Change some; any other field is refused by name. They hold from the next message on."""
        values = read_body(PreferencesBody, request)
        preferring.check_model(values.get("default_model", ""))
        if values.get("reasoning_effort") == DEFAULT:
            values["reasoning_effort"] = None
        return Response(preferences.of(preferences.change(person(request).pk, values)))
