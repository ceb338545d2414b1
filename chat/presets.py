"""People's presets: made, changed, deleted, and put under a request. The one writer of ``presets``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from chat.access import id_from
from chat.preset_models import Preset
from chat.requests import ChatRequest
from oneai.kit.clock import now
from oneai.kit.errors import Refusal

MOST: Final = 100
LONGEST_NAME: Final = 60
PARAMETERS: Final = ("temperature", "max_tokens", "reasoning_effort")


def of(user_id: UUID) -> QuerySet[Preset]:
    """A person's presets."""
    return Preset.objects.filter(user_id=user_id)


def preset_for(user_id: UUID, preset_id: UUID | str) -> Preset:
    """The person's own preset. Refusal ``not_found`` for another's or an unknown one."""
    found = of(user_id).filter(pk=id_from(preset_id)).first()
    if found is None:
        raise Refusal("not_found")
    return found


def _saved(preset: Preset) -> Preset:
    try:
        with transaction.atomic():
            preset.save()
    except IntegrityError as error:
        raise Refusal("conflict", "You have a preset of that name.", param="name") from error
    return preset


def create(user_id: UUID, values: Mapping[str, Any]) -> Preset:
    """A new preset from ``values`` by column. Refusals ``conflict``."""
    if of(user_id).count() >= MOST:
        raise Refusal("conflict", f"There are {MOST} presets, as many as there may be. Delete one first.")
    return _saved(Preset(user_id=user_id, **values))


def change(preset: Preset, values: Mapping[str, Any]) -> Preset:
    """Write ``values`` by column. Refusal ``conflict``."""
    for name, value in values.items():
        setattr(preset, name, value)
    preset.updated_at = now()
    return _saved(preset)


def delete(preset: Preset) -> None:
    """Delete it; conversations that began with it stay as they are."""
    preset.delete()


def applied(asked: ChatRequest, preset_id: UUID, user_id: UUID) -> ChatRequest:
    """``asked`` with what the preset says wherever it says nothing itself. Refusal ``not_found``."""
    preset = of(user_id).filter(pk=preset_id).first()
    if preset is None:
        raise Refusal("not_found", "There is no such preset of yours.", param="preset_id")
    own = {"temperature": preset.temperature, "reasoning_effort": preset.reasoning_effort}
    return replace(
        asked,
        models=asked.models or ((preset.model,) if preset.model else ()),
        system=preset.system or None if asked.system is None else asked.system,
        max_tokens=preset.max_tokens if asked.max_tokens is None else asked.max_tokens,
        params={name: value for name, value in own.items() if value not in (None, "")} | asked.params,
    )
