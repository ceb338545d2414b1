"""Every page in both themes on a phone and a desk: accessible, inside the content policy, nothing cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.frontend.conftest import DESK, PHONE, Watch, choose, finished, send
from tests.servers.site import Site

OPEN = [
    "/api/reference",
    "/",
    "/pricing",
    "/pricing?interval=year",
    "/login",
    "/signup",
    "/accounts/login/code/",
    "/accounts/password/reset/",
]
SIGNED_IN = [
    "/c",
    "/c?q=no-such-title",
    "/usage",
    "/usage?from=2026-02-01&to=2026-01-01",
    "/accounts/logout/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/connections/",
    "/settings/profile",
    "/settings/keys/new",
    "/settings/billing",
    "/billing/invoices",
]
MISSING = ["/no-such-page"]
LOOKS = [
    pytest.param(
        {"viewport": size, "color_scheme": theme, "has_touch": size is PHONE},
        id=f"{name}-{theme}",
        marks=[] if f"{name}-{theme}" == "phone-dark" else [pytest.mark.slow],
    )
    for name, size in (("desk", DESK), ("phone", PHONE))
    for theme in ("light", "dark")
]

# What stands side by side scrolls in a frame of its own.
OUTSIDE = """() => [...document.querySelectorAll("header, main, section, form, article, footer")]
    .filter(node => !node.closest("[popover], .columns") && node.getBoundingClientRect().right > innerWidth + 1)
    .map(node => node.outerHTML.slice(0, 120))"""
# Links inside a sentence are excepted by WCAG 2.5.8, and so are hidden controls.
SMALL = """() => [...document.querySelectorAll("a, button, input, select, summary, textarea")].filter(node => {
    const box = node.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (box.width < 24 || box.height < 24)
        && !node.closest(".prose, p, .skip-link");
}).map(node => node.outerHTML.slice(0, 120))"""


def faults(page: Page) -> list[str]:
    """What axe, the width of the window and the size of a finger have against the page.

    After a click it may still be coming: half of it has no heading, no landmark and no end.
    """
    page.wait_for_load_state()
    violations = Axe().run(page).response["violations"]
    found = [f"{rule['id']}: {node['html'][:120]}" for rule in violations for node in rule["nodes"]]
    return found + page.evaluate(OUTSIDE) + page.evaluate(SMALL)


@pytest.mark.parametrize("look", LOOKS)
def test_open_pages_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, look: dict[str, Any]
) -> None:
    page, _ = open_page(**look)
    found = {}
    for path in OPEN + MISSING:
        page.goto(live_site.url + path)
        if trouble := faults(page):
            found[path] = trouble
    assert found == {}


@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_a_member_have_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    found = {}
    for path in SIGNED_IN:
        page.goto(live_site.url + path)
        if trouble := faults(page):
            found[path] = trouble
    assert found == {}


def test_the_landing_page_shows_models_and_none_of_the_sandbox_s_faults(live_site: Site) -> None:
    page = httpx.get(live_site.url).text
    shown = re.findall(r'model__id">([^<]+)', page)
    assert len(shown) == 8
    assert [slug for slug in shown if slug.startswith(("oddities/", "sandbox/"))] == []


def test_no_page_scrolls_sideways_on_the_narrowest_phone(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any
) -> None:
    narrow = {"viewport": {"width": 320, "height": 640}, "has_touch": True}
    wide = {}
    for state, paths in (({}, OPEN + MISSING), ({"storage_state": member_state}, SIGNED_IN)):
        page, _ = open_page(**narrow, **state)
        for path in paths:
            page.goto(live_site.url + path)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > 320:
                wide[path] = width
    assert wide == {}


@pytest.mark.parametrize("look", LOOKS)
def test_every_state_of_the_chat_has_no_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    page.locator("#model-button").click()
    expect(page.locator(".option").first).to_be_visible()
    found = {"picker": faults(page)}
    page.keyboard.press("Escape")
    choose(page, "sandbox/slow")
    send(page, "Show me a table, some code and math")
    expect(page.locator(".msg--answer").last).to_contain_text(" ")
    found["streaming"] = faults(page)
    page.locator("#stop").click()
    finished(page)
    found["stopped"] = faults(page)
    choose(page, "openai/gpt-4o-mini")
    page.goto(f"{live_site.url}/c")
    send(page, "Show me a table, some code and math")
    finished(page)
    found["complete"] = faults(page)
    if look["viewport"] is PHONE:
        page.get_by_role("button", name="Show conversations").click()
        found["list"] = faults(page)
    else:
        page.keyboard.press("Control+Slash")
        found["keys"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}


def test_the_chosen_theme_is_kept_and_there_before_the_first_paint(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site
) -> None:
    page, _ = open_page(color_scheme="light")
    page.goto(live_site.url)
    switch = page.locator("[data-theme-switch]").first
    switch.click()
    switch.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.early = document.documentElement.dataset.theme })"
    )
    page.reload()
    assert page.evaluate("window.early") == "dark"


def test_prices_change_by_a_link_without_scripts(open_page: Callable[..., tuple[Page, Watch]], live_site: Site) -> None:
    page, _ = open_page(java_script_enabled=False)
    page.goto(f"{live_site.url}/pricing")
    expect(page.locator(".plan").nth(1)).not_to_contain_text("a year", use_inner_text=True)
    page.get_by_role("link", name="Yearly").click()
    expect(page.locator(".plan").nth(1)).to_contain_text("a year", use_inner_text=True)


def test_the_chat_page_is_light(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any
) -> None:
    """At most 100 KB of compressed scripts and 30 requests before a message is sent."""
    page, _ = open_page(storage_state=member_state)
    requests: list[Any] = []
    page.on("requestfinished", lambda request: requests.append(request))
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    scripts = [request.sizes()["responseBodySize"] for request in requests if request.url.endswith(".js")]
    assert scripts
    assert sum(scripts) <= 100 * 1024
    assert len(requests) <= 30


@pytest.mark.parametrize("path", ["/login", "/admin/"])
def test_a_page_that_the_gate_refuses_is_inside_the_policy_of_its_place(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, path: str
) -> None:
    page, watch = open_page()
    filler = {"x-filler": "y" * 40_000}
    page.route(live_site.url + path, lambda route: route.continue_(headers=route.request.headers | filler))
    answer = page.goto(live_site.url + path)
    assert answer is not None
    assert answer.status == 431
    expect(page.get_by_role("link", name="To the front page")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.error-page')).display") == "grid"
    watch.assert_quiet()
