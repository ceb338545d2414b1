"""Which key a credential is, and whether it is good: one rule for every door, read by one statement.

A key has the text that it shows now and, after a rotation, for a while the one before. Which of the
two somebody came by is told by its public prefix.

After a change of SECRET_KEY a key is found by its digest under a former one (SECRET_KEY_FALLBACKS) as well, and gets
the present one when it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final
from uuid import UUID

import structlog

from accounts.models import ApiKey, User
from accounts.principal import Principal, scopes_for
from oneai.kit import rows
from oneai.kit.errors import Refusal
from oneai.kit.rows import Row

log = structlog.get_logger("security")

KEY_COLUMNS: Final = (
    "id",
    "user_id",
    "prefix",
    "digest",
    "previous_prefix",
    "previous_digest",
    "previous_until",
    "scopes",
    "allowed_models",
    "allowed_networks",
    "limit_tokens",
    "limit_nano_usd",
    "requests_per_minute",
    "tokens_per_minute",
    "expires_at",
    "revoked_at",
    "last_used_at",
)
USER_COLUMNS: Final = ("id", "email", "name", "role", "is_active", "preferences", "created_at")
LAST_USED_STEP: Final = timedelta(minutes=1)
ACCOUNT_DISABLED: Final = "account disabled"
ADDRESS: Final = "address"
DIGESTS: Final = ("digest", "previous_digest")


def find(digests: Iterable[str], formers: Mapping[str, str] | None = None) -> tuple[dict[str, Row], dict[UUID, Row]]:
    """Keys by the digest that was asked for, and their people by id.

    ``formers``: digests under former secrets, each with the present one of the same text, by which a key that is
    found by them goes from here on; its row has ``stored``, the digests that its table still holds, by column.
    """
    formers = formers or {}
    wanted = list(dict.fromkeys([*digests, *formers]))
    if not wanted:
        return {}, {}
    key, user = rows.table(ApiKey), rows.table(User)
    names = [f"k.{key.columns[name]}" for name in KEY_COLUMNS] + [f"u.{user.columns[name]}" for name in USER_COLUMNS]
    marks = rows.marks(len(wanted))
    sql = (
        f"SELECT {','.join(names)} FROM {key.name} k JOIN {user.name} u ON u.id = k.user_id "  # noqa: S608 (names of ours)
        f"WHERE k.digest IN ({marks}) OR k.previous_digest IN ({marks})"
    )
    found = rows.query(key, sql, [*wanted, *wanted])
    width = len(KEY_COLUMNS)
    keys = key.decoded(KEY_COLUMNS, [record[:width] for record in found])
    users = user.decoded(USER_COLUMNS, [record[width:] for record in found])
    for row in keys:
        row["stored"] = {name: row[name] for name in DIGESTS if row[name] in formers}
        row.update({name: formers[digest] for name, digest in row["stored"].items()})
    by_digest = {row["previous_digest"]: row for row in keys if row["previous_digest"]}
    by_digest |= {row["digest"]: row for row in keys}
    return by_digest, {row["id"]: row for row in users}


def prefix_of(key: Mapping[str, Any], digest: str) -> str:
    """The public prefix of the text that has ``digest``, which is one of the key's."""
    return str(key["prefix"] if digest == key["digest"] else key["previous_prefix"])


def held(key: Mapping[str, Any], digest: str) -> str:
    """What the table holds for the text that has ``digest``, which is one of the key's."""
    name = "digest" if digest == key["digest"] else "previous_digest"
    return str(key["stored"].get(name, key[name]))


def fault(key: Mapping[str, Any] | None, at: datetime, prefix: str, address: str) -> str:
    """Why a key is refused to who came by ``prefix`` from ``address``, in a few words; empty when it is good."""
    if key is None:
        return "unknown"
    if key["revoked_at"] is not None:  # whatever this machine's clock says
        return "revoked"
    if prefix != key["prefix"] and (prefix != key["previous_prefix"] or key["previous_until"] <= at):
        return "rotated"
    if key["expires_at"] is not None and key["expires_at"] <= at:
        return "expired"
    if not address_allowed(key["allowed_networks"], address):
        return ADDRESS
    return ""


def address_allowed(networks: Collection[str], address: str) -> bool:
    """Whether a key bound to ``networks`` may be used from ``address``; an unknown address may not.

    An IPv4 address written as IPv6 (``::ffff:192.0.2.1``) is the IPv4 address.
    """
    if not networks:
        return True
    try:
        client = ip_address(address)
        if isinstance(client, IPv6Address) and client.ipv4_mapped:
            client = client.ipv4_mapped
        return any(client in ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False


def model_allowed(patterns: Collection[str], slug: str) -> bool:
    """Whether a key limited to ``patterns`` may ask the model; without any it may ask all."""
    return not patterns or any(fnmatchcase(slug, pattern) for pattern in patterns)


def refusal(why: str, key_id: UUID | None = None, address: str = "", **more: str) -> Refusal:
    """The refusal of a key, noted in the log: why, and its id when there is such a key, never its text."""
    log.warning("api_key_refused", why=why, api_key_id=str(key_id) if key_id else None, **more)
    if why == ADDRESS:
        return Refusal("address_not_allowed", details={"address": address})
    return Refusal("account_disabled" if why == ACCOUNT_DISABLED else "invalid_api_key")


def scopes_of(key: Mapping[str, Any], role: str) -> frozenset[str]:
    """What the key may do now: what it was given, as far as its owner's role still has it."""
    return scopes_for(role) & frozenset(key["scopes"])


def principal_of(key: Mapping[str, Any], user: Mapping[str, Any], prefix: str) -> Principal:
    """The principal of a good key."""
    return Principal(
        user_id=user["id"],
        email=user["email"],
        role=user["role"],
        method="api_key",
        scopes=scopes_of(key, user["role"]),
        api_key_id=key["id"],
        expires_at=key["expires_at"],
        name=user["name"],
        seal=prefix,
    )


def touch(keys: Iterable[Mapping[str, Any] | None], at: datetime) -> None:
    """Note that keys were used, at most once a minute each; a digest under a former secret becomes the present one."""
    used = {key["id"]: key for key in keys if key is not None}
    # Every row is locked by the first statement, the others change some of the same: so no two wait for each other.
    stale = [
        key_id
        for key_id, key in sorted(used.items())
        if key["last_used_at"] is None or at - key["last_used_at"] > LAST_USED_STEP or key.get("stored")
    ]
    rows.update(ApiKey, [{"id": key_id, "last_used_at": at} for key_id in stale])
    for name in DIGESTS:
        former = {key_id: key["stored"][name] for key_id in stale if name in (key := used[key_id]).get("stored", {})}
        if former:  # unless the key was rotated meanwhile
            held = ",".join(f"'{digest}'" for digest in former.values())  # in hexadecimal, of our own making
            changed = [{"id": key_id, name: used[key_id][name]} for key_id in former]
            rows.update(ApiKey, changed, where=f"t.{name} IN ({held})")
