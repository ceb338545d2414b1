"""Every route, every kind of principal: who gets in, on a running site.

`routes.txt` beside this names each route and for whom it is. A route that is not listed fails, and so does one that
lets in, or keeps out, anybody else. Whose object it is, is the matter of the tests of each app.

    open           everybody
    person         somebody signed in (session or access token), and no key
    key            somebody signed in, and any key
    chat, models, usage, conversations      somebody signed in, and a key with that scope
    staff          somebody who works here: the rest are refused or sent to sign in
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from oneai.hot_routes import ROUTES
from tests.chat.browser import Browser
from tests.chat.endings import shell
from tests.kit import headers
from tests.servers.site import Newcomer, Site

TABLE = Path(__file__).with_name("routes.txt")
SCOPES = {"chat", "models", "usage", "conversations"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# The desk is Django's: its many routes are all for staff.
DESK = "/admin/"
# Ends the session by which the next would be asked; tests of their own show who may.
ENDING = (
    "/accounts/logout/",
    "/api/auth/logout",
    "/api/user/sessions",
    "/api/user/delete",
    "/settings/security/sign-out",
)
# Steps of a sign-in, which lead to its beginning when none is under way, and the way back from paying, which
# a browser takes without its cookies and Razorpay signs. The figures have a token of their own. Tests of each show
# whom they let in.
OF_ITS_OWN = {
    "/accounts/2fa/authenticate/",
    "/accounts/confirm-email/",
    "/accounts/google/error/",
    "/accounts/google/login/callback/",
    "/accounts/login/code/confirm/",
    "/accounts/password/reset/confirm/",
    "/billing/return/{order_id}",
    "/metrics",
}


def listed() -> dict[str, str]:
    rows = [line.split() for line in TABLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len({path for _, path in rows}) == len(rows), "a route is listed twice"
    return {path: who for who, path in rows}


def conf(resolver: Any = None, prefix: str = "/") -> Iterator[str]:
    """Every path of the URL conf, its parameters in braces."""
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern).lstrip("^"))
        if isinstance(pattern, URLResolver):
            yield from conf(pattern, path)
        elif isinstance(pattern, URLPattern) and "(?:" not in path:
            yield path


def filled(path: str) -> str:
    return re.sub(
        r"\{(\w+)\}",
        lambda name: {"slug": "x", "code": "x", "token": "x", "pk": "1"}.get(name[1]) or str(uuid4()),
        path,
    )


@dataclass
class Asker:
    """One kind of principal at the site; what it gets is looked at for its headers as well."""

    http: httpx.Client
    against: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, *, private: bool = False) -> httpx.Response:
        body = None if method == "GET" else {}
        if path.startswith(("/api/", "/v1/")):
            answer = self.http.request(method, path, json=body)
        else:
            answer = self.http.request(method, path, data=body)
        self.against += headers.faults(path, answer, private=private)
        return answer


class Askers:
    """The principals, each a person of their own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.visitor = Asker(self._client())
        self.person = Asker(Browser(site, site.new_user("pro")).http)
        self.owner = Asker(Browser(site, self._owner()).http)
        gone = self._owner()
        self.demoted = Asker(Browser(site, gone).http)
        shell(site, gone, "User.objects.filter(pk=user.pk).update(role='user')")
        self._keys: dict[frozenset[str], Asker] = {}

    def against(self) -> list[str]:
        """What any of them got with headers that it should not have; told once."""
        found = []
        for each in (self.visitor, self.person, self.owner, self.demoted, *self._keys.values()):
            found += each.against
            each.against.clear()
        return list(dict.fromkeys(found))

    def _client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.site.url, headers=headers, timeout=60)

    def _owner(self) -> Newcomer:
        made = self.site.new_user()
        shell(self.site, made, "User.objects.filter(pk=user.pk).update(role='owner')")
        return made

    def key(self, *scopes: str) -> Asker:
        """A key with these scopes alone."""
        wanted = frozenset(scopes)
        if wanted not in self._keys:
            who = self.site.new_user("pro")
            said = self.site.command("create_api_key", who.email, "--scopes", ",".join(sorted(wanted)))
            self._keys[wanted] = Asker(self._client(Authorization=f"Bearer {said.strip().split()[-1]}"))
        return self._keys[wanted]


