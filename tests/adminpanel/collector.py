"""A place that takes what a site reports: Sentry's envelopes and OpenTelemetry's spans, as bytes."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    """Listens on loopback; what came is in ``bodies`` by path."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        outer = self

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, found: Callable[[str, bytes], bool], seconds: float = 60) -> bytes:
        """The first body of which ``found`` says yes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path, body in list(self.bodies):
                if found(path, body):
                    return body
            time.sleep(0.05)
        raise AssertionError(f"it did not come; what came: {[path for path, _ in self.bodies]}")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
