"""Where a request comes from, as far as that can be believed."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def _parsed(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def believed_address(peer: str, forwarded_for: str, proxies: int) -> str:
    """The client's address: the peer's, or what the outermost of ``proxies`` trusted proxies saw.

    Each proxy appends the address it saw to ``X-Forwarded-For``, so counting from the right no
    entry written by the client is ever reached. Without a trusted proxy the header is not read.
    """
    entries = forwarded_for.split(",") if forwarded_for and proxies > 0 else []
    believed = _parsed(entries[max(0, len(entries) - proxies)]) if entries else None
    return believed or _parsed(peer) or "unknown"


def client_address(request: HttpRequest | Request) -> str:
    """The address of whoever sent ``request``."""
    return believed_address(
        request.META.get("REMOTE_ADDR") or "",
        request.META.get("HTTP_X_FORWARDED_FOR") or "",
        settings.TRUSTED_PROXIES,
    )


def address_group(address: str) -> str:
    """What limits count an address as: IPv4 alone, IPv6 by /64, which one subscriber has whole."""
    try:
        if isinstance(ip_address(address), IPv6Address):
            return str(ip_network(f"{address}/64", strict=False))
    except ValueError:
        pass
    return address
