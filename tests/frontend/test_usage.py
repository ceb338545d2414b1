"""The page of usage, receipts and refusals, in a browser: figures that are the API's, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chat.client import Chat
from tests.frontend.conftest import Watch, from_somewhere, send, sign_in
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Newcomer, Site


@pytest.fixture(scope="module")
def spender(live_site: Site) -> Newcomer:
    """Somebody on the free plan who has asked two models in the browser's way and one by key alone, and was refused."""
    person = live_site.new_user()
    chat = Chat(live_site, person)
    for model in ("openai/gpt-4o-mini", "sandbox/cached"):
        assert chat.send("Name three rivers.", model, max_tokens=60).status == 200
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 30}
    assert chat.http.post("/v1/chat/completions", json=body).status_code == 200
    for rate, refused in (("0", 429), ("unlimited", 200)):
        live_site.command("set_rates", person.email, "--rpm", rate, "--reason", "test")
        assert chat.send("And lakes?", "openai/gpt-4o-mini", max_tokens=60).status == refused
    return person


@pytest.fixture(scope="module")
def spender_state(live_site: Site, spender: Newcomer, browser: Browser) -> Any:
    context = browser.new_context(extra_http_headers=from_somewhere())
    sign_in(context.new_page(), live_site, spender)
    state = context.storage_state()
    context.close()
    return state


Opened = Callable[..., tuple[Page, Watch]]


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_usage_and_receipts_have_no_fault(
    open_page: Opened, live_site: Site, spender_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=spender_state, **look)
    page.goto(f"{live_site.url}/usage")
    page.get_by_text("The days as a table").click()
    found = {"usage": faults(page)}
    page.goto(f"{live_site.url}/usage?measure=cost&from=2020-01-01")
    found["years"] = faults(page)
    page.goto(f"{live_site.url}/dashboard")
    found["dashboard"] = faults(page)
    page.goto(f"{live_site.url}/c")
    page.locator(".side__link").first.evaluate("link => link.click()")
    page.wait_for_url(re.compile("/c/"))  # before its script is there the link leads to a page of its own
    page.locator("a[data-receipt]").first.click()
    expect(page.locator("#receipt .receipt-rows")).to_be_visible()
    found["receipt"] = faults(page)
    address = page.locator("a[data-receipt]").first.get_attribute("href")
    page.goto(live_site.url + str(address))
    found["page of a receipt"] = faults(page)
    assert {state: trouble for state, trouble in found.items() if trouble} == {}


def test_the_page_needs_no_script_and_says_what_the_api_says(
    open_page: Opened, live_site: Site, spender: Newcomer, spender_state: Any
) -> None:
    chat = Chat(live_site, spender)
    usage = chat.http.get("/api/user/usage?group=model").json()
    page, _ = open_page(storage_state=spender_state, java_script_enabled=False)
    page.goto(f"{live_site.url}/usage")
    main = page.locator("main")
    expect(main).to_contain_text(f"{usage['totals']['total_tokens']:,}")
    expect(main).to_contain_text(f"${usage['totals']['cost_usd']}")
    expect(main).to_contain_text(f"{chat.limit()['remaining']:,} of 50,000 left")
    for row in usage["results"]:
        line = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=row["model"], exact=True))
        expect(line).to_contain_text(f"${row['cost_usd']}")
        expect(line).to_contain_text(f"{row['total_tokens']:,}")
    expect(page.get_by_role("row").filter(has_text="Calls that stored no conversation")).to_have_count(1)
    assert page.locator("svg.chart__bars rect.chart__lower").count() == 1
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    expect(main).to_contain_text(f"{usage['totals']['total_tokens']:,}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV by model").click()
    text = download.value.path().read_text()
    assert text.splitlines()[0].startswith("model,calls,prompt_tokens")
    assert len(text.splitlines()) == 1 + len(usage["results"])


def test_a_range_that_makes_no_sense_is_said_and_the_period_shown(
    open_page: Opened, live_site: Site, spender_state: Any
) -> None:
    page, _ = open_page(storage_state=spender_state)
    page.goto(f"{live_site.url}/usage?from=2026-02-01&to=2026-01-01")
    expect(page.get_by_role("status")).to_contain_text("The first day comes after the last.")
    page.goto(f"{live_site.url}/usage?from=%3Cscript%3E")
    expect(page.get_by_role("status")).to_contain_text("A day is written like 2026-01-31.")
    expect(page.get_by_role("link", name="This period")).to_have_attribute("aria-current", "true")


def test_the_page_is_for_those_who_are_signed_in(open_page: Opened, live_site: Site) -> None:
    page, _ = open_page()
    page.goto(f"{live_site.url}/usage")
    expect(page).to_have_url(re.compile(r"/login\?next=/usage$"))


