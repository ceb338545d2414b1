"""Events as Razorpay sends them, and the inbox of a site as somebody with its database sees it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any

import httpx

from tests.billing import razorpay_objects as rzp
from tests.servers.sandbox import RAZORPAY_WEBHOOK_SECRET
from tests.servers.site import Site

DOORS = ("/api/webhooks/razorpay", "/api/subscription/webhook")
ACCOUNT = "acc_SandboxTest001"


def new_id() -> str:
    return f"evt_{secrets.token_hex(7)}"


def event(kind: str = "subscription.charged", **fields: Any) -> bytes:
    """The body of an event, spelt as Razorpay spells it: no blanks, slashes escaped."""
    payload = {
        "subscription": {"entity": rzp.subscription(short_url=None)},
        "payment": {"entity": rzp.payment(captured="1", description="a/b")},
    }
    whole = {"entity": "event", "account_id": ACCOUNT, "event": kind, "contains": ["subscription"], "payload": payload}
    return json.dumps(whole | fields, separators=(",", ":")).replace("/", "\\/").encode()


def signature(body: bytes, secret: str = RAZORPAY_WEBHOOK_SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(body: bytes, event_id: str | None = None, signed: str | None = None) -> dict[str, str]:
    """What comes with a body; ``signed`` replaces the right signature, and empty leaves it out."""
    found = {"Content-Type": "application/json", "User-Agent": "Razorpay-Webhook/v1"}
    if event_id is not None:
        found["X-Razorpay-Event-Id"] = event_id
    proof = signature(body) if signed is None else signed
    return found | ({"X-Razorpay-Signature": proof} if proof else {})


def send(
    site: Site, body: bytes, event_id: str | None = None, signed: str | None = None, door: str = DOORS[0]
) -> httpx.Response:
    return httpx.post(f"{site.url}{door}", content=body, headers=headers(body, event_id, signed), timeout=10)


def kept(site: Site, event_id: str | None = None) -> list[dict[str, Any]]:
    """The rows of the inbox, of one event if it is named, oldest first."""
    names = "event_id event_type account_id body state attempts last_error leased_by handled_at".split()
    chosen = f".filter(event_id={event_id!r})" if event_id else ""
    code = (
        "import json; from billing.models import WebhookEvent; "
        f"print(json.dumps(list(WebhookEvent.objects{chosen}.order_by('id').values(*{names!r})), default=str))"
    )
    found: list[dict[str, Any]] = json.loads(site.command("shell", "-c", code).strip().splitlines()[-1])
    return found
