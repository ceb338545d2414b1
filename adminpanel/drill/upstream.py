"""An upstream for the drill alone, on loopback: writes slowly, bills what it wrote, and remembers its bills."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

PROMPT_TOKENS: Final = 12
WORDS: Final = 30
PAUSE_SECONDS: Final = 0.04
PICO_PROMPT: Final = 150_000
PICO_COMPLETION: Final = 600_000


@dataclass(slots=True)
class Bill:
    """What one generation has cost so far."""

    prompt_tokens: int
    completion_tokens: int
    done: bool = False

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def nano_usd(self) -> int:
        return (self.prompt_tokens * PICO_PROMPT + self.completion_tokens * PICO_COMPLETION) // 1000


class DrillUpstream:
    """Speaks as much of OpenRouter's language as a generation needs. ``bills`` by generation id."""

    def __init__(self) -> None:
        self.bills: dict[str, Bill] = {}
        self._lock = threading.Lock()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                upstream.answer(self)

            def do_GET(self) -> None:
                upstream.look_up(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One streamed answer. A caller that goes away stops it, and is billed for what was written."""
        request.rfile.read(int(request.headers.get("content-length", 0)))
        with self._lock:
            name = f"gen-drill-{len(self.bills) + 1}"
            bill = self.bills[name] = Bill(PROMPT_TOKENS, 0)
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("x-generation-id", name)
        request.end_headers()
        try:
            for number in range(WORDS):
                bill.completion_tokens += 1
                self._say(request, name, {"choices": [{"index": 0, "delta": {"content": f"word{number} "}}]})
                time.sleep(PAUSE_SECONDS)
            usage = {
                "prompt_tokens": bill.prompt_tokens,
                "completion_tokens": bill.completion_tokens,
                "cost": bill.nano_usd / 10**9,
            }
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
            self._say(request, name, end)
            request.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass
        finally:
            bill.done = True

    def _say(self, request: BaseHTTPRequestHandler, name: str, fields: dict[str, Any]) -> None:
        chunk = {"id": name, "object": "chat.completion.chunk", "model": "drill/model"} | fields
        request.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        request.wfile.flush()

    def look_up(self, request: BaseHTTPRequestHandler) -> None:
        """The record of a generation, once it has ended."""
        name = parse_qs(urlsplit(request.path).query).get("id", [""])[0]
        bill = self.bills.get(name)
        found = bill is not None and bill.done
        body: dict[str, Any] = {"error": {"code": 404, "message": "Generation not found"}}
        if bill is not None and found:
            body = {
                "data": {
                    "id": name,
                    "native_tokens_prompt": bill.prompt_tokens,
                    "native_tokens_completion": bill.completion_tokens,
                    "total_cost": bill.nano_usd / 10**9,
                }
            }
        text = json.dumps(body).encode()
        request.send_response(200 if found else 404)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)
