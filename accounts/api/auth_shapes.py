"""What programs send to sign in, and what they get."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api.serializers import PersonSerializer
from accounts.principal import SCOPES
from oneai.kit.fields import Body, Text

LONGEST_TOKEN = 4096


class CallbackBody(Body):
    """Google's answer: a code with what it was asked for by, or an id_token."""

    provider = serializers.ChoiceField(choices=["google"])
    code = Text(max_length=2000)
    redirect_uri = Text(max_length=2000)
    code_verifier = Text(min_length=43, max_length=128)
    id_token = Text(max_length=LONGEST_TOKEN)
    second_factor = Text(max_length=20, help_text="A code of the person's app, or a recovery code.")


class RefreshBody(Body):
    refresh_token = Text(max_length=LONGEST_TOKEN)


class TokenBody(Body):
    """A token or key, and the scopes that it should have."""

    token = Text(max_length=LONGEST_TOKEN)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(SCOPES)), max_length=20, required=False, allow_null=True
    )


class PairSerializer(serializers.Serializer[Any]):
    """Tokens: ``expires_in`` is seconds that the access token lives."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    expires_in = serializers.IntegerField()
    token_type = serializers.ChoiceField(choices=["Bearer"])


class SignedInSerializer(PairSerializer):
    user = PersonSerializer()


class VerdictSerializer(serializers.Serializer[Any]):
    """Whether a token is good; ``reason`` is the code of the refusal that it would meet."""

    valid = serializers.BooleanField()
    user_id = serializers.UUIDField(allow_null=True)
    scopes = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="null: all that is the person's."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(required=False)
