"""A plain client of the sandbox: what arrives on the wire, without a library that would smooth it."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

KEY = "sk-or-v1-sandbox"
BASE = "/openrouter/api/v1"


@dataclass
class Reply:
    """A whole HTTP answer. `broken`: the connection ended before it did; `writes`: its HTTP chunks."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool
    writes: list[bytes]

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)

    @property
    def datas(self) -> list[str]:
        """The data of every event, `[DONE]` included."""
        text = self.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("utf-8", "replace")
        return [line[6:] for line in text.split("\n") if line.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(data, parse_float=Decimal) for data in self.datas if data != "[DONE]"]

    @property
    def text(self) -> str:
        return "".join(choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk["choices"])

    @property
    def usages(self) -> list[Any]:
        return [chunk["usage"] for chunk in self.chunks if "usage" in chunk]

    @property
    def finishes(self) -> list[str]:
        found = [choice.get("finish_reason") for chunk in self.chunks for choice in chunk["choices"]]
        return [reason for reason in found if reason]


def dechunked(raw: bytes) -> tuple[list[bytes], bool]:
    """The HTTP chunks of a body, and whether its end is missing."""
    writes = []
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        length = int(size, 16) if size else -1
        if length == 0:
            return writes, False
        if length < 0 or len(rest) < length:
            return [*writes, rest], True
        writes.append(rest[:length])
        raw = rest[length + 2 :]
    return writes, True


class Client:
    """Talks to one running sandbox."""

    def __init__(self, port: int, smtp_port: int) -> None:
        self.port = port
        self.smtp_port = smtp_port
        self.url = f"http://127.0.0.1:{port}"

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """A JSON call: status, and the answer read as JSON, or as text when it is none."""
        reply = self.raw(method, path, json.dumps(body).encode() if body is not None else b"", headers)
        try:
            return reply.status, reply.json
        except ValueError:
            return reply.status, reply.body.decode("utf-8", "replace")

    def form(self, path: str, fields: Mapping[str, str]) -> Reply:
        """A form, as a browser or an OAuth client posts it."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.raw("POST", path, urllib.parse.urlencode(fields).encode(), kind)

    def api(self, path: str, key: str | None = KEY) -> tuple[int, Any]:
        """GET below OpenRouter's base."""
        return self.call("GET", BASE + path, headers={"Authorization": f"Bearer {key}"} if key else {})

    def control(self, name: str, body: object = None) -> Any:
        """A control call; asserts that it was accepted. GET without a body."""
        status, answer = self.call("POST" if body is not None else "GET", f"/_control/{name}", body)
        assert status == 200, answer
        return answer

    def chat(self, model: str, content: object = "Explain the tides", *, stream: bool = True, **more: Any) -> Reply:
        """A chat completion, read to its end, whatever end that is."""
        return self.raw("POST", f"{BASE}/chat/completions", self.body(model, content, stream, **more), AUTHORISED)

    @staticmethod
    def body(model: str, content: object, stream: bool, **more: Any) -> bytes:
        messages = [{"role": "user", "content": content}]
        return json.dumps({"model": model, "stream": stream, "messages": messages} | more).encode()

    def open(self, model: str, content: object = "Explain the tides", stream: bool = True) -> socket.socket:
        """A chat completion whose answer is not read yet."""
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        wire.sendall(request("POST", f"{BASE}/chat/completions", self.body(model, content, stream), AUTHORISED))
        return wire

    def raw(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Any request over its own connection, the answer taken apart by hand."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            wire.sendall(request(method, path, body, headers or {}))
            received, broken = b"", False
            try:
                while part := wire.recv(65536):
                    received += part
            except ConnectionResetError:
                broken = True
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/"):
            raise http.client.BadStatusLine(lines[0])
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if found.get("transfer-encoding") == "chunked":
            writes, short = dechunked(rest)
        else:
            writes, short = [rest], len(rest) < int(found.get("content-length", "0"))
        return Reply(int(lines[0].split(" ")[1]), found, b"".join(writes), broken or short, writes)

    def dispatches(self, **query: str) -> list[dict[str, Any]]:
        """What the sandbox saw."""
        found: list[dict[str, Any]] = self.control("dispatches?" + urllib.parse.urlencode(query))["dispatches"]
        return found

    def settled(self, seconds: float = 5) -> dict[str, Any]:
        """The only dispatch, once it is no longer running."""
        end = time.monotonic() + seconds
        while (found := self.dispatches()[-1])["state"] == "running" and time.monotonic() < end:
            time.sleep(0.02)
        return found


AUTHORISED = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


def request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of an HTTP request that closes its connection."""
    named = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body))} | dict(headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
