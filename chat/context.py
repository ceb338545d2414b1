"""What of a conversation goes to the model: pure functions over its messages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from oneai.kit.errors import Refusal

MESSAGE_OVERHEAD: Final = 8
BYTES_PER_TOKEN: Final = 3
IMAGE_TOKENS: Final = 4096  # providers count an image by its area, whatever its bytes; this is above the largest
DEFAULT_OUTPUT: Final = 8192

Prompt = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits, and how many messages of the history it holds and leaves out."""

    messages: Prompt
    included: int
    omitted: int


def _size(message: dict[str, Any]) -> int:
    content = message.get("content")
    text = len(content.encode("utf-8", "replace")) if isinstance(content, str) else 0
    if content is not None and not isinstance(content, str):
        text = len(orjson.dumps(content))
    extra = {key: value for key, value in message.items() if key not in {"role", "content"} and value is not None}
    return text + (len(orjson.dumps(extra)) if extra else 0)


def _images(message: dict[str, Any]) -> int:
    content = message.get("content")
    if not isinstance(content, list):
        return 0
    return sum(isinstance(part, dict) and part.get("type") == "image_url" for part in content)


def upper_bound(messages: Sequence[dict[str, Any]], params: dict[str, Any] | None = None) -> int:
    """More prompt tokens than any tokenizer can make of ``messages``.

    A byte-level tokenizer makes at most one token of a byte; each message costs a few more for its
    frame; tools and schemas are counted by their JSON, images by a constant.
    """
    total = MESSAGE_OVERHEAD + sum(_size(message) + MESSAGE_OVERHEAD for message in messages)
    total += IMAGE_TOKENS * sum(map(_images, messages))
    for name in ("tools", "response_format"):
        if params and params.get(name):
            total += len(orjson.dumps(params[name])) * 2
    return total


def estimate(messages: Sequence[dict[str, Any]]) -> int:
    """A likely number of prompt tokens: three bytes each, on the high side for prose, code and Hindi alike."""
    return sum(math.ceil(_size(message) / BYTES_PER_TOKEN) + 4 for message in messages)


def estimate_bytes(count: int) -> int:
    """A likely number of tokens in ``count`` bytes of an answer (four bytes each)."""
    return math.ceil(count / 4)


def fit(system: str, history: Sequence[tuple[str, str]], content: str, window: int | None, output: int) -> Fitted:
    """The newest part of ``history`` (role, text; oldest first) that leaves room for ``output`` tokens.

    The system prompt and the new message always go in; the oldest messages are left out first.
    ``window`` is the model's context in tokens, None when it is not known.
    """
    head: Prompt = [{"role": "system", "content": system}] if system else []
    last = {"role": "user", "content": content}
    room = math.inf if window is None else window - output - estimate([*head, last])
    kept: Prompt = []
    for role, text in reversed(history):
        message = {"role": role, "content": text}
        room -= estimate([message])
        if room < 0:
            break
        kept.append(message)
    kept.reverse()
    return Fitted([*head, *kept, last], len(kept) + 1, len(history) - len(kept))


def output_cap(asked: int | None, max_output: int | None, window: int | None) -> int:
    """The most tokens to answer with, before the quota has its say."""
    cap = DEFAULT_OUTPUT if asked is None else asked
    if max_output:
        cap = min(cap, max_output)
    if window:
        # Half of a small window stays for the question unless the caller asked for more.
        cap = min(cap, window if asked is not None else max(window // 2, 1))
    return max(cap, 1)


def room_for_answer(cap: int, window: int | None, prompt: int) -> int:
    """``cap``, cut to what the window leaves beside a prompt of ``prompt`` tokens.

    Refusal ``context_length_exceeded`` when it leaves nothing.
    """
    if window is None:
        return cap
    if prompt >= window:
        raise Refusal(
            "context_length_exceeded", f"The model reads at most {window:,} tokens at once.", param="messages"
        )
    return min(cap, window - prompt)
