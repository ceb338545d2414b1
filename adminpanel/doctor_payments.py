"""What the doctor says of payments: the key, the mode, whether events can come in and whether they are handled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from adminpanel.doctor_findings import Finding, Level, is_here

#: Events are handled every second; later than this, none is at work or Razorpay does not answer.
PATIENCE_SECONDS: Final = 900
OWN_HOST: Final = "api.razorpay.com"
DOOR: Final = "/api/webhooks/razorpay"
EVENTS: Final = "all of subscription, payment, refund, order, invoice and payment.dispute"


@dataclass(frozen=True, slots=True)
class Payments:
    """What was found. ``trouble`` and ``door_trouble`` are empty when Razorpay, and the site's own door, answer.

    ``last_event_seconds`` is None when no event has ever come.
    """

    site_url: str
    base_url: str
    live: bool
    development: bool
    imitated: bool = False
    trouble: str = ""
    door_trouble: str = ""
    last_event_seconds: float | None = None
    oldest_waiting_seconds: float | None = None
    dead_events: int = 0


def judge_payments(found: Payments | None) -> Iterator[Finding]:
    """Findings about payments; none when they are off (None)."""
    if found is None:
        return
    if found.trouble and not found.imitated:
        yield Finding(Level.MISSING, "Razorpay's answer", found.trouble)
    yield from _judge_mode(found)
    yield from _judge_door(found)
    if (waits := found.oldest_waiting_seconds) is not None and waits > PATIENCE_SECONDS:
        text = f"the oldest that is not handled came {waits / 60:.0f} minutes ago: see webhook events in the admin."
        yield Finding(Level.MISSING, "Payment events", text)
    if found.dead_events:
        text = f"{found.dead_events} were put aside and not acted on: see webhook events in the admin, state dead."
        yield Finding(Level.MISSING, "Payment events", text)


def _judge_mode(found: Payments) -> Iterator[Finding]:
    if found.imitated:
        return
    public = not is_here(urlsplit(found.site_url).hostname or "")
    host = urlsplit(found.base_url).hostname or ""
    if found.live and (found.development or not public):
        yield Finding(Level.UNSAFE, "Razorpay's key", "is live: this machine moves real money. Use a test key here.")
    elif found.live and host != OWN_HOST and not host.endswith(".razorpay.com"):
        text = f"is live and goes to {host}, which is not Razorpay: unset RAZORPAY_BASE_URL."
        yield Finding(Level.UNSAFE, "Razorpay's key", text)
    elif found.live:
        yield Finding(Level.OK, "Razorpay's key", "is live.")
    elif public and not found.development:
        text = "is for tests: plans are given without money. Set the live key, and the live webhook's secret."
        yield Finding(Level.UNSAFE, "Razorpay's key", text)
    else:
        yield Finding(Level.OK, "Razorpay's key", "is for tests.")


def _judge_door(found: Payments) -> Iterator[Finding]:
    """Whether Razorpay can bring events, as far as it can be told from here."""
    parts = urlsplit(found.site_url)
    address = f"{found.site_url}{DOOR}"
    if found.imitated:
        return
    if is_here(parts.hostname or ""):
        text = f"can't come in: nobody outside reaches {address}. What happened is found when the worker looks."
        yield Finding(Level.OFF, "Payment events", text)
    elif parts.scheme != "https" or parts.port not in {None, 443}:
        text = f"can't come in: Razorpay reaches {address} by https on port 443 only."
        yield Finding(Level.MISSING, "Payment events", text)
    elif found.door_trouble:
        yield Finding(Level.MISSING, "Payment events", f"can't come in: {address} {found.door_trouble}")
    elif found.last_event_seconds is None:
        text = f"none has ever come: at Razorpay, add the webhook {address} with your secret, for {EVENTS}."
        yield Finding(Level.MISSING, "Payment events", text)
    else:
        text = f"come in at {address}; the last one {found.last_event_seconds / 60:.0f} minutes ago."
        yield Finding(Level.OK, "Payment events", text)
