"""What a person does with their own keys: make, change, rotate and revoke. Each leaves an audit entry.

A revoked key stays in the table, for the names in the history of what was used, and is found no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import apikeys, audit, key_terms, throttles
from accounts.models import ApiKey, User
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

MOST: Final = 50
"""Keys that somebody may have at once, revoked ones not counted."""
USUAL_OVERLAP: Final = timedelta(days=1)
LONGEST_OVERLAP: Final = timedelta(days=30)
CHANGEABLE: Final = ("name", "scopes", "expires_at", "allowed_models", "allowed_networks", *key_terms.LIMITS)
_NEW_TEXTS: Final = throttles.Limit("api-keys/account", 60, 3600)


def of(user_id: UUID) -> QuerySet[ApiKey]:
    """The person's keys that are not revoked; those that have expired may be given a later end."""
    return ApiKey.objects.filter(user_id=user_id, revoked_at=None)


def find(user_id: UUID, key_id: str | UUID) -> ApiKey:
    """One of them. Refusal ``not_found``, also for another's."""
    return _found(of(user_id), key_id)


def _found(keys: QuerySet[ApiKey], key_id: str | UUID) -> ApiKey:
    try:
        wanted = UUID(str(key_id))
    except ValueError as error:
        raise Refusal("not_found") from error
    key = keys.filter(pk=wanted).first() if str(wanted) == str(key_id).lower() else None
    if key is None:
        raise Refusal("not_found")
    return key


def create(owner: User, terms: Mapping[str, Any]) -> tuple[ApiKey, str]:
    """A new key on ``terms`` (see key_terms), and its text, which is nowhere else.

    Refusal ``too_many_api_keys``, ``too_many_attempts``, or what is wrong with the terms.
    """
    key_terms.checked(terms, owner.role, now())
    throttles.take(_NEW_TEXTS, str(owner.pk))
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)  # the count holds until the key is there
        if of(owner.pk).count() >= MOST:
            raise Refusal("too_many_api_keys", details={"limit": MOST})
        key, plaintext = apikeys.mint(owner, **terms)
        _note(owner, "api_key.created", key, {name: _plain(getattr(key, name)) for name in CHANGEABLE})
    return key, plaintext


def change(owner: User, key_id: str | UUID, terms: Mapping[str, Any]) -> ApiKey:
    """Give a key other terms; those left out stay. It holds from the next call on, everywhere."""
    values = key_terms.checked(terms, owner.role, now())
    with transaction.atomic():
        key = _found(of(owner.pk).select_for_update(), key_id)
        different = {name: value for name, value in values.items() if getattr(key, name) != value}
        if not different:
            return key
        before = {name: _plain(getattr(key, name)) for name in different if name in CHANGEABLE}
        for name, value in different.items():
            setattr(key, name, value)
        key.save(update_fields=list(different))
        after = {name: _plain(getattr(key, name)) for name in before}
        _note(owner, "api_key.changed", key, {"before": before, "after": after})
    return key


def rotate(owner: User, key_id: str | UUID, overlap: timedelta = USUAL_OVERLAP) -> tuple[ApiKey, str]:
    """Give a key another text, and return it; the one that it has now is good until ``overlap`` has passed.

    A text that was still good from a rotation before ends at once. Refusal ``conflict`` for a key that has
    expired, ``too_many_attempts``.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        most = int(LONGEST_OVERLAP.total_seconds())
        raise Refusal("invalid_value", f"Must be from 0 to {most} seconds.", param="overlap_seconds")
    find(owner.pk, key_id)
    throttles.take(_NEW_TEXTS, str(owner.pk))
    with transaction.atomic():
        key = _found(of(owner.pk).select_for_update(), key_id)
        at = now()
        if key.expires_at is not None and key.expires_at <= at:
            raise Refusal("conflict", "The key has expired: give it a later end first.")
        plaintext = apikeys.replace_text(key, at + overlap if overlap else None)
        details = {"from": key.previous_prefix, "until": _plain(key.previous_until)} if overlap else {}
        _note(owner, "api_key.rotated", key, details)
    return key, plaintext


def end_previous(owner: User, key_id: str | UUID) -> ApiKey:
    """End the text that a rotation has left good; nothing happens when there is none."""
    with transaction.atomic():
        key = _found(of(owner.pk).select_for_update(), key_id)
        ended = key.previous_prefix
        if apikeys.forget_previous(key):
            _note(owner, "api_key.previous_ended", key, {"prefix": ended})
    return key


def revoke(owner: User, key_id: str | UUID) -> None:
    """End a key for good: the next request by any of its texts is refused in every process."""
    with transaction.atomic():
        key = _found(of(owner.pk).select_for_update(), key_id)
        apikeys.revoke([key])
        _note(owner, "api_key.revoked", key)


def _note(owner: User, action: str, key: ApiKey, details: Mapping[str, Any] | None = None) -> None:
    audit.record(owner.email, action, owner.pk, target=key.prefix, details=details, actor_id=owner.pk)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
