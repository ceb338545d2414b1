"""The doors of a server: where a question is put, how it is written, and how an answer ends."""

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Door:
    """`body` makes a request's JSON from (model, tag, whether it streams)."""

    name: str
    path: str
    body: Callable[[str, str, bool], bytes]
    marker: bytes
    only_streams: bool = False
    websocket: bool = False


def _question(tag: str) -> str:
    return f"Say something of twenty words, please. bench-{tag}"


def _openai(model: str, tag: str, stream: bool) -> bytes:
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": _question(tag)}]}
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def _chat(model: str, tag: str, stream: bool) -> bytes:
    return json.dumps({"content": _question(tag), "model": model}).encode()


def _frame(model: str, tag: str, stream: bool) -> bytes:
    body = {"type": "send", "request_id": tag, "content": _question(tag), "model": model}
    return json.dumps(body).encode()


UPSTREAM = Door("upstream", "/api/v1/chat/completions", _openai, b"data: [DONE]")
V1 = Door("v1", "/v1/chat/completions", _openai, b"data: [DONE]")
API = Door("api", "/api/chat/stream", _chat, b"event: turn.completed", only_streams=True)
WS = Door("ws", "/ws/chat", _frame, b'turn.completed"', only_streams=True, websocket=True)
DOORS = {door.name: door for door in (V1, API, WS)}
