"""python -m sandbox: the imitations, on loopback."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from .loopback import is_loopback, leads_here
from .pace import PACES
from .razorpay.keys import WEBHOOK_SECRET
from .razorpay.service import Target
from .server import serve


def _host(text: str) -> str:
    if not is_loopback(text):
        raise argparse.ArgumentTypeError("only a loopback address: the sandbox has no secrets and trusts everybody")
    return "127.0.0.1" if text == "localhost" else text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _target(text: str) -> str:
    if not leads_here(text):
        raise argparse.ArgumentTypeError("webhooks go to an address of this machine only")
    return text


def main() -> int:
    """Reads the command line and serves. 1: a port is taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", type=_host, default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8010, help="HTTP port; 0 takes a free one")
    parser.add_argument("--smtp-port", type=_port, default=8011, help="mail port; 0 takes a free one")
    parser.add_argument("--pace", choices=tuple(PACES), default="human", help="how fast the models write")
    # The environment serves whoever starts the sandbox and has no say in its command line.
    parser.add_argument(
        "--razorpay-webhook",
        type=_target,
        default=os.environ.get("SANDBOX_RAZORPAY_WEBHOOK") or None,
        help="where Razorpay's webhooks go; without it they are kept only (SANDBOX_RAZORPAY_WEBHOOK)",
    )
    parser.add_argument(
        "--razorpay-webhook-secret",
        default=os.environ.get("SANDBOX_RAZORPAY_WEBHOOK_SECRET") or WEBHOOK_SECRET,
        help="what they are signed with; after a comma the secret before it (SANDBOX_RAZORPAY_WEBHOOK_SECRET)",
    )
    asked = parser.parse_args()
    secret, _, old = asked.razorpay_webhook_secret.partition(",")
    webhooks = Target(asked.razorpay_webhook, secret, old or None)
    try:
        asyncio.run(serve(asked.host, asked.port, asked.smtp_port, asked.pace, webhooks))
    except OSError as error:
        print(f"The sandbox can't start: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
