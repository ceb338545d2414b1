"""The sandbox as a real process: imitations of OpenRouter, Google, Razorpay and a mail server on loopback ports."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess, free_port

KEY = "sk-or-v1-sandbox"
GOOGLE_CLIENT_ID = "sandbox-client"
GOOGLE_CLIENT_SECRET = "sandbox-secret"
RAZORPAY_KEY_ID = "rzp_test_sandbox0000001"
RAZORPAY_KEY_SECRET = "sandbox-razorpay-secret-not-secret"
RAZORPAY_WEBHOOK_SECRET = "sandbox-razorpay-webhook-secret-0000000001"


def answers(url: str) -> bool:
    """Whether an HTTP server answers there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


class Sandbox:
    """`python -m sandbox` on two free ports."""

    def __init__(
        self,
        folder: Path,
        *,
        pace: str = "fast",
        port: int | None = None,
        smtp_port: int | None = None,
        razorpay_webhook: str = "",
        authority: Path | None = None,
    ) -> None:
        """``pace`` is how quickly its models write: human, fast or none (as fast as it goes out).

        Razorpay's events go to ``razorpay_webhook`` from the start and after each reset. ``authority`` is a
        file of certificates that it trusts instead of the machine's.
        """
        self.authority = authority
        self.pace = pace
        self.razorpay_webhook = razorpay_webhook
        self.port = port or free_port()
        self.smtp_port = smtp_port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / f"sandbox-{self.port}.log"
        self._server: ServerProcess | None = None

    def start(self) -> None:
        """Start and wait until it answers; also after a kill. Raises ServerDied."""
        ports = ("--port", str(self.port), "--smtp-port", str(self.smtp_port))
        command = ["sandbox", *ports, "--pace", self.pace]
        if self.razorpay_webhook:
            command += ["--razorpay-webhook", self.razorpay_webhook]
        if self.authority:  # Python reads whom to trust when it starts
            env = os.environ | {"SSL_CERT_FILE": str(self.authority)}
            self._server = ServerProcess([sys.executable, "-m", *command], log_path=self.log_path, env=env)
        else:
            self._server = ServerProcess(command, log_path=self.log_path, forked=True)
        self._server.start()
        self._server.wait_until(lambda: answers(self.url))

    def settings(self) -> dict[str, str]:
        """The settings that point a site at this sandbox."""
        return {
            "OPENROUTER_API_KEY": KEY,
            "OPENROUTER_BASE_URL": f"{self.url}/openrouter/api/v1",
            "GOOGLE_CLIENT_ID": GOOGLE_CLIENT_ID,
            "GOOGLE_CLIENT_SECRET": GOOGLE_CLIENT_SECRET,
            "GOOGLE_BASE_URL": f"{self.url}/google",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.smtp_port}",
        } | self.razorpay_settings()

    def razorpay_settings(self) -> dict[str, str]:
        """The settings that point a site at this sandbox's Razorpay; `razorpay_webhooks` points it back."""
        return {
            "RAZORPAY_KEY_ID": RAZORPAY_KEY_ID,
            "RAZORPAY_KEY_SECRET": RAZORPAY_KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": RAZORPAY_WEBHOOK_SECRET,
            "RAZORPAY_BASE_URL": f"{self.url}/razorpay",
            "RAZORPAY_CHECKOUT_URL": f"http://localhost:{self.port}/razorpay/checkout.js",
        }

    def control(self, path: str, body: object = None) -> Any:
        """A control call, `razorpay/clock` for one; GET without a body. Asserts that it was accepted."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            f"{self.url}/_control/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=300) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"/_control/{path}: {refused.code} {refused.read().decode()}") from None

    def razorpay_webhooks(self, url: str | None = None, **settings: object) -> Any:
        """Sends webhooks to ``url`` from now on, and changes other settings of theirs."""
        return self.control("razorpay/webhooks", settings | ({"url": url} if url else {}))

    def razorpay_advance(self, **units: int) -> int:
        """Moves Razorpay's clock forward (seconds, minutes, hours, days); the time it shows then.

        What falls due on the way has happened, and its webhooks have been answered.
        """
        moved = self.control("razorpay/clock", units)
        assert moved["settled"], "webhooks took too long"
        return int(moved["now"])

    def razorpay_walk(self, subscription: str, walk: str, **fields: object) -> dict[str, Any]:
        """Lets something happen to a subscription and waits for its webhooks; the subscription after it."""
        found: dict[str, Any] = self.control(f"razorpay/subscription/{subscription}/{walk}", fields)
        self.control("razorpay/settle", {})
        return found

    def razorpay_events(self, **query: str) -> list[dict[str, Any]]:
        """Razorpay's events, oldest first; `event`, `state`, `about` (an id in the body) narrow the list."""
        found: list[dict[str, Any]] = self.control("razorpay/events?" + urllib.parse.urlencode(query))["events"]
        return found

    def kill(self) -> None:
        if self._server:
            self._server.kill()

    def stop(self) -> None:
        if self._server:
            self._server.stop(seconds=10)
            self._server = None
