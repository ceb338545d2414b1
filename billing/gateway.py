"""Razorpay under this site's key, or the plain statement that payments are off."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from billing.razorpay.client import Razorpay, client
from billing.razorpay.errors import (
    BadRequest,
    Conflict,
    NotFound,
    NotOffered,
    RazorpayError,
    TooMany,
    Unauthorised,
)
from oneai.kit.errors import Refusal

RETRY_SECONDS: Final = 5


def configured() -> bool:
    """Whether payments are on."""
    return bool(settings.RAZORPAY_KEY_ID)


def mode() -> str:
    """``live`` for real money, ``test`` otherwise: what one knows, the other has never heard of."""
    return "live" if settings.RAZORPAY_KEY_ID.startswith("rzp_live_") else "test"


def razorpay() -> Razorpay:
    """The client. Refusal ``payments_off`` when no key is set."""
    if not configured():
        raise Refusal("payments_off")
    return client(
        base_url=settings.RAZORPAY_BASE_URL,
        key_id=settings.RAZORPAY_KEY_ID,
        key_secret=settings.RAZORPAY_KEY_SECRET,
    )


def as_refusal(error: RazorpayError) -> Refusal:
    """What a person is told when Razorpay did not do what they asked for."""
    match error:
        case Unauthorised() | NotOffered():
            return Refusal("payments_unconfigured")
        case TooMany():
            return Refusal("payments_unavailable", retry_after=error.retry_after or RETRY_SECONDS)
        case NotFound():
            return Refusal("not_found")
        case BadRequest() | Conflict():
            return Refusal("payment_refused", error.description)
    return Refusal("payments_unavailable", retry_after=RETRY_SECONDS)
