"""The body of a chat request, checked field by field: one parser for every door of section 5."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from oneai.kit.errors import Refusal

LONGEST_MESSAGE: Final = 100_000
LONGEST_SYSTEM: Final = 32_000
MOST_TOKENS: Final = 10_000_000
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

FIELDS: Final = frozenset(
    {
        "conversation_id",
        "parent_message_id",
        "content",
        "model",
        "models",
        "attachments",
        "preset_id",
        "system",
        "temperature",
        "max_tokens",
        "reasoning_effort",
        "web_search",
        "temporary",
    }
)
# Part of the contract, and not built yet: asking for one says so instead of ignoring it.
NOT_YET: Final = ("web_search",)
FEWEST_MODELS, MOST_MODELS = 2, 4
LONGEST_MODEL: Final = 200
MOST_FILES: Final = 10


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked body. ``models`` are to answer side by side; with none the user's preference decides."""

    content: str
    models: tuple[str, ...]
    conversation_id: UUID | None
    parent_message_id: UUID | None
    system: str | None
    max_tokens: int | None
    temporary: bool
    attachments: tuple[UUID, ...] = ()
    preset_id: UUID | None = None
    params: dict[str, Any] = field(default_factory=dict)


def text(body: Mapping[str, Any], name: str, longest: int) -> str | None:
    """A string field, None when it is null or missing. Lone surrogates and NUL are refused."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal("invalid_value", f"{name} must be a string.", param=name)
    if len(value) > longest:
        code = "message_too_long" if name == "content" else "invalid_value"
        raise Refusal(code, f"{name} has more than {longest:,} characters.", param=name)
    if "\0" in value:
        raise Refusal("invalid_value", f"{name} holds a NUL character.", param=name)
    return value


def identity(body: dict[str, Any], name: str) -> UUID | None:
    """A UUID field, None when it is null or missing."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal("invalid_value", f"{name} must be an id.", param=name)
    try:
        return UUID(value)
    except ValueError as error:
        raise Refusal("invalid_value", f"{name} is not an id.", param=name) from error


def whole(body: dict[str, Any], name: str, least: int, most: int) -> int | None:
    """A whole number between ``least`` and ``most``, None when it is null or missing."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal("invalid_value", f"{name} must be a whole number from {least:,} to {most:,}.", param=name)
    return value


def decimal(body: dict[str, Any], name: str, least: float, most: float) -> float | None:
    """A number between ``least`` and ``most``, None when it is null or missing."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refusal("invalid_value", f"{name} must be a number from {least} to {most}.", param=name)
    return float(value)


def yes_no(body: dict[str, Any], name: str) -> bool:
    """A boolean field, False when it is null or missing."""
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refusal("invalid_value", f"{name} must be true or false.", param=name)
    return value


def choice(body: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    """One of ``allowed``, None when it is null or missing."""
    value = body.get(name)
    if value is None:
        return None
    if value not in allowed:
        raise Refusal("invalid_value", f"{name} must be one of {', '.join(allowed)}.", param=name)
    return str(value)


def models(body: dict[str, Any]) -> tuple[str, ...]:
    """The models named by ``model`` or, two to four different ones, by ``models``; empty when by neither."""
    value = body.get("models")
    model = text(body, "model", LONGEST_MODEL)
    if value is None:
        return () if model is None else (model,)
    if model is not None:
        raise Refusal("invalid_value", "Give either model or models.", param="models")
    if not isinstance(value, list) or not all(isinstance(name, str) and len(name) <= LONGEST_MODEL for name in value):
        raise Refusal("invalid_value", "models must be a list of names.", param="models")
    if not FEWEST_MODELS <= len(value) <= MOST_MODELS or len(set(value)) < len(value):
        raise Refusal(
            "invalid_value", f"models must name {FEWEST_MODELS} to {MOST_MODELS} different ones.", param="models"
        )
    return tuple(value)


def attachments(body: dict[str, Any]) -> tuple[UUID, ...]:
    """The ids of the files that go with the message, none twice; empty when null or missing."""
    value = body.get("attachments")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise Refusal("invalid_value", f"attachments must be a list of at most {MOST_FILES} ids.", param="attachments")
    found = [identity({"attachments": one}, "attachments") for one in value]
    if None in found or len(set(found)) < len(found):
        raise Refusal("invalid_value", "attachments must name different files.", param="attachments")
    return tuple(one for one in found if one is not None)


def content(body: Mapping[str, Any]) -> str:
    """What a person says: the field ``content``, which must be there and not be blank."""
    said = text(body, "content", LONGEST_MESSAGE)
    if said is None:
        raise Refusal("missing_required_parameter", "content is required.", param="content")
    if not said.strip():
        raise Refusal("invalid_value", "The message is empty.", param="content")
    return said


def known_fields(body: Mapping[str, Any], known: Collection[str]) -> None:
    """Refusal ``unknown_field`` that names the first field which is not in ``known``."""
    for name in body:
        if name not in known:
            raise Refusal("unknown_field", f"The field {name[:100]!r} is not known.", param=name[:100])


def read(body: dict[str, Any]) -> ChatRequest:
    """The request in ``body``; a Refusal names the first field at fault."""
    known_fields(body, FIELDS)
    for name in NOT_YET:
        if body.get(name):
            raise Refusal("unsupported_parameter", f"{name} is not supported yet.", param=name)
    said = content(body)
    params = {
        "temperature": decimal(body, "temperature", 0, 2),
        "reasoning_effort": choice(body, "reasoning_effort", EFFORTS),
    }
    return ChatRequest(
        content=said,
        models=models(body),
        conversation_id=identity(body, "conversation_id"),
        parent_message_id=identity(body, "parent_message_id"),
        system=text(body, "system", LONGEST_SYSTEM),
        max_tokens=whole(body, "max_tokens", 1, MOST_TOKENS),
        temporary=yes_no(body, "temporary"),
        attachments=attachments(body),
        preset_id=identity(body, "preset_id"),
        params={name: value for name, value in params.items() if value is not None},
    )
