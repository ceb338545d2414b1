"""What the doctor looks at to tell whether the keys of the settings fit the database. Changes nothing."""

from __future__ import annotations

from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import DatabaseError

from accounts.models import ApiKey
from adminpanel.doctor_keys import Keys
from oneai.kit import sealing
from quotas import glance

SOME: Final = 5


def _second_steps() -> tuple[int, int]:
    """How many sealed secrets were looked at, the oldest and the newest, and how many of them no key opens."""
    steps = Authenticator.objects.filter(type=Authenticator.Type.TOTP)
    some = {*steps.order_by("pk")[:SOME], *steps.order_by("-pk")[:SOME]}
    shut = 0
    for step in some:
        try:
            sealing.unseal(str(step.data.get("secret", "")))
        except ValueError:
            shut += 1
    return len(some), shut


def look_at_keys() -> Keys | None:
    """None when the tables are not there."""
    try:
        entries, unverified = glance.look()
        sealed, unopened = _second_steps()
        api_keys = ApiKey.objects.filter(revoked_at=None).count()
    except DatabaseError:
        return None
    return Keys(
        formers=len(settings.SECRET_KEY_FALLBACKS),
        entries=entries,
        unverified_entries=unverified,
        api_keys=api_keys,
        sealed=sealed,
        unopened=unopened,
        field_key_lengths=tuple(len(key) for key in settings.FIELD_ENCRYPTION_KEYS),
    )