def test_a_receipt_opens_from_the_figures_and_from_the_menu_and_by_a_link_without_scripts(
    open_page: Opened, live_site: Site, spender: Newcomer, spender_state: Any
) -> None:
    page, _ = open_page(storage_state=spender_state)
    page.goto(f"{live_site.url}/c")
    page.locator(".side__link").first.click()
    page.wait_for_url(re.compile("/c/"))
    figures = page.locator("a[data-receipt]").first
    message_id = page.locator(".msg--answer").first.get_attribute("data-id")
    receipt = Chat(live_site, spender).http.get(f"/api/messages/{message_id}/receipt").json()
    figures.click()
    rows = page.locator("#receipt .receipt-rows")
    taken = f"{receipt['charge']['tokens']:,} tokens, ${receipt['charge']['cost_usd']}"
    expect(rows).to_contain_text(taken)
    expect(rows).to_contain_text(f"{receipt['hold']['tokens']:,} tokens")
    page.keyboard.press("Escape")
    expect(rows).to_be_hidden()
    page.get_by_role("button", name="More for this answer").first.click()
    page.get_by_role("menuitem", name="Receipt").click()
    expect(rows).to_contain_text(taken)

    plain, _ = open_page(storage_state=spender_state, java_script_enabled=False)
    plain.goto(page.url)
    plain.locator("a[data-receipt]").first.click()
    expect(plain.get_by_role("heading", name="Receipt")).to_be_visible()
    expect(plain.locator("main")).to_contain_text(taken)


def test_a_refusal_says_the_figures_of_that_moment_and_where_to_look(
    open_page: Opened, live_site: Site, browser: Browser
) -> None:
    person = live_site.new_user()
    live_site.command("set_quota", person.email, "--model", "*", "--tokens", "200", "--reason", "test")
    chat = Chat(live_site, person)
    chat.send("Hi", "openai/gpt-4o-mini", max_tokens=60)
    page, _ = open_page()
    sign_in(page, live_site, person)
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    send(page, "A long question. " * 60)
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text(f"{chat.limit()['remaining']} of the 200 tokens of your plan are left")
    expect(refusal.get_by_role("link", name="See the plans")).to_have_attribute("href", "/pricing")
    refusal.get_by_role("link", name="See what is left").click()
    expect(page).to_have_url(f"{live_site.url}/usage")
    expect(page.locator("main")).to_contain_text("of 200 left")
    # The quota is larger by now; what was said then can still be read.
    live_site.command("set_quota", person.email, "--model", "*", "--tokens", "90000", "--reason", "test")
    page.reload()
    (told,) = chat.http.get("/api/user/usage/refused").json()["results"]
    line = page.get_by_role("row").filter(has_text=told["request_id"])
    expect(line.get_by_role("rowheader")).to_contain_text("The tokens of your plan")
    assert told["limit"] == 200
    for amount in ("limit", "used", "asked"):
        expect(line.get_by_role("cell", name=f"{told[amount]:,}", exact=True)).to_have_count(1)


# The dashboard -----------------------------------------------------------------------------------
def test_the_dashboard_says_what_the_api_says_and_leads_on(
    open_page: Opened, live_site: Site, spender: Newcomer, spender_state: Any
) -> None:
    chat = Chat(live_site, spender)
    page, _ = open_page(storage_state=spender_state)
    page.goto(f"{live_site.url}/dashboard")
    main = page.locator("main")
    expect(main).to_contain_text(f"{chat.limit()['remaining']:,} of {chat.limit()['limit']:,} left")
    whole = chat.http.get("/api/user/usage").json()["totals"]
    expect(main).to_contain_text(f"{whole['total_tokens']:,} tokens in {whole['calls']} calls")
    talks = [talk["title"] for talk in chat.http.get("/api/conversations").json()["results"]][:6]
    expect(page.locator(".dash__title")).to_have_text(talks)
    expect(main).to_contain_text("1 API key")
    page.locator(".dash__talks a").first.click()
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}$"))


def test_the_dashboard_of_somebody_new_says_how_to_begin(live_site: Site, open_page: Opened) -> None:
    page, _ = open_page(java_script_enabled=False)
    sign_in(page, live_site, live_site.new_user())
    page.goto(f"{live_site.url}/dashboard")
    expect(page.get_by_role("link", name="Ask something")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Nothing was used in these days.")


def test_the_dashboard_asks_a_visitor_to_sign_in(open_page: Opened, live_site: Site) -> None:
    page, _ = open_page()
    page.goto(f"{live_site.url}/dashboard")
    expect(page).to_have_url(re.compile(r"/login\?next=/dashboard$"))
