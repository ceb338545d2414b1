"""The events of the chat stream, and their bytes as server-sent events (contract, section 5)."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from oneai.kit import sse
from oneai.kit.errors import Refusal

TURN_STARTED = "turn.started"
MESSAGE_DELTA = "message.delta"
MESSAGE_REASONING = "message.reasoning"
MESSAGE_MODEL = "message.model"
MESSAGE_COMPLETED = "message.completed"
MESSAGE_FAILED = "message.failed"
CONVERSATION_UPDATED = "conversation.updated"
TURN_COMPLETED = "turn.completed"


class Event(NamedTuple):
    """An event: its name, the vector of offsets after it, and its data."""

    name: str
    vector: str
    data: dict[str, Any]


def encode(event: Event) -> bytes:
    """An event as it goes over the wire. The data is one JSON document, so no text can forge an event."""
    return sse.encode(event.name, event.vector, orjson.dumps(event.data, default=str))


def frame(event: Event, request_id: str | None) -> str:
    """An event as it goes over a WebSocket: the same data, in a frame that says whose answer it is."""
    whole = {"type": event.name, "id": event.vector, "request_id": request_id, "data": event.data}
    return orjson.dumps(whole, default=str).decode()


def place_in(value: str, count: int) -> list[int]:
    """The place to go on from, as ``read_vector``. Refusal ``invalid_value`` when it is none."""
    after = read_vector(value, count)
    if after is None:
        raise Refusal("invalid_value", "The place to go on from is not one of this turn's.", param="after")
    return after


def read_vector(value: str, count: int) -> list[int] | None:
    """Offsets from ``Last-Event-ID``; None when it is not ``count`` numbers."""
    parts = value.split(",")
    if len(parts) != count:
        return None
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        return None
    return numbers if all(0 <= number < 2**40 for number in numbers) else None
