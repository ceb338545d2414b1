"""The paths of the imitated project: the published keys, and a control call that issues access tokens."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from functools import cached_property
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from sandbox.control import answer, fields, wrong
from sandbox.world import WORLD

BASE = "/supabase"
LEGACY_SECRET = "sandbox-supabase-legacy-secret-not-secret"
TOKEN_SECONDS = 3600
FAULTS = ("wrong-aud", "wrong-iss", "expired", "bad-signature", "unknown-kid", "no-kid", "none")


class Keys:
    """The key that signs; a rotation makes another, and both stay published."""

    def __init__(self) -> None:
        self._made: list[ec.EllipticCurvePrivateKey] = []

    @cached_property
    def _stranger(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @property
    def now(self) -> ec.EllipticCurvePrivateKey:
        """The signing key."""
        if not self._made:
            self.rotate()
        return self._made[-1]

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self._made.append(ec.generate_private_key(ec.SECP256R1()))

    def published(self) -> list[dict[str, Any]]:
        """Every key as a JWK, the signing one first."""
        found = []
        for key in reversed([*self._made] or [self.now]):
            shape: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(key.public_key()))
            found.append(shape | {"kid": _name(key), "alg": "ES256", "use": "sig", "key_ops": ["verify"]})
        return found

    def sign(self, claims: dict[str, Any], fault: str | None, legacy: bool) -> str:
        """A token of these claims, spoilt by ``fault``; ``legacy`` signs it with the shared secret."""
        if fault == "none":
            return jwt.encode(claims, "", algorithm="none")
        if legacy:
            secret = "another secret of at least 32 bytes" if fault == "bad-signature" else LEGACY_SECRET
            return jwt.encode(claims, secret, algorithm="HS256")
        key = self._stranger if fault == "bad-signature" else self.now
        headers = {} if fault == "no-kid" else {"kid": "unknown" if fault == "unknown-kid" else _name(self.now)}
        return jwt.encode(claims, key, algorithm="ES256", headers=headers)


def _name(key: ec.EllipticCurvePrivateKey) -> str:
    number = key.public_key().public_numbers().x
    return str(uuid.UUID(hex=hashlib.sha256(str(number).encode()).hexdigest()[:32]))


KEYS: web.AppKey[Keys] = web.AppKey("supabase-keys", Keys)


async def published(request: web.Request) -> web.Response:
    """The keys, as a JWKS."""
    return web.json_response({"keys": request.app[KEYS].published()}, headers={"Cache-Control": "public, max-age=600"})


async def token(request: web.Request) -> web.Response:
    """An access token: `email`, `sub`, `legacy`, `anonymous`, `issued_ago` (seconds), `rotate` first, `fault`."""
    given = await fields(request)
    fault = given.get("fault")
    if fault is not None and fault not in FAULTS:
        return wrong(f"fault: one of {', '.join(FAULTS)}")
    email = str(given.get("email", "asha@example.com"))
    issued = int(time.time()) - int(given.get("issued_ago", 0))
    claims: dict[str, Any] = {
        "iss": f"{request.app[WORLD].base_url}{BASE}/auth/v1",
        "aud": "authenticated",
        "sub": str(given.get("sub") or uuid.uuid5(uuid.NAMESPACE_URL, email)),
        "role": "authenticated",
        "email": email,
        "phone": "",
        "iat": issued,
        "exp": issued + TOKEN_SECONDS,
        "aal": "aal1",
        "session_id": str(uuid.uuid4()),
        "is_anonymous": bool(given.get("anonymous", False)),
        "app_metadata": {"provider": "email"},
        "user_metadata": {"email_verified": True},
    }
    match fault:
        case "wrong-aud":
            claims["aud"] = "another"
        case "wrong-iss":
            claims["iss"] += "/elsewhere"
        case "expired":
            claims |= {"iat": issued - 2 * TOKEN_SECONDS, "exp": issued - TOKEN_SECONDS}
    keys = request.app[KEYS]
    if given.get("rotate"):
        keys.rotate()
    return answer({"access_token": keys.sign(claims, fault, bool(given.get("legacy"))), "sub": claims["sub"]})


def add(app: web.Application) -> None:
    """Adds every path under `BASE`, and its control."""
    app[KEYS] = Keys()
    app.router.add_get(f"{BASE}/auth/v1/.well-known/jwks.json", published)
    app.router.add_post("/_control/supabase/token", token)
