"""Razorpay: all of its settings or none, and nothing that would let anybody sign what it signs."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from oneai import env

BASE_URL: Final = "https://api.razorpay.com"
CHECKOUT_URL: Final = "https://checkout.razorpay.com/v1/checkout.js"
NAMES: Final = ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET")
SHORTEST_WEBHOOK_SECRET: Final = 32
MOST_WEBHOOK_SECRETS: Final = 2

# What the imitation knows. Everybody can read these, so they are good for nothing but a site of this machine.
SANDBOX_KEY_ID: Final = "rzp_test_sandbox0000001"
SANDBOX_KEY_SECRET: Final = "sandbox-razorpay-secret-not-secret"  # noqa: S105
SANDBOX_WEBHOOK_SECRET: Final = "sandbox-razorpay-webhook-secret-0000000001"  # noqa: S105


def given() -> list[str]:
    """Which of the three settings have a value."""
    return [name for name in NAMES if env.present(name)]


def problems(*, only_this_machine: bool) -> list[str]:
    """What is wrong with the settings, one sentence each; nothing when all three are empty.

    ``only_this_machine`` says that the site can't be reached from elsewhere, as ``SITE_URL`` tells.
    """
    set_ones = given()
    if not set_ones:
        return []
    found = []
    if len(set_ones) < len(NAMES):
        missing = [name for name in NAMES if name not in set_ones]
        found.append(f"Razorpay is set in part: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    key_id = env.text("RAZORPAY_KEY_ID")
    if key_id and not re.fullmatch(r"rzp_(test|live)_[A-Za-z0-9]{6,40}", key_id):
        found.append("RAZORPAY_KEY_ID must be rzp_test_ or rzp_live_ and then 6 to 40 letters and digits")
    secrets = env.listed("RAZORPAY_WEBHOOK_SECRET")
    if any(len(secret) < SHORTEST_WEBHOOK_SECRET for secret in secrets):
        found.append(f"RAZORPAY_WEBHOOK_SECRET has fewer than {SHORTEST_WEBHOOK_SECRET} characters")
    if len(secrets) > MOST_WEBHOOK_SECRETS:
        found.append("RAZORPAY_WEBHOOK_SECRET holds more than two secrets")
    if "RAZORPAY_WEBHOOK_SECRET" in set_ones and not secrets:
        found.append("RAZORPAY_WEBHOOK_SECRET holds commas and no secret")
    if SANDBOX_WEBHOOK_SECRET in secrets and not only_this_machine:
        found.append("RAZORPAY_WEBHOOK_SECRET is the sandbox's, which everybody can read")
    for name in ("RAZORPAY_BASE_URL", "RAZORPAY_CHECKOUT_URL"):
        parts = urlsplit(env.url(name))
        if parts.scheme == "http" and not only_this_machine:
            found.append(f"{name} must be https://")
        if parts.query or parts.fragment:
            found.append(f"{name} must have neither query nor fragment")
    return found
