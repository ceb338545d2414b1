"""A plain client of the imitated Razorpay, and a site of a test that takes its webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sandbox.wire import Client, Reply

KEY, SECRET = "rzp_test_sandbox0000001", "sandbox-razorpay-secret-not-secret"
LIVE_KEY, LIVE_SECRET = "rzp_live_sandbox0000001", "sandbox-razorpay-live-secret-not-secret"
WEBHOOK_SECRET = "sandbox-razorpay-webhook-secret-0000000001"
DAY = 86_400


def basic(key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


def hexed(message: str | bytes, secret: str = SECRET) -> str:
    """HMAC-SHA256 as the papers of the service describe it, worked out here a second time."""
    data = message.encode() if isinstance(message, str) else message
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


@dataclass
class Hook:
    """One webhook as it arrived."""

    body: bytes
    signature: str
    event_id: str
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def name(self) -> str:
        return str(self.json["event"])

    def signed_by(self, secret: str = WEBHOOK_SECRET) -> bool:
        return self.signature == hexed(self.body, secret)


class Receiver:
    """A site that takes webhooks. `statuses` are its next answers (200 after them); `seconds` how long it thinks."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.statuses: list[int] = []
        self.always: int = 200
        self.seconds = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook = Hook(
                    body,
                    self.headers.get("X-Razorpay-Signature", ""),
                    self.headers.get("X-Razorpay-Event-Id", ""),
                    time.monotonic(),
                )
                receiver.hooks.append(hook)
                status = receiver.statuses.pop(0) if receiver.statuses else receiver.always
                time.sleep(receiver.seconds)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # the sandbox no longer waits

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/webhooks/razorpay"

    @property
    def names(self) -> list[str]:
        return [hook.name for hook in self.hooks]

    @property
    def ids(self) -> list[str]:
        return [hook.event_id for hook in self.hooks]

    def take(self) -> list[str]:
        """The names of what came since the last look."""
        names = self.names
        self.hooks.clear()
        return names

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
        thread.join(5)


class Razorpay:
    """Calls of the API and of the control endpoints, in test mode."""

    def __init__(self, box: Client) -> None:
        self.box = box

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        return self.box.call(
            method, f"/razorpay/v1{path}", body, basic() | {"Content-Type": "application/json"} | headers
        )

    def raw(self, method: str, path: str, body: object = None) -> Reply:
        data = json.dumps(body).encode() if body is not None else b""
        return self.box.raw(method, f"/razorpay/v1{path}", data, basic())

    def ok(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        return answer

    def no(self, method: str, path: str, body: object = None, status: int = 400) -> dict[str, Any]:
        """The error of a call that is refused."""
        got, answer = self.ask(method, path, body)
        assert got == status, answer
        error: dict[str, Any] = answer["error"]
        return error

    def control(self, path: str, body: object = None) -> Any:
        return self.box.control(f"razorpay/{path}", body)

    def plan(self, amount: int = 49_900, period: str = "monthly", interval: int = 1, currency: str = "INR") -> Any:
        item = {"name": "Pro", "amount": amount, "currency": currency}
        return self.ok("POST", "/plans", {"period": period, "interval": interval, "item": item})

    def subscribe(self, plan: Any = None, **fields: object) -> str:
        plan = plan or self.plan()
        made = self.ok("POST", "/subscriptions", {"plan_id": plan["id"], "total_count": 12} | fields)
        return str(made["id"])

    def active(self, method: str = "card_international", plan: Any = None, **fields: object) -> str:
        """A subscription with its first cycle paid."""
        key = self.subscribe(plan, **fields)
        self.walk(key, "authenticate", method=method)
        return key

    def fetch(self, key: str) -> Any:
        return self.ok("GET", f"/subscriptions/{key}")

    def walk(self, key: str, name: str, **fields: object) -> Any:
        made = self.control(f"subscription/{key}/{name}", fields)
        self.control("settle", {})
        return made

    def advance(self, **units: int) -> int:
        return int(self.control("clock", units)["now"])

    def until(self, moment: int) -> None:
        self.control("clock", {"now": moment})

    def invoices(self, key: str) -> list[Any]:
        found: list[Any] = self.ok("GET", f"/invoices?subscription_id={key}&count=100")["items"]
        return found


def wait_for(what: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
