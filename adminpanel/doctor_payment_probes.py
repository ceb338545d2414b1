"""What the doctor looks at of payments. Asks Razorpay for one plan, and the site for its own door; changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Max
from django.utils.timezone import now

from adminpanel.doctor_payments import DOOR, Payments
from billing import gateway, inbox
from billing.models import WebhookEvent, WebhookState
from billing.razorpay.errors import NotOffered, RazorpayError, Unauthorised
from oneai.kit.http import HTTPFailure, call

SECONDS: Final = 6.0


def _trouble() -> str:
    """What is wrong with Razorpay or our key; empty when a list of plans is given."""
    try:
        gateway.razorpay().calls.get("plans", count=1)
    except Unauthorised:
        return "it refuses the key: RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET don't belong together, or were revoked."
    except NotOffered:
        return "subscriptions are not switched on for this account; ask for them in its dashboard."
    except RazorpayError as error:
        return f"it does not answer as it should ({error})."
    return ""


def _door_trouble() -> str:
    """What is wrong with the site's own address as the world sees it; empty when our door says 405 to a GET."""
    try:
        reply = call("GET", f"{settings.SITE_URL}{DOOR}", connect=SECONDS, read=SECONDS)
    except HTTPFailure as failure:
        return f"does not answer ({failure})."
    return "" if reply.status == 405 else f"answers with status {reply.status}: something else stands there."


def look_at_payments(*, database_answers: bool) -> Payments | None:
    """The facts; None when payments are off."""
    if not gateway.configured():
        return None
    imitated = "razorpay" in settings.IMITATED
    known = Payments(
        site_url=settings.SITE_URL,
        base_url=settings.RAZORPAY_BASE_URL,
        live=gateway.mode() == "live",
        development=settings.DEVELOPMENT,
        imitated=imitated,
        trouble="" if imitated else _trouble(),
        door_trouble=_door_trouble() if settings.TLS else "",
    )
    if not database_answers:
        return known
    at = now()

    def seconds(since: timedelta | None) -> float | None:
        return None if since is None else since.total_seconds()

    last = WebhookEvent.objects.aggregate(at=Max("received_at"))["at"]
    oldest = inbox.oldest_unhandled()
    return replace(
        known,
        last_event_seconds=seconds(at - last if last else None),
        oldest_waiting_seconds=seconds(at - oldest if oldest else None),
        dead_events=WebhookEvent.objects.filter(state=WebhookState.DEAD).count(),
    )
