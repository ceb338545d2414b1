"""Every page that links lead to, as a visitor, a member and an owner: nothing that axe has against it, nothing broken.

A walk follows each link of each page, two of a kind (by the name of the route), in both themes, on a desk and a phone.
What the table of routes has and no walk came to must be no page: it answers no GET, or only to who is under way.
With SHOTS=folder each page is also photographed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import Resolver404, resolve
from playwright.sync_api import Page, ViewportSize

from tests.architecture.test_route_matrix import filled, listed
from tests.chat.browser import Browser as Member
from tests.chat.client import Chat
from tests.frontend.conftest import DESK, PHONE
from tests.frontend.test_billing import Shop, order, pay, selling, shop, sign_in, until
from tests.frontend.test_desk import FILL
from tests.frontend.test_pages import OUTSIDE, SMALL
from tests.servers.site import PASSWORD, Newcomer

__all__ = ["selling", "shop"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]

OF_A_KIND = 2
# Leaving ends the walk; a new session would be needed behind each.
AVOIDED = ("/admin/logout/", "/accounts/logout/")
LINKS = "() => [...document.querySelectorAll('a[href]:not([download])')].map(link => link.href)"
# A colour that is still on its way to the other theme's would be taken for the theme's.
STILL = """() => Promise.race([
    Promise.all(document.getAnimations().map(one => one.finished.catch(() => {}))),
    new Promise(done => setTimeout(done, 1000)),  // what turns for ever is never finished
])"""
WIDE = """() => {
    const by = document.documentElement.scrollWidth - innerWidth;
    return by > 0 ? [`wider than the window by ${by} pixels`] : [];
}"""
# The frames around these pages are Django's own and allauth's; ours are held to fingers and windows as well.
THEIRS = "/admin/"
# What nothing links to, but a mail, a form or a refusal.
VISITOR_ALSO = [
    "/no-such-page", "/accounts/inactive/", "/accounts/google/cancelled/", "/accounts/password/reset/done/",
    "/accounts/password/reset/complete/", "/accounts/login/code/", "/docs", "/docs?q=quota", "/blog",
    "/accounts/google/login/",
]  # fmt: skip
MEMBER_ALSO = [
    "/c?plain=1", "/dashboard", "/usage?from=2026-02-01&to=2026-01-01", "/billing/checkout?plan=pro&interval=month",
    "/billing/cancel", "/settings/data/delete", "/settings/team/transfer", "/settings/team/delete",
    "/settings/team/invite",
    "/accounts/reauthenticate/", "/accounts/logout/", "/accounts/2fa/app/", "/accounts/2fa/passkeys/new/",
]  # fmt: skip
NO_PAGE = {
    "/.well-known/security.txt", "/favicon.ico", "/healthz", "/readyz", "/metrics", "/robots.txt", "/sitemap.xml",
    "/blog/feed.atom", "/blog/feed.rss", "/accounts/2fa/passkeys/login/",
}  # fmt: skip


class Walk:
    """One principal's way through the site."""

    def __init__(self, page: Page, url: str, name: str, seen: Walk | None = None) -> None:
        """``seen``: a walk whose pages look the same to this one."""
        self.page, self.url, self.name = page, url, name
        self.found: dict[str, list[str]] = {}
        self.routes: set[str] = set()
        self._waiting: list[str] = []
        self._seen: set[str] = set()
        self._of_a_kind: Counter[str] = seen._of_a_kind if seen else Counter()

    def go(self, *paths: str) -> None:
        """Look at these pages, and at all that they lead to."""
        for path in paths:
            self._note(path, wanted=True)
        while self._waiting:
            self._look(self._waiting.pop(0))

    def _note(self, path: str, *, wanted: bool = False) -> None:
        try:
            route = str(resolve(urlsplit(path).path).route)
        except Resolver404:
            route = path
        if path in self._seen or (not wanted and self._of_a_kind[route] >= OF_A_KIND):
            return
        self._seen.add(path)
        self._of_a_kind[route] += 1
        self._waiting.append(path)

    def _look(self, path: str) -> None:
        answer = self.page.request.get(self.url + path, max_redirects=0)
        if answer.status in (301, 302, 303):
            place = urljoin(self.url + path, answer.headers["location"])
            if place.startswith(self.url + "/"):
                self._note(place.removeprefix(self.url))
            return
        if "text/html" not in answer.headers.get("content-type", ""):
            if answer.status >= 400:
                self.found[path] = [f"{answer.status}"]
            return
        if "sandbox" in answer.headers.get("content-security-policy", ""):
            return  # a mail as it would come: no script may run in it, not even axe's
        self.page.goto(self.url + path)
        self.page.wait_for_load_state()
        self.routes.add("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self._route(path)))
        if answer.status >= 400 and not path.startswith("/no-such"):
            self.found[path] = [f"{answer.status}"]
        trouble: list[str] = []
        for size, window in (("desk", DESK), ("phone", PHONE)):
            self.page.set_viewport_size(ViewportSize(width=window["width"], height=window["height"]))
            trouble += [f"{size}: {each}" for each in self.page.evaluate(WIDE)]
            if not path.startswith(THEIRS):
                trouble += [f"{size}: {each}" for each in self.page.evaluate(OUTSIDE) + self.page.evaluate(SMALL)]
            for theme in ("light", "dark"):
                self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                self.page.evaluate(STILL)
                violations = Axe().run(self.page).response["violations"]
                trouble += [
                    f"{size} {theme}: {rule['id']}: {node['html'][:120]}"
                    for rule in violations
                    for node in rule["nodes"]
                ]
                self._photograph(path, f"{size}-{theme}")
        if trouble:
            self.found[path] = sorted(set(trouble))
            print(self.name, path, *self.found[path], sep="\n  ", flush=True)
        for link in self.page.evaluate(LINKS):
            there = urlsplit(link)
            if link.startswith(self.url + "/") and not there.path.startswith(AVOIDED):
                # Django's own lists have an address for each order and filter.
                asked = "" if there.path.startswith(THEIRS) else there.query
                self._note(there.path + (f"?{asked}" if asked else ""))

    def _route(self, path: str) -> str:
        try:
            return str(resolve(urlsplit(path).path).route).lstrip("^")
        except Resolver404:
            return path

    def _photograph(self, path: str, look: str) -> None:
        if folder := os.environ.get("SHOTS"):
            name = re.sub(r"[^\w-]+", "_", path.strip("/"))[:80] or "root"
            place = Path(folder) / self.name / f"{name}-{look}.jpeg"
            place.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=place, type="jpeg", quality=60, full_page=True)


