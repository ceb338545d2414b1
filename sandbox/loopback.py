"""Which hosts and addresses are this machine's."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")  # such a host may be quoted in a content policy


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def leads_here(address: str) -> bool:
    """Whether an address of the web is one of a site on this machine."""
    try:
        parts = urlsplit(address)
        here = is_loopback(parts.hostname or "") and parts.port != 0
    except ValueError:  # brackets or a port that can't be read
        return False
    return here and parts.scheme in ("http", "https") and HOST.fullmatch(parts.netloc) is not None
