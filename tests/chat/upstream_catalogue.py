"""A server on loopback that answers ``GET /models`` with whatever a test gives it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class UpstreamCatalogue:
    """``rows`` is what it offers; ``raw`` replaces the whole body, ``status`` the status. ``seen`` are the paths."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.raw: bytes | None = None
        self.status = 200
        self.pages: dict[str, Any] = {}
        self.seen: list[str] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append(self.path)
                outer.keys.append(self.headers.get("Authorization"))
                body = outer.body(self.path)
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def body(self, path: str) -> bytes:
        if self.raw is not None:
            return self.raw
        return json.dumps(self.pages.get(path, {"data": self.rows})).encode()

    def offer(self, model: str, prompt: Any = "0.000001", completion: Any = "0.000002", **row: Any) -> dict[str, Any]:
        """Add a model; returns its row, which may be changed."""
        made = {"id": model, "name": model, "pricing": {"prompt": prompt, "completion": completion}} | row
        self.rows.append(made)
        return made

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
