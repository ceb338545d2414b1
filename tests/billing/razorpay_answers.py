"""A server on loopback that answers like a Razorpay of which a test says what it does next."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """A request as it came in; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Says:
    """An answer: ``body`` is bytes or becomes JSON; ``None`` for ``status`` closes the connection instead."""

    body: Any = field(default_factory=dict)
    status: int | None = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_seconds: float = 0


class Answers:
    """``says`` decides by the request; ``asked`` are the requests so far, ``ports`` the client's for each."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.ports: list[int] = []
        self.says: Callable[[Asked], Says] = lambda asked: Says()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = json.loads(text) if text else None
                asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
                outer.asked.append(asked)
                outer.ports.append(self.client_address[1])
                says = outer.says(asked)
                time.sleep(says.after_seconds)
                if says.status is None:
                    self.close_connection = True
                    return
                content = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
                self.send_response(says.status)
                for name, value in says.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    pass

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def refusal(description: str, status: int = 400, code: str = "BAD_REQUEST_ERROR", **more: Any) -> Says:
    """A refusal in Razorpay's shape."""
    return Says({"error": {"code": code, "description": description, "source": "NA", "reason": None} | more}, status)
