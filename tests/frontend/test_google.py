"""The way to Google and back in a real browser, whose content policy also binds where a form is redirected to."""

from __future__ import annotations

import secrets

from playwright.sync_api import Browser, expect

from tests.frontend.conftest import Watch, from_somewhere, sign_in
from tests.servers.site import Site


def test_the_consent_page_is_reached_and_leads_back_signed_in(live_site: Site, browser: Browser) -> None:
    watch = Watch(live_site.url)
    context = browser.new_context(extra_http_headers=from_somewhere())
    watch.follow(context)
    page = context.new_page()
    page.goto(f"{live_site.url}/login")
    page.get_by_role("button", name="Continue with Google").click()
    page.wait_for_url(f"{live_site.sandbox_url}/**")
    page.get_by_label("E-mail", exact=True).fill(f"consent-{secrets.token_hex(5)}@example.com")
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(f"{live_site.url}/c")
    assert watch.complaints == []
    context.close()


def test_somebody_with_a_password_connects_google_and_signs_in_by_it(live_site: Site, browser: Browser) -> None:
    person = live_site.new_user()
    watch = Watch(live_site.url)
    context = browser.new_context(extra_http_headers=from_somewhere())
    watch.follow(context)
    page = context.new_page()
    sign_in(page, live_site, person)
    page.goto(f"{live_site.url}/accounts/connections/")
    page.get_by_role("button", name="Connect Google").click()
    page.wait_for_url(f"{live_site.sandbox_url}/**")
    page.get_by_label("E-mail", exact=True).fill(f"mine-{secrets.token_hex(5)}@example.com")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Password").fill(person.password)  # another way in is not given to who found the browser open
    page.get_by_role("button", name="Confirm").click()
    expect(page).to_have_url(f"{live_site.url}/accounts/connections/")
    expect(page.get_by_role("radio")).to_have_count(1)
    expect(page.get_by_role("button", name="Connect Google")).to_be_hidden()
    assert watch.complaints == []
    context.close()
