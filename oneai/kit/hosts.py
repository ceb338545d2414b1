"""Names of hosts: those that the site answers to (ALLOWED_HOSTS, for every path and not for Django's alone)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from django.http.request import split_domain_port, validate_host

#: Asked by machines inside, by a container's address: whether it lives, whether it is ready, what it has counted.
BY_ADDRESS: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names(allowed: Iterable[str], host: str) -> bool:
    """Whether ``allowed``, as ALLOWED_HOSTS, names a host, which is as in a parsed address: IPv6 without brackets."""
    return validate_host(f"[{host}]" if ":" in host else host, allowed)


class Hosts:
    """Judges the Host header as Django's own check does."""

    def __init__(self, allowed: Iterable[str]) -> None:
        known_names = list(allowed)

        @lru_cache(maxsize=64)
        def known(host: bytes) -> bool:
            domain, _ = split_domain_port(host.decode("latin-1"))
            return bool(domain) and validate_host(domain, known_names)

        self._known = known

    def foreign(self, path: str, host: bytes) -> bool:
        """Whether a request for ``path`` names a ``host`` that this site is not; sending none counts as that."""
        return not self._known(host) and path not in BY_ADDRESS
