"""What may be asked of a key: its name, scopes, end, models, addresses and limits, checked for every door."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Network, ip_network
from typing import Any, Final

from accounts.principal import SCOPES, scopes_for
from oneai.kit.errors import Refusal

LONGEST_NAME: Final = 100
MOST_MODELS: Final = 100
LONGEST_PATTERN: Final = 200
MOST_NETWORKS: Final = 50
WARNED_BEFORE: Final = timedelta(days=7)
LIMITS: Final[Mapping[str, int]] = {
    "limit_tokens": 10**15,
    "limit_nano_usd": 10**15,
    "requests_per_minute": 1_000_000,
    "tokens_per_minute": 10**9,
}
"""The limits of a key, None or 1 up to these. Budgets are for a period, nano-USD are 10⁻⁹ dollars."""
_PATTERN: Final = re.compile(r"[A-Za-z0-9._:/~@+*-]+", re.ASCII)


def checked(given: Mapping[str, Any], role: str, at: datetime) -> dict[str, Any]:
    """The terms in ``given`` as the columns of a key of somebody in ``role``; those left out are left out.

    Refusal ``invalid_value`` that names the field. ``warn_at`` goes with ``expires_at``: an end that is
    nearer than a week is not announced, whoever set it has just seen it.
    """
    values = dict(given)
    if "name" in values:
        values["name"] = checked_name(values["name"])
    if "scopes" in values:
        values["scopes"] = checked_scopes(values["scopes"], role)
    if "expires_at" in values:
        end: datetime | None = values["expires_at"]
        if end is not None and end <= at:
            raise Refusal("invalid_value", "The key would have expired already.", param="expires_at")
        values["warn_at"] = end - WARNED_BEFORE if end is not None and end - at > WARNED_BEFORE else None
    if "allowed_models" in values:
        values["allowed_models"] = checked_models(values["allowed_models"])
    if "allowed_networks" in values:
        values["allowed_networks"] = checked_networks(values["allowed_networks"])
    for name, most in LIMITS.items():
        if values.get(name) is not None and not 1 <= values[name] <= most:
            raise Refusal("invalid_value", f"Must be a whole number from 1 to {most}.", param=name)
    return values


def checked_name(name: str) -> str:
    """A name in one line. Refusal ``invalid_value`` when nothing is left of it, or too much."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refusal("invalid_value", f"A name has 1 to {LONGEST_NAME} printable characters.", param="name")
    return name


def checked_scopes(scopes: Iterable[str], role: str) -> list[str]:
    """The scopes in a fixed order. Refusal ``invalid_value`` for an unknown one or none at all.

    Refusal ``permission_denied`` for one that the role does not have.
    """
    wanted = set(scopes)
    unknown = sorted(wanted - SCOPES)
    if unknown:
        raise Refusal("invalid_value", f"There is no scope {unknown[0]!r}.", param="scopes")
    if not wanted:
        raise Refusal("invalid_value", "A key needs at least one scope.", param="scopes")
    beyond = sorted(wanted - scopes_for(role))
    if beyond:
        raise Refusal("permission_denied", f"You may not give a key the scope {beyond[0]!r}.", param="scopes")
    return sorted(wanted)


def checked_models(patterns: Iterable[str]) -> list[str]:
    """Models by their ids, where ``*`` stands for any text, in the order given. Refusal ``invalid_value``."""
    found = list(dict.fromkeys(patterns))
    if len(found) > MOST_MODELS:
        raise Refusal("invalid_value", f"At most {MOST_MODELS} models.", param="allowed_models")
    for pattern in found:
        if len(pattern) > LONGEST_PATTERN or not _PATTERN.fullmatch(pattern):
            raise Refusal(
                "invalid_value",
                f"{pattern[:80]!r} is no model: write an id such as openai/gpt-4o-mini, or openai/* for several.",
                param="allowed_models",
            )
    return found


def checked_networks(networks: Iterable[str]) -> list[str]:
    """Addresses and ranges, each as it is written shortest, in the order given. Refusal ``invalid_value``."""
    found = list(dict.fromkeys(_network(text) for text in networks))
    if len(found) > MOST_NETWORKS:
        raise Refusal("invalid_value", f"At most {MOST_NETWORKS} addresses.", param="allowed_addresses")
    return found


def _network(text: str) -> str:
    text = text.strip()
    try:
        if "%" in text or not text.isascii():
            raise ValueError("a zone is a name of one machine's")
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise Refusal(
            "invalid_value",
            f"{text[:80]!r} is no address: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.",
            param="allowed_addresses",
        ) from error
    # 10.1.2.3/8 may mean one machine, and would let in sixteen million.
    if not _has_no_host_bits(text):
        raise Refusal("invalid_value", f"{text[:80]!r} is no range: did you mean {network}?", param="allowed_addresses")
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        network = ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _has_no_host_bits(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
