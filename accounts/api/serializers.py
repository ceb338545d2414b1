"""What the API tells about a person, and the few things that they may change. Every field is named."""

from __future__ import annotations

import zoneinfo

from rest_framework import serializers

from accounts.models import User


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as they see themselves; ``plan`` is the name of the plan in force."""

    plan = serializers.CharField(source="current_subscription", read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "name", "picture_url", "role", "plan", "locale", "timezone", "created_at"]
        read_only_fields = fields


class ProfileSerializer(PersonSerializer):
    """The same, with what a person may change themselves."""

    timezone = serializers.CharField(max_length=64, required=False)
    locale = serializers.RegexField(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=16, required=False)

    class Meta(PersonSerializer.Meta):
        read_only_fields = ["id", "email", "picture_url", "role", "plan", "created_at"]

    def validate_timezone(self, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise serializers.ValidationError("This time zone is not known.")
        return value

    def validate_name(self, value: str) -> str:
        return " ".join(value.split())


class SessionSerializer(serializers.Serializer[dict[str, object]]):
    """By what the asker is known, and until when; ``scopes`` is null for a person's own sign-in."""

    user = PersonSerializer()
    method = serializers.ChoiceField(choices=["session", "jwt", "api_key"])
    expires_at = serializers.DateTimeField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)
