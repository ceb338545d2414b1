"""What logs call people without naming them."""

from __future__ import annotations

from oneai.kit.derived import keyed_hash


def log_name(email: str) -> str:
    """What logs call an address that somebody typed: the same for the same address, readable by nobody."""
    return keyed_hash("log", email.strip().lower())[:16]