def signed_in(shop: Shop, who: Newcomer, then: str) -> Page:
    page = shop.page()
    page.goto(f"{shop.site.url}/login?next={then}")
    sign_in(page, who)
    page.wait_for_url(f"{shop.site.url}{then}")
    return page


def busy_member(shop: Shop) -> tuple[Page, Newcomer, str]:
    """Somebody who has used everything (talks, a link, a folder, a preset, a plan, a team), and the link."""
    page, who = shop.member()
    order(shop, page, "plus")
    pay(page)
    until(shop, page, "OA/")
    mine = Member(shop.site, who)
    turn = Chat(shop.site, who).send("Show me a table, some code and math", model="openai/gpt-4o-mini")
    link = mine.http.post(f"/api/conversations/{turn.started['conversation_id']}/share", json={}).json()
    for path, body in (
        ("/api/folders", {"name": "Rivers"}),
        ("/api/presets", {"name": "Short", "model": "openai/gpt-4o-mini", "system": "Be short."}),
        ("/api/teams", {"name": "Banyan"}),
        ("/api/user/export", {}),
    ):
        answer = mine.http.post(path, json=body)
        assert answer.status_code < 300, (path, answer.text)
    return page, who, urlsplit(link["url"]).path


def test_every_page_of_everybody_has_no_fault(shop: Shop) -> None:
    page, member, link = busy_member(shop)
    owner = Newcomer(f"owner-{secrets.token_hex(4)}@example.com", PASSWORD, "")
    shop.site.command("create_user", owner.email, "--password", PASSWORD, "--verified", "--role", "owner")
    shop.site.command("load_content")
    shop.site.command("shell", "-c", FILL)
    as_member = Walk(page, shop.site.url, "member")
    walks = [
        Walk(shop.page(), shop.site.url, "visitor"),
        as_member,
        Walk(signed_in(shop, owner, "/admin/"), shop.site.url, "owner", as_member),
    ]
    walks[0].go("/", link, *VISITOR_ALSO)
    walks[1].go("/c", "/dashboard", "/settings", *MEMBER_ALSO)
    walks[2].go("/admin/", f"/admin/desk/people/?q={member.email}")
    print({walk.name: len(walk.routes) for walk in walks})
    found = {f"{walk.name} {path}": trouble for walk in walks for path, trouble in walk.found.items()}
    missed = not_walked(walks)
    if "SHOTS" in os.environ:
        shop.watches.clear()  # to photograph a page whole, the browser's driver puts styles into it
    assert not found and not missed, "\n".join([*(f"{path}: {each}" for path, all_ in found.items() for each in all_),
                                                *missed])  # fmt: skip


def not_walked(walks: list[Walk]) -> list[str]:
    """Pages of the table of routes that no walk came to: those that are answered to a GET."""
    seen = {route for walk in walks for route in walk.routes}
    missed = []
    for path, who in listed().items():
        if path in seen or path in NO_PAGE or path.startswith(("/api/", "/v1/")):
            continue
        asked: Any = (walks[0] if who == "open" else walks[1]).page.request
        answer = asked.get(walks[0].url + filled(path), max_redirects=0)
        if answer.status == 200:
            missed.append(f"no walk came to {path}")
    return missed
