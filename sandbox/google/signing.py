"""Identity tokens, signed as Google signs them, with a key made at the start."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .accounts import TOKEN_SECONDS, Person

KEY_BITS = 2048


class Signer:
    """An RSA key with a certificate of its own; made when first used, since that takes a moment."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)

    @cached_property
    def certificate(self) -> str:
        """The certificate, PEM."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox, not Google")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()

    @cached_property
    def key_id(self) -> str:
        """The name of the key in a token's header."""
        return hashlib.sha256(self.certificate.encode()).hexdigest()[:40]

    def sign(self, claims: dict[str, Any], fault: str | None = None) -> str:
        """A token of these claims; `bad-signature` and `unknown-kid` spoil it."""
        key = (
            rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
            if fault == "bad-signature"
            else self._key
        )
        key_id = "0" * 40 if fault == "unknown-kid" else self.key_id
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id})


def claims(
    person: Person,
    issuer: str,
    audience: str,
    base_url: str,
    nonce: str | None,
    fault: str | None,
    last_jti: str,
) -> dict[str, Any]:
    """The claims about a person; a fault makes one of them wrong."""
    now = int(time.time())
    found: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "azp": audience,
        "sub": person.sub,
        "email": person.email,
        "email_verified": person.verified,
        "name": person.name,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "picture": f"{base_url}/google/picture/{person.sub}.svg",
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "jti": secrets.token_hex(20),
    }
    if nonce:
        found["nonce"] = nonce
    match fault:
        case "wrong-aud":
            found |= {"aud": "another-client", "azp": "another-client"}
        case "wrong-iss":
            found["iss"] = "https://accounts.example.net"
        case "expired":
            found |= {"iat": now - 2 * TOKEN_SECONDS, "exp": now - TOKEN_SECONDS}
        case "future":
            found |= {"iat": now + TOKEN_SECONDS, "nbf": now + TOKEN_SECONDS, "exp": now + 2 * TOKEN_SECONDS}
        case "no-email":
            for name in ("email", "email_verified"):
                del found[name]
        case "unverified":
            found["email_verified"] = False
        case "replayed-jti" if last_jti:
            found["jti"] = last_jti
    return found
