"""The consent page: who signs in, and back to the site with a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from sandbox.loopback import leads_here
from sandbox.pages import page
from sandbox.world import WORLD, World

from .accounts import CLIENT_ID, PEOPLE, Person, person

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Wrong(Exception):
    """A request for consent that is not sent back to the site, as nobody knows whether the address is its own."""


class Denied(Exception):
    """A request for consent that goes back to the site with an error code."""


def _check_address(query: Mapping[str, str]) -> None:
    if query.get("client_id") != CLIENT_ID:
        raise Wrong(f"invalid_client: the client is not {CLIENT_ID}")
    address = query.get("redirect_uri", "")
    if not leads_here(address) or urlsplit(address).fragment:
        raise Wrong("redirect_uri_mismatch: the sandbox returns only to a site on this machine")


def _check_request(query: Mapping[str, str], world: World) -> None:
    if query.get("response_type") != "code":
        raise Denied("unsupported_response_type")
    if not query.get("state"):
        raise Denied("invalid_request")
    if not {"email", "openid"} & set(query.get("scope", "").split()):
        raise Denied("invalid_scope")
    challenge = query.get("code_challenge")
    if challenge is None:
        if world.google.pkce_required:
            raise Denied("invalid_request")
    elif query.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
        raise Denied("invalid_request")


def _back(query: Mapping[str, str], **answer: str) -> web.Response:
    parts = urlsplit(query["redirect_uri"])
    fields = dict(parse_qsl(parts.query)) | answer
    if query.get("state"):
        fields["state"] = query["state"]
    location = urlunsplit(parts._replace(query=urlencode(fields)))
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _consented(world: World, query: Mapping[str, str], who: Person) -> web.Response:
    scope = query.get("scope", "")
    code = world.google.grant(
        who, query["redirect_uri"], scope, query.get("code_challenge"), query.get("nonce") or None
    )
    return _back(query, code=code, scope=scope, authuser="0", prompt="consent")


def _known(hint: str) -> Person | None:
    wanted = hint.casefold()
    return next((one for one in PEOPLE if wanted in (one.email.casefold(), one.sub)), None)


def _refused(error: Wrong) -> web.Response:
    return page(
        "Access blocked",
        f"<h1>Access blocked</h1><p>Error 400: {escape(str(error))}</p>",
        narrow=True,
        status=400,
    )


async def ask(request: web.Request) -> web.Response:
    """The page; with `prompt=none` and a `login_hint` it consents at once, without being shown."""
    world = request.app[WORLD]
    query = request.query
    try:
        _check_address(query)
        _check_request(query, world)
    except Wrong as error:
        return _refused(error)
    except Denied as error:
        return _back(query, error=str(error))
    hint = query.get("login_hint", "")
    if query.get("prompt") == "none":
        if not EMAIL.fullmatch(hint):
            return _back(query, error="interaction_required")
        return _consented(world, query, _known(hint) or person("", hint))
    back = urlsplit(query["redirect_uri"])
    return page("Sign in", _form(hint, back.netloc), narrow=True, leads_to=f"{back.scheme}://{back.netloc}")


def _form(hint: str, host: str) -> str:
    people = "".join(
        f"<button name='person' value='{escape(one.sub)}'>{escape(one.name)}<small>{escape(one.email)}"
        f"{'' if one.verified else ' · e-mail not verified'} · sandbox person</small></button>"
        for one in PEOPLE
    )
    site = escape(host)
    return (
        f"<h1>Choose a sandbox person</h1><p>This page stands in for Google's. You go on to <b>{site}</b>.</p>"
        f"<form method='post'>{people}</form>"
        "<form method='post' class='card'><h2>Someone else</h2>"
        "<label>Name<input type='text' name='name' maxlength='100' autocomplete='off'></label>"
        f"<label>E-mail<input type='email' name='email' required value='{escape(hint)}' autocomplete='off'></label>"
        "<label><input type='checkbox' name='verified' value='1' checked> the e-mail address is verified</label>"
        "<button>Go on</button></form>"
        "<form method='post'><button name='action' value='deny'>Cancel<small>back with an error</small></button></form>"
    )


async def decide(request: web.Request) -> web.Response:
    """The choice: `person`, or `email` with `name`, `verified` (1 or 0) and `sub`; or `action=deny`."""
    world = request.app[WORLD]
    query = request.query
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    try:
        _check_address(query)
        _check_request(query, world)
        if form.get("action") == "deny":
            raise Denied("access_denied")
        return _consented(world, query, _chosen(form))
    except Wrong as error:
        return _refused(error)
    except Denied as error:
        return _back(query, error=str(error))


def _chosen(form: Mapping[str, str]) -> Person:
    if "person" in form:
        known = _known(form["person"])
        if known is None:
            raise Wrong("no such sandbox person")
        return known
    email = form.get("email", "").strip()
    if not EMAIL.fullmatch(email):
        raise Wrong("an e-mail address is needed")
    verified = form.get("verified", "") not in ("", "0", "false", "off")
    return person(form.get("name", ""), email, verified, form.get("sub", ""))