def let_in(answer: httpx.Response) -> bool:
    """Whether the asker was not turned away for who they are."""
    if answer.status_code in (401, 403):
        return False
    return "/login" not in answer.headers.get("location", "").partition("?")[0]


def test_every_route_is_listed_and_nothing_else() -> None:
    there = {path for path in conf() if not path.startswith(DESK)} | {route.path for route in ROUTES}
    assert there == set(listed())


@pytest.fixture(scope="module")
def askers(live_site: Site) -> Askers:
    return Askers(live_site)


def faults(askers: Askers, path: str, who: str) -> Iterator[str]:
    """What is wrong with one route, method by method."""
    api = path.startswith(("/api/", "/v1/"))

    def wrong(name: str, method: str, answer: httpx.Response, *, expected: bool) -> Iterator[str]:
        if answer.status_code >= 500:
            yield f"{method} {path}: {answer.status_code} to {name}"
        if let_in(answer) != expected:
            yield f"{method} {path}: {'lets in' if let_in(answer) else 'keeps out'} {name} ({answer.status_code})"

    for method in METHODS:
        address = filled(path)
        first = askers.owner if who == "staff" else askers.key(who) if path.startswith("/v1/") else askers.person
        answer = first.ask(method, address, private=who != "open")
        if answer.status_code == 405:
            continue
        if path.startswith("/v1/"):  # cookies are not read there
            yield from wrong("a session", method, askers.person.ask(method, address), expected=False)
        unsafe_page = method != "GET" and not api
        yield from wrong("those it is for", method, answer, expected=True)
        visitor = askers.visitor.ask(method, address)
        if who != "open":
            yield from wrong("a visitor", method, visitor, expected=False)
        elif not unsafe_page:  # a form without its token is refused to everybody
            yield from wrong("a visitor", method, visitor, expected=True)
        if who == "staff":
            for name in ("person", "demoted"):
                yield from wrong(
                    f"one who is {name}", method, getattr(askers, name).ask(method, address), expected=False
                )
        if api and who != "open":
            may = {who} & SCOPES
            if may or who == "key":
                key = askers.key(*(may or {"usage"}))
                yield from wrong("a key with the scope", method, key.ask(method, address), expected=True)
            if who != "key":
                key = askers.key(*(SCOPES - may))
                yield from wrong("a key without the scope", method, key.ask(method, address), expected=False)


@pytest.mark.core
@pytest.mark.slow
@pytest.mark.parametrize("place", ["/api/", "/v1/", ""])
def test_each_route_lets_in_those_it_is_for_and_nobody_else(askers: Askers, place: str) -> None:
    found = []
    for path, who in listed().items():
        mine = path.startswith(place) if place else not path.startswith(("/api/", "/v1/"))
        if mine and not path.startswith(ENDING) and path not in OF_ITS_OWN:
            found += faults(askers, path, who)
    assert not found, "\n".join(found)
    against = askers.against()
    assert not against, "\n".join(against)


@pytest.mark.slow
def test_the_whole_desk_is_closed_to_all_who_do_not_work_here(askers: Askers) -> None:
    found = []
    for path in conf():
        if not path.startswith(DESK) or path in (f"{DESK}login/", f"{DESK}logout/") or "\\Z" in path:
            continue
        for method in ("GET", "POST"):
            for name in ("visitor", "person", "demoted"):
                answer = getattr(askers, name).ask(method, filled(path))
                if answer.status_code not in (302, 401, 403, 404, 405) or answer.headers.get("location") == "/admin/":
                    found.append(f"{method} {path}: {answer.status_code} to one who is {name}")
    found += askers.against()
    assert not found, "\n".join(found)
