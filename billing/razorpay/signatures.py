"""Signatures of Razorpay: HMAC-SHA256 in lower-case hexadecimal, compared in constant time.

A signature is good only under a secret that is not empty, and every function here says no to what
is missing. The ids are those that stand in our own rows, never those that a browser sends.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def sign(message: bytes, secret: str) -> str:
    """The signature of ``message``. ValueError for an empty secret: anybody could make that one."""
    if not secret:
        raise ValueError("a signature needs a secret")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _good(message: bytes, signature: str, secret: str) -> bool:
    if not secret or not signature:
        return False
    # Bytes: compare_digest refuses text with other letters than ASCII by an exception.
    return hmac.compare_digest(sign(message, secret).encode(), signature.encode("utf-8", "surrogatepass"))


def _joined(*parts: str) -> bytes | None:
    """The parts as they are signed; None when one could pass for two."""
    if any("|" in part for part in parts):
        return None
    return "|".join(parts).encode("utf-8", "surrogatepass")


def subscription_is_signed(payment_id: str, subscription_id: str, signature: str, key_secret: str) -> bool:
    """Whether the checkout of a subscription of ours was signed for this payment."""
    message = _joined(payment_id, subscription_id) if payment_id and subscription_id else None
    return message is not None and _good(message, signature, key_secret)


def order_is_signed(order_id: str, payment_id: str, signature: str, key_secret: str) -> bool:
    """Whether the checkout of an order of ours was signed for this payment: here the order comes first."""
    message = _joined(order_id, payment_id) if order_id and payment_id else None
    return message is not None and _good(message, signature, key_secret)


def link_is_signed(
    link_id: str, reference_id: str, status: str, payment_id: str, signature: str, key_secret: str
) -> bool:
    """Whether somebody comes back from a payment link of ours with what Razorpay sent them with.

    ``reference_id`` is ours, and is empty for a link that was made without one.
    """
    message = _joined(link_id, reference_id, status, payment_id) if link_id and status and payment_id else None
    return message is not None and _good(message, signature, key_secret)


def webhook_secret(body: bytes, signature: str, secrets: Sequence[str]) -> int | None:
    """Which of ``secrets`` (its place, from 0) signed the raw ``body`` of a webhook; None when none did.

    Every secret is tried, so that the time does not tell which one is right.
    """
    found: int | None = None
    for place, secret in enumerate(secrets):
        if _good(body, signature, secret) and found is None:
            found = place
    return found
