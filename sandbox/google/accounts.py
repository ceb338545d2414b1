"""Who can sign in at the imitated Google, and the codes and tokens handed out."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"
CODE_SECONDS = 600
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who consents. `sub` is Google's stable number of the account."""

    sub: str
    name: str
    email: str
    verified: bool = True

    @property
    def given_name(self) -> str:
        """The first word of the name."""
        return self.name.split(" ")[0] if self.name else ""

    @property
    def family_name(self) -> str:
        """The rest of the name."""
        return self.name.partition(" ")[2]


def person(name: str, email: str, verified: bool = True, sub: str = "") -> Person:
    """A person whose account number follows from the e-mail address unless one is given."""
    number = str(int(hashlib.sha256(email.strip().casefold().encode()).hexdigest()[:16], 16))
    return Person(sub or "1" + number.zfill(20)[-20:], name.strip() or email.split("@")[0], email.strip(), verified)


PEOPLE = (
    person("Asha Rao", "asha@example.com"),
    person("Jonas Weber", "jonas@example.com"),
    person("Mei Tanaka", "mei@example.com"),
    person("Unverified Umar", "umar@example.com", verified=False),
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent that waits for its code to be exchanged, once."""

    person: Person
    redirect_uri: str
    scope: str
    challenge: str | None
    nonce: str | None
    expires: float


class Sessions:
    """Codes and access tokens in use, and the fault ordered for the next exchange."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all codes, tokens and faults."""
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[str, tuple[Person, float]] = {}
        self.fault: str | None = None
        self.slow_seconds = 8.0
        self.pkce_required = True
        self.last_jti = ""

    def grant(self, person: Person, redirect_uri: str, scope: str, challenge: str | None, nonce: str | None) -> str:
        """Keeps a consent and gives its code."""
        now = time.time()
        self._grants = {code: grant for code, grant in self._grants.items() if grant.expires > now}
        code = "4/sandbox-" + secrets.token_urlsafe(24)
        self._grants[code] = Grant(person, redirect_uri, scope, challenge, nonce, now + CODE_SECONDS)
        return code

    def take(self, code: str) -> Grant | None:
        """The consent of a code, which is used up by asking."""
        grant = self._grants.pop(code, None)
        return grant if grant is not None and grant.expires > time.time() else None

    def issue(self, person: Person) -> str:
        """A new access token."""
        now = time.time()
        self._tokens = {token: held for token, held in self._tokens.items() if held[1] > now}
        token = "ya29.sandbox-" + secrets.token_urlsafe(24)
        self._tokens[token] = (person, now + TOKEN_SECONDS)
        return token

    def holder(self, token: str) -> Person | None:
        """Who an access token belongs to."""
        held = self._tokens.get(token)
        return held[0] if held is not None and held[1] > time.time() else None

    def take_fault(self) -> str | None:
        """The ordered fault, which happens once."""
        fault, self.fault = self.fault, None
        return fault
