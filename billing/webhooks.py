"""The door for Razorpay's events: verified on the raw bytes, kept, and only then acknowledged.

A hot route (docs/decisions/0069-the-webhook-inbox.md): no session is read, and when the database does
not answer Razorpay is told so within two seconds, which makes it send the event again.
"""

from __future__ import annotations

import structlog
from django.conf import settings

from billing import inbox
from billing.razorpay.signatures import webhook_secret
from oneai.kit import database, metrics
from oneai.kit.errors import Refusal
from oneai.kit.hot import Request, send_json

log = structlog.get_logger("security")

SIGNATURE = "x-razorpay-signature"
EVENT_ID = "x-razorpay-event-id"


async def razorpay(request: Request) -> None:
    """Keep one event. Refusals ``invalid_signature`` (nothing is kept), ``payments_off``, ``unavailable``."""
    secrets = settings.RAZORPAY_WEBHOOK_SECRETS
    if not secrets:
        raise Refusal("payments_off")
    body = bytes(request.body)
    secret = webhook_secret(body, request.headers.get(SIGNATURE, ""), secrets)
    if secret is None:
        missing = SIGNATURE not in request.headers
        log.warning("webhook_rejected", reason="no signature" if missing else "wrong signature", bytes=len(body))
        metrics.count("webhooks_received", "refused")
        raise Refusal("invalid_signature")
    event = inbox.incoming(body, request.headers.get(EVENT_ID, "").strip())
    await database.run(inbox.store, event)
    metrics.count("webhooks_received", "kept")
    log.info("webhook_kept", event_type=event.event_type, event_id=event.event_id, old_secret=secret > 0)
    await send_json(request, 200, {"status": "ok"})
