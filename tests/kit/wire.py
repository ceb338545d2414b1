"""A client that speaks HTTP/1.1 by hand, for what no client library would send."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tests.servers.site import Site

CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


class Wire:
    """One connection to a site."""

    def __init__(self, site: Site, *, seconds: float = 20) -> None:
        self.host = f"localhost:{site.port}"
        self.socket = socket.create_connection(("127.0.0.1", site.port), timeout=seconds)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, method: str, path: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *(f"{name}: {value}" for name, value in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def send(self, *parts: bytes) -> bool:
        """Send what the other side takes; whether it took all."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the body of the next answer; status 0 when the connection closed without one."""
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                more = self.socket.recv(65_536)
            except ConnectionResetError:
                more = b""
            if not more:
                return 0, {}, data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            more = self.socket.recv(65_536)
            if not more:
                break
            body += more
        return int(first.split()[1]), headers, body


def status_of(site: Site, *parts: bytes | Iterator[bytes], seconds: float = 20) -> int:
    """The status of the answer to raw bytes."""
    with Wire(site, seconds=seconds) as wire:
        for part in parts:
            for piece in [part] if isinstance(part, bytes) else part:
                if not wire.send(piece):
                    break
        return wire.answer()[0]


def code_of(body: bytes) -> Any:
    """The code in the body of an error."""
    return json.loads(body)["error"]["code"]


def timed(began: float) -> str:
    """The milliseconds since ``began``, for the report of a test."""
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"
