"""What the doctor's judgements are made of."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is meant; only the last two need somebody to act."""

    OK = "ok"
    IMITATED = "imitated"
    OFF = "off"
    MISSING = "missing"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject."""

    level: Level
    subject: str
    text: str

    @property
    def needs_action(self) -> bool:
        return self.level in {Level.MISSING, Level.UNSAFE}


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host in {"localhost", ""} or host.endswith(".localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
