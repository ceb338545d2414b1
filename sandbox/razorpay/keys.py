"""The two API keys of the sandbox, one a mode, and its webhook secret. None of them opens anything elsewhere."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """What one mode of the account is reached with."""

    mode: str
    key_id: str
    secret: str
    account_id: str


TEST = Keys("test", "rzp_test_sandbox0000001", "sandbox-razorpay-secret-not-secret", "acc_SandboxTest001")
LIVE = Keys("live", "rzp_live_sandbox0000001", "sandbox-razorpay-live-secret-not-secret", "acc_SandboxLive001")
WEBHOOK_SECRET = "sandbox-razorpay-webhook-secret-0000000001"
WRONG_SECRET = "not-the-secret-of-anybody-0000000000"


def signed(message: str | bytes, secret: str) -> str:
    """Lower-case hex HMAC-SHA256, as the service signs."""
    data = message.encode() if isinstance(message, str) else message
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compares without telling how much fits."""
    return hmac.compare_digest(one.encode(), other.encode())
