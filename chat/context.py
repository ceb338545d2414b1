"""What of a conversation goes to the model: pure functions over its messages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chat import picture_size
from oneai.kit.errors import Refusal

MESSAGE_OVERHEAD: Final = 8
BYTES_PER_TOKEN: Final = 3
USUAL_IMAGE_TOKENS: Final = 1024
IMAGE_TOKENS: Final = 4096  # providers count an image by its area, whatever its bytes; this is above the largest
TILE: Final = 512
TILED_WITHIN, TILED_SHORT = 2048, 768
MOST_TILES: Final = 8
TILED: Final = {"openai/gpt-4o-mini": (2833, 5667)}
"""Models that count a picture by its tiles, and dearly: the tokens of each picture, and of each of its tiles."""
DEFAULT_OUTPUT: Final = 8192

Prompt = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Weight:
    """What messages weigh in prompt tokens: a likely ``estimate``, and a ``bound`` that none can exceed.

    ``images`` are how many of them are in it, and ``tiles`` what these have together.
    """

    estimate: int = 0
    bound: int = 0
    images: int = 0
    tiles: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(
            self.estimate + other.estimate,
            self.bound + other.bound,
            self.images + other.images,
            self.tiles + other.tiles,
        )

    def bound_for(self, slug: str) -> int:
        """The bound for one model: some count pictures as no other does."""
        each, tile = TILED.get(slug.partition(":")[0], (0, 0))
        return max(self.bound, self.bound + self.images * (each - IMAGE_TOKENS) + self.tiles * tile)


@dataclass(frozen=True, slots=True)
class Fitted:
    """How many of the newest messages of a history go in, what is left out, and what goes in weighs."""

    kept: int
    omitted: int
    weight: Weight


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url"


def _size(message: dict[str, Any]) -> int:
    content = message.get("content")
    text = len(content.encode("utf-8", "replace")) if isinstance(content, str) else 0
    if content is not None and not isinstance(content, str):
        parts = content if isinstance(content, list) else [content]
        text = len(orjson.dumps([part for part in parts if not _is_image(part)]))  # images by number
    extra = {key: value for key, value in message.items() if key not in {"role", "content"} and value is not None}
    return text + (len(orjson.dumps(extra)) if extra else 0)


def _images(message: dict[str, Any]) -> int:
    content = message.get("content")
    if not isinstance(content, list):
        return 0
    return sum(map(_is_image, content))


def _tiles(message: dict[str, Any]) -> int:
    total = 0
    for part in filter(_is_image, message["content"]):
        image = part["image_url"]
        size = picture_size.size_of_address(image["url"])
        if image.get("detail") != "low":  # that is looked at as a whole
            total += MOST_TILES if size is None else tiles(*size)
    return total


def has_image(message: dict[str, Any]) -> bool:
    """Whether an image is among the parts of ``message``."""
    return _images(message) > 0


def tiles(width: int, height: int) -> int:
    """How many tiles of 512 pixels a picture has once it is scaled as those scale it that count so."""
    scale = min(1.0, TILED_WITHIN / max(width, height))
    scale = min(scale, TILED_SHORT / min(width, height))
    return math.ceil(width * scale / TILE) * math.ceil(height * scale / TILE)


def of_pictures(count: int, tiles: int) -> Weight:
    """The weight of ``count`` pictures with ``tiles`` together."""
    return Weight(USUAL_IMAGE_TOKENS * count, IMAGE_TOKENS * count, count, tiles)


def of_bytes(size: int) -> Weight:
    """The weight of a message of ``size`` bytes of text.

    The bound: a byte-level tokenizer makes at most one token of a byte, and each message costs a few more
    for its frame. The estimate: three bytes a token, on the high side for prose, code and Hindi alike.
    """
    return Weight(-(-size // BYTES_PER_TOKEN) + 4, size + MESSAGE_OVERHEAD)


def of_text(text: str) -> Weight:
    """The weight of a message that says ``text``."""
    return of_bytes(len(text.encode("utf-8", "replace")))


def of_messages(messages: Sequence[dict[str, Any]]) -> Weight:
    """The weight of ``messages``: images by a constant, other parts and fields by their JSON."""
    total = Weight()
    for message in messages:
        images = _images(message)
        total += of_bytes(_size(message)) + of_pictures(images, _tiles(message) if images else 0)
    return total


def of_request(params: dict[str, Any]) -> Weight:
    """What comes to any prompt: its own frame, and tools and schemas by their JSON."""
    total = MESSAGE_OVERHEAD
    for name in ("tools", "response_format"):
        if params.get(name):
            total += len(orjson.dumps(params[name])) * 2
    return Weight(0, total)


def upper_bound(messages: Sequence[dict[str, Any]], params: dict[str, Any] | None = None) -> int:
    """More prompt tokens than any tokenizer can make of ``messages`` with ``params``."""
    return (of_messages(messages) + of_request(params or {})).bound


def estimate_bytes(count: int) -> int:
    """A likely number of tokens in ``count`` bytes of an answer (four bytes each)."""
    return math.ceil(count / 4)


def fit(fixed: Weight, newest: Iterable[Weight | None], count: int, window: int | None, output: int) -> Fitted:
    """The newest part of a history that leaves room for ``output`` tokens beside ``fixed``, which always goes in.

    ``newest`` are the weights of its ``count`` messages, the newest first, None for one that is past every room;
    the oldest are left out first. ``window`` is the model's context in tokens, None when it is not known.
    """
    room = math.inf if window is None else window - output - fixed.estimate
    kept, total = 0, fixed
    for message in newest:
        if message is None:
            break
        room -= message.estimate
        if room < 0:
            break
        kept, total = kept + 1, total + message
    return Fitted(kept, count - kept, total)


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
