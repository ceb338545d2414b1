"""What the doctor's judgements are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from oneai.kit.hosts import is_loopback


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


def is_here(host: str) -> bool:
    """Whether what a setting names is this machine: its own name or address, none at all, or a socket's path."""
    return host == "" or host.startswith("/") or is_loopback(host)
