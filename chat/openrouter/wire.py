"""What an OpenRouter stream says, read without I/O. Everything in it is treated as hostile."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson


@dataclass(slots=True)
class Usage:
    """Tokens and dollars as the upstream reports them. ``cost`` is None when it says nothing usable."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None


@dataclass(slots=True)
class WireError:
    """An error that came inside a 200 answer."""

    status: int
    message: str
    kind: str


@dataclass(slots=True)
class Chunk:
    """One event of the stream."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    error: WireError | None = None
    id: str = ""
    model: str = ""
    provider: str = ""


class Garbage(ValueError):
    """The upstream sent something that is not an event of a chat completion."""


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return min(max(int(value), 0), 2**53) if value == value and value not in (float("inf"), float("-inf")) else 0


def read_usage(value: Any) -> Usage | None:
    """A ``usage`` object; None when it is missing or has no token counts."""
    if not isinstance(value, dict):
        return None
    if not isinstance(value.get("prompt_tokens"), int) or not isinstance(value.get("completion_tokens"), int):
        return None
    completion = value.get("completion_tokens_details")
    prompt = value.get("prompt_tokens_details")
    cost = value.get("cost")
    return Usage(
        prompt_tokens=_count(value["prompt_tokens"]),
        completion_tokens=_count(value["completion_tokens"]),
        reasoning_tokens=_count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else 0,
        cached_tokens=min(_count(prompt.get("cached_tokens")), _count(value["prompt_tokens"]))
        if isinstance(prompt, dict)
        else 0,
        cost=read_cost(cost),
    )


def read_cost(value: Any) -> float | None:
    """Dollars as an upstream says them; None when that is no plausible amount."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e6 else None


def read_error(value: Any, status: int = 502) -> WireError | None:
    """An ``error`` object, whatever form its code has; None when there is none."""
    if not value:
        return None
    if not isinstance(value, dict):
        return WireError(status, "", "")
    code = value.get("code", value.get("http_status"))
    number = code if isinstance(code, int) and 400 <= code <= 599 else status
    metadata = value.get("metadata")
    kind = metadata.get("error_type") if isinstance(metadata, dict) else value.get("error_type")
    message = value.get("message")
    return WireError(number, message if isinstance(message, str) else "", kind if isinstance(kind, str) else "")


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Bad UTF-8 and lone surrogates are refused by the fast parser; the text is mended, not lost.
        try:
            return json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise Garbage from error


_IDENTITY: Final = re.compile(r"[A-Za-z0-9._:-]{1,120}")
_REASON: Final = re.compile(r"[a-z_]{1,20}")


def identity(value: str) -> str:
    """An upstream's id of a generation, empty unless it can stand in a row and in a URL as it is."""
    return value if _IDENTITY.fullmatch(value) else ""


def provider_name(value: str) -> str:
    """Who answers behind the upstream, empty unless it can stand in a row and on a page as it is."""
    return value if len(value) <= 60 and value.isascii() and value.isprintable() else ""


def read_chunk(data: bytes) -> Chunk:
    """The chunk in one event's data. Garbage when it is not a JSON object."""
    value = _loads(data)
    if not isinstance(value, dict):
        raise Garbage
    chunk = Chunk()
    if type(name := value.get("id")) is str:
        chunk.id = identity(name)
    if type(model := value.get("model")) is str:
        chunk.model = model[:200]
    if type(provider := value.get("provider")) is str:
        chunk.provider = provider_name(provider)
    if "error" in value:
        chunk.error = read_error(value["error"])
    if (usage := value.get("usage")) is not None:
        chunk.usage = read_usage(usage)
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice = choices[0]
        delta = choice.get("delta")
        if delta is None:
            delta = choice.get("message")
        if isinstance(delta, dict):
            if type(text := delta.get("content")) is str:
                chunk.text = text
            if (
                type(reasoning := delta.get("reasoning")) is str
                or type(reasoning := delta.get("reasoning_content")) is str
            ):
                chunk.reasoning = reasoning
            calls = delta.get("tool_calls")
            if isinstance(calls, list) and calls:
                chunk.tool_calls = [call for call in calls if isinstance(call, dict)]
        if type(finish := choice.get("finish_reason")) is str:
            chunk.finish_reason = finish if _REASON.fullmatch(finish) else "stop"
        if choice.get("error") and chunk.error is None:
            chunk.error = read_error(choice["error"])
        if chunk.finish_reason == "error" and chunk.error is None:
            chunk.error = WireError(502, "", "")
    return chunk


class TextMender:
    """Makes text storable: joins surrogate halves that came in two chunks, and replaces NUL.

    PostgreSQL stores no NUL and no encoder takes a lone surrogate, so both become U+FFFD; a high
    surrogate at the end of a chunk waits for its other half.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        if not self._held and text.isascii():
            return text.replace("\0", "\ufffd") if "\0" in text else text
        text = self._held + text
        self._held = ""
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def close(self) -> str:
        """What still waited for another half."""
        held, self._held = self._held, ""
        return "\ufffd" if held else ""
