"""Who may still act, read again at the moment of the act: set-based, for many at once.

Admission calls this inside its own transaction, so a key revoked, a session ended or an account
disabled is refused on the next call in every process, whatever a cache or an open socket believes.
Readers that stay open are asked about by it every few seconds (chat.watching).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.sessions.models import Session
from django.utils.crypto import constant_time_compare

from accounts import keyring
from accounts.models import ApiKey, SignIn, User
from accounts.principal import Principal
from accounts.tokens import LEEWAY
from oneai.kit import rows
from oneai.kit.errors import Refusal

_SEAL_COLUMNS: Final = ("password", "token_epoch")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says they are: a key by its digest and address, or a principal authenticated before.

    ``formers`` are the key's digests under former secrets.
    ``request_id`` is for the log: a claim is judged in another thread than its request's.
    """

    digest: str = ""
    address: str = ""
    principal: Principal | None = None
    request_id: str = ""
    formers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim that holds now: the principal, and the rows of the user and the key behind it."""

    principal: Principal
    user: dict[str, Any]
    key: dict[str, Any] | None

    def check_model(self, slug: str) -> None:
        """Refusal ``model_not_allowed`` when the key is limited to other models."""
        allowed = self.key["allowed_models"] if self.key else None
        if allowed and not keyring.model_allowed(allowed, slug):
            raise Refusal("model_not_allowed", "The key does not allow this model.", param="model")


def standings(claims: Iterable[Claim], at: datetime) -> list[Standing | Refusal]:
    """For each claim its standing, or the refusal it meets. One statement for keys, up to four for the rest."""
    asked = list(claims)
    formers = {former: claim.digest for claim in asked for former in claim.formers}
    keys, users = keyring.find((claim.digest for claim in asked if claim.digest), formers)
    by_id = {
        key["id"]: key
        for key in rows.select(
            ApiKey,
            keyring.KEY_COLUMNS,
            by="id",
            values=[c.principal.api_key_id for c in asked if c.principal and c.principal.api_key_id],
        )
    }
    people = [claim.principal for claim in asked if claim.principal]
    sealed = any(person.api_key_id is None for person in people)
    columns = keyring.USER_COLUMNS + _SEAL_COLUMNS if sealed else keyring.USER_COLUMNS
    named = {row["id"]: row for row in rows.select(User, columns, by="id", values=[one.user_id for one in people])}
    seals = {user_id: (_session_seal(user), str(user["token_epoch"])) for user_id, user in named.items() if sealed}
    users |= named
    sessions = _sessions((c.principal.session_key for c in asked if c.principal and c.principal.session_key), at)
    programs = _programs(c.principal.sign_in_id for c in asked if c.principal and c.principal.sign_in_id)
    found: list[Standing | Refusal] = []
    for claim in asked:
        person = claim.principal
        if person is not None and person.api_key_id is None and not _sealed(person, seals, sessions | programs, at):
            found.append(Refusal("not_authenticated" if person.method == "session" else "invalid_token"))
        else:
            found.append(_standing(claim, keys, by_id, users, at))
    return found


def _sessions(keys: Iterable[str], at: datetime) -> set[str]:
    """Those of ``keys`` whose sessions have not ended."""
    found = rows.select(Session, ("session_key", "expire_date"), by="session_key", values=keys)
    return {session["session_key"] for session in found if session["expire_date"] > at}


def _programs(ids: Iterable[UUID]) -> set[str]:
    """Those of ``ids`` whose sign-ins have not ended."""
    return {str(row["id"]) for row in rows.select(SignIn, ("id",), by="id", values=ids)}


def _session_seal(user: dict[str, Any]) -> str:
    """What a session of ``user`` opened now would be sealed with; takes the password's hash out of the row."""
    return User(password=user.pop("password"), token_epoch=user["token_epoch"]).get_session_auth_hash()


def _sealed(person: Principal, seals: dict[UUID, tuple[str, str]], live: set[str], at: datetime) -> bool:
    """Whether the session or token that ``person`` came by still is what it was; ``live`` are those not ended."""
    leeway = timedelta(seconds=0 if person.method == "session" else LEEWAY)
    if person.expires_at is not None and person.expires_at + leeway <= at:
        return False
    session, epoch = seals.get(person.user_id, ("", ""))
    if person.method == "session":
        return person.session_key in live and constant_time_compare(person.seal, session)
    return person.seal == epoch and (person.sign_in_id is None or str(person.sign_in_id) in live)


def _standing(
    claim: Claim,
    keys: dict[str, dict[str, Any]],
    by_id: dict[UUID, dict[str, Any]],
    users: dict[UUID, dict[str, Any]],
    at: datetime,
) -> Standing | Refusal:
    principal = claim.principal
    key = None
    why = ""
    if principal is None:
        key = keys.get(claim.digest)
        why = keyring.fault(key, at, keyring.prefix_of(key, claim.digest) if key else "", claim.address)
    elif principal.api_key_id is not None:
        key = by_id.get(principal.api_key_id)
        why = keyring.fault(key, at, principal.seal, claim.address)
    user_id = key["user_id"] if key is not None else principal.user_id if principal else None
    user = users.get(user_id) if user_id else None
    if not why and (user is None or not user["is_active"]):
        if key is None:
            return Refusal("account_disabled")
        why = keyring.ACCOUNT_DISABLED
    if why:
        return keyring.refusal(why, key["id"] if key else None, claim.address, request_id=claim.request_id)
    assert user is not None
    if principal is None:
        assert key is not None
        principal = keyring.principal_of(key, user, keyring.prefix_of(key, claim.digest))
    scopes = keyring.scopes_of(key, user["role"]) if key else None
    if (principal.role, principal.scopes) != (user["role"], scopes):
        principal = replace(principal, role=user["role"], scopes=scopes)
    return Standing(principal, user, key)
