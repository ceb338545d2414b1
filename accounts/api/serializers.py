"""What the API tells about a person, and the few things that they may change. Every field is named."""

from __future__ import annotations

import zoneinfo
from typing import Any
from urllib.parse import urlsplit

from django.core.validators import URLValidator
from rest_framework import serializers

from accounts.models import User

LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
METHODS = ["session", "jwt", "supabase", "api_key"]


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as they see themselves; ``plan`` is the name of the plan in force."""

    plan = serializers.CharField(source="current_subscription", read_only=True)
    picture_url = serializers.CharField(read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "name", "picture_url", "role", "plan", "locale", "timezone", "created_at"]
        read_only_fields = fields


class ProfileSerializer(PersonSerializer):
    """The same, with what a person may change themselves."""

    timezone = serializers.CharField(max_length=64, required=False)
    locale = serializers.RegexField(LANGUAGE, max_length=16, required=False)
    picture_url = serializers.CharField(max_length=500, required=False, allow_blank=True)

    class Meta(PersonSerializer.Meta):
        read_only_fields = ["id", "email", "role", "plan", "created_at"]

    def validate_timezone(self, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise serializers.ValidationError("This time zone is not known.")
        return value

    def validate_picture_url(self, value: str) -> str:
        if value and urlsplit(value).scheme != "https":
            raise serializers.ValidationError("Must begin with https://.")
        if value:
            URLValidator(message="Must be an address.")(value)
        return value

    def validate_name(self, value: str) -> str:
        return " ".join(value.split())


class SessionSerializer(serializers.Serializer[dict[str, object]]):
    """By what the asker is known, and until when; ``scopes`` is null for a person's own sign-in."""

    user = PersonSerializer()
    method = serializers.ChoiceField(choices=METHODS)
    expires_at = serializers.DateTimeField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)


class SignInSerializer(serializers.Serializer[Any]):
    """Where somebody is signed in; ``current`` is the one that asks."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["browser", "program"])
    current = serializers.BooleanField()
    device = serializers.CharField(help_text="What the user agent says that it is, in a few words.")
    user_agent = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To five minutes.")
    expires_at = serializers.DateTimeField()


class DeedSerializer(serializers.Serializer[Any]):
    """An entry of the audit log that concerns the person."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    target = serializers.CharField()
    reason = serializers.CharField()
    by = serializers.ChoiceField(choices=["you", "staff", "site"])
