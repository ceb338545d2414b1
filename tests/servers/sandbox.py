"""The sandbox as a real process: imitations of OpenRouter, Google, Razorpay and a mail server on loopback ports."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

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
    ) -> None:
        """``pace`` is how quickly its models write: human, fast or none (as fast as it goes out).

        Razorpay's events go to ``razorpay_webhook`` from the start and after each reset.
        """
        self.pace = pace
        self.razorpay_webhook = razorpay_webhook
        self.port = port or free_port()
        self.smtp_port = smtp_port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / f"sandbox-{self.port}.log"
        self._server: ServerProcess | None = None

    def start(self) -> None:
        """Start and wait until it answers; also after a kill. Raises ServerDied."""
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--port",
            str(self.port),
            "--smtp-port",
            str(self.smtp_port),
            "--pace",
            self.pace,
        ]
        if self.razorpay_webhook:
            command += ["--razorpay-webhook", self.razorpay_webhook]
        self._server = ServerProcess(command, log_path=self.log_path)
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
            "RAZORPAY_KEY_ID": RAZORPAY_KEY_ID,
            "RAZORPAY_KEY_SECRET": RAZORPAY_KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": RAZORPAY_WEBHOOK_SECRET,
            "RAZORPAY_BASE_URL": f"{self.url}/razorpay",
            "RAZORPAY_CHECKOUT_URL": f"http://localhost:{self.port}/razorpay/checkout.js",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.smtp_port}",
        }

    def kill(self) -> None:
        if self._server:
            self._server.kill()

    def stop(self) -> None:
        if self._server:
            self._server.stop(seconds=10)
            self._server = None
