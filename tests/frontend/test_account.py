"""What somebody does about their account in a real browser: preferences, a second step, a passkey, a copy, the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.frontend.conftest import Watch, sign_in
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Site

OpenPage = Callable[..., tuple[Page, Watch]]


def confirm(page: Page, password: str) -> None:
    """Say again who it is, where the site asks for it."""
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Confirm").click()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_about_the_account_has_no_fault(open_page: OpenPage, live_site: Site, look: dict[str, Any]) -> None:
    page, _ = open_page(**look)
    user = live_site.new_user()
    sign_in(page, live_site, user)
    found = {}
    for path in ("preferences", "notifications", "security", "security/sign-out", "data", "data/delete"):
        page.goto(f"{live_site.url}/settings/{path}")
        found[path] = faults(page)
    page.get_by_label("Your password").fill("not it")
    page.get_by_role("button", name="Delete my account").click()
    found["refused"] = faults(page)
    page.goto(f"{live_site.url}/accounts/2fa/app/")
    confirm(page, user.password)
    found["app"] = faults(page)
    page.goto(f"{live_site.url}/accounts/2fa/passkeys/new/")
    found["passkey"] = faults(page)
    page.goto(f"{live_site.url}/settings/data/delete")
    page.get_by_label("Your password").fill(user.password)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("button", name="Keep my account")).to_be_visible()
    found["going"] = faults(page)
    assert {where: what for where, what in found.items() if what} == {}


def test_a_theme_that_is_chosen_is_there_on_the_next_device(open_page: OpenPage, live_site: Site) -> None:
    user = live_site.new_user()
    page, _ = open_page(color_scheme="light")
    sign_in(page, live_site, user)
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.goto(f"{live_site.url}/settings/preferences")
    page.get_by_label("Theme", exact=True).select_option("dark")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    other, _ = open_page(color_scheme="light", java_script_enabled=False)
    sign_in(other, live_site, user)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.slow
def test_a_passkey_is_added_and_signs_in_alone(open_page: OpenPage, live_site: Site) -> None:
    user = live_site.new_user()
    page, _ = open_page()
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    device.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})
    sign_in(page, live_site, user)
    page.goto(f"{live_site.url}/settings/security")
    page.get_by_role("link", name="Add a passkey").click()
    confirm(page, user.password)
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="My laptop")).to_be_visible()
    page.goto(f"{live_site.url}/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{live_site.url}/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{live_site.url}/c")
    page.goto(f"{live_site.url}/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{live_site.url}/login")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(user.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/"))
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{live_site.url}/c")


@pytest.mark.slow
def test_a_copy_of_everything_is_made_by_the_worker_and_fetched(open_page: OpenPage, live_site: Site) -> None:
    user = live_site.new_user()
    page, _ = open_page()
    sign_in(page, live_site, user)
    page.goto(f"{live_site.url}/settings/data")
    page.get_by_role("button", name="Make a copy").click()
    link = page.get_by_role("link", name=re.compile("Download the copy"))

    def ready() -> bool:
        page.goto(f"{live_site.url}/settings/data")
        return link.count() == 1

    for _ in range(120):
        if ready():
            break
        page.wait_for_timeout(500)
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename.endswith(".zip")
    assert download.value.path().read_bytes()[:2] == b"PK"
