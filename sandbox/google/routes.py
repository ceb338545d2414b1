"""The paths of the imitated Google: consent, token exchange, certificates, user information."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from html import escape
from typing import Any

from aiohttp import web

from sandbox.control import answer, fields, wrong
from sandbox.world import WORLD, World

from . import consent
from .accounts import CLIENT_ID, CLIENT_SECRET, PEOPLE, TOKEN_SECONDS, Grant, Person, person
from .signing import Signer, claims

BASE = "/google"
FAULTS = (
    "wrong-aud",
    "wrong-iss",
    "expired",
    "future",
    "bad-signature",
    "unknown-kid",
    "replayed-jti",
    "no-id-token",
    "no-email",
    "unverified",
    "html",
    "500",
    "slow",
)
SIGNER: web.AppKey[Signer] = web.AppKey("signer", Signer)


def _refuse(error: str, description: str, status: int = 400) -> web.Response:
    return web.json_response(
        {"error": error, "error_description": description},
        status=status,
        headers={"Cache-Control": "no-store"},
    )


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _client(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return "", ""
        return name, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _verified(grant: Grant, verifier: str) -> bool:
    if grant.challenge is None:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return _same(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), grant.challenge)


async def token(request: web.Request) -> web.Response:
    """Exchanges a code, once, for an access token and an identity token."""
    world = request.app[WORLD]
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    fault = world.google.take_fault()
    if fault == "slow":
        await asyncio.sleep(world.google.slow_seconds)
    elif fault == "500":
        return web.Response(status=500, text="Internal error of the sandbox, as ordered\n")
    elif fault == "html":
        return web.Response(
            text="<html><body>A page of the sandbox, as ordered</body></html>", content_type="text/html"
        )
    name, secret = _client(request, form)
    if name != CLIENT_ID or not _same(secret, CLIENT_SECRET):
        return _refuse("invalid_client", "The client or its secret is unknown.", 401)
    if form.get("grant_type") != "authorization_code":
        return _refuse("unsupported_grant_type", "Only authorization_code.")
    grant = world.google.take(form.get("code", ""))
    if grant is None:
        return _refuse("invalid_grant", "The code is unknown, expired or used.")
    if grant.redirect_uri != form.get("redirect_uri"):
        return _refuse("redirect_uri_mismatch", "Not the redirect_uri of the consent.")
    if not _verified(grant, form.get("code_verifier", "")):
        return _refuse("invalid_grant", "The code verifier does not fit the challenge.")
    body: dict[str, Any] = {
        "access_token": world.google.issue(_visible(grant.person, fault)),
        "expires_in": TOKEN_SECONDS,
        "scope": grant.scope,
        "token_type": "Bearer",
    }
    if fault != "no-id-token":
        body["id_token"] = _id_token(request, world, grant.person, CLIENT_ID, grant.nonce, fault)
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _visible(who: Person, fault: str | None) -> Person:
    return Person(who.sub, who.name, "", False) if fault == "no-email" else who


def _id_token(
    request: web.Request, world: World, who: Person, audience: str, nonce: str | None, fault: str | None
) -> str:
    found = claims(who, world.base_url + BASE, audience, world.base_url, nonce, fault, world.google.last_jti)
    world.google.last_jti = found["jti"]
    return request.app[SIGNER].sign(found, fault)


async def certificates(request: web.Request) -> web.Response:
    """Key id to certificate (x509, PEM)."""
    signer = request.app[SIGNER]
    return web.json_response({signer.key_id: signer.certificate}, headers={"Cache-Control": "max-age=300"})


async def userinfo(request: web.Request) -> web.Response:
    """Who an access token belongs to."""
    world = request.app[WORLD]
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value if scheme.lower() == "bearer" else request.query.get("access_token", "")
    who = world.google.holder(value)
    if who is None:
        return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
    found: dict[str, Any] = {
        "id": who.sub,
        "name": who.name,
        "given_name": who.given_name,
        "family_name": who.family_name,
        "picture": f"{world.base_url}{BASE}/picture/{who.sub}.svg",
    }
    if who.email:
        found |= {"email": who.email, "verified_email": who.verified}
    return web.json_response(found)


async def picture(request: web.Request) -> web.Response:
    """A portrait: the initials."""
    sub = request.match_info["sub"]
    who = next((one for one in PEOPLE if one.sub == sub), None)
    letters = escape((who.given_name[:1] + who.family_name[:1]) if who else "?")
    hue = int(sub) % 360
    return web.Response(
        text="<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 96 96'>"
        f"<rect width='96' height='96' fill='hsl({hue} 45% 40%)'/><text x='48' y='60' font-size='36' "
        f"fill='#fff' font-family='sans-serif' text-anchor='middle'>{letters}</text></svg>",
        content_type="image/svg+xml",
    )


async def control(request: web.Request) -> web.Response:
    """`fault` for the next exchange (null takes it back), `slow_seconds`, `pkce` required or optional."""
    google = request.app[WORLD].google
    given = await fields(request)
    fault = given.get("fault", google.fault)
    if fault is not None and fault not in FAULTS:
        return wrong(f"fault: one of {', '.join(FAULTS)}, or null")
    slow = given.get("slow_seconds", google.slow_seconds)
    if not isinstance(slow, int | float) or not 0 <= slow <= 120:
        return wrong("slow_seconds: a number from 0 to 120")
    pkce = given.get("pkce", "required" if google.pkce_required else "optional")
    if pkce not in ("required", "optional"):
        return wrong("pkce: required or optional")
    google.fault, google.slow_seconds, google.pkce_required = fault, float(slow), pkce == "required"
    return answer({"fault": fault, "slow_seconds": google.slow_seconds, "pkce": pkce})


async def credential(request: web.Request) -> web.Response:
    """An identity token as of One Tap: `email`, `name`, `verified`, `sub`, `aud`, `nonce`, `fault`."""
    given = await fields(request)
    fault = given.get("fault")
    if fault is not None and fault not in FAULTS:
        return wrong(f"fault: one of {', '.join(FAULTS)}")
    who = person(
        str(given.get("name", "")),
        str(given.get("email", PEOPLE[0].email)),
        bool(given.get("verified", True)),
        str(given.get("sub", "")),
    )
    made = _id_token(request, request.app[WORLD], who, str(given.get("aud", CLIENT_ID)), given.get("nonce"), fault)
    return answer({"credential": made})


def add(app: web.Application) -> None:
    """Adds every path under `BASE`, and its controls."""
    app[SIGNER] = Signer()
    router = app.router
    router.add_get(f"{BASE}/o/oauth2/v2/auth", consent.ask)
    router.add_post(f"{BASE}/o/oauth2/v2/auth", consent.decide)
    router.add_post(f"{BASE}/token", token)
    router.add_get(f"{BASE}/oauth2/v1/certs", certificates)
    router.add_get(f"{BASE}/oauth2/v2/userinfo", userinfo)
    router.add_get(rf"{BASE}/picture/{{sub:\d{{1,40}}}}.svg", picture)
    router.add_post("/_control/google", control)
    router.add_post("/_control/google/id-token", credential)
