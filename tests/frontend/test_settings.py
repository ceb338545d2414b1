"""Keys in a browser: made, copied, rotated and revoked, with scripts and without, with no fault in either theme."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.frontend.conftest import Watch
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Site


def fill(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Tokens in a period").fill("5000")
    page.get_by_label("Models", exact=True).fill("openai/*\nanthropic/*")


def opens(site: Site, text: str) -> bool:
    answer = httpx.get(f"{site.url}/v1/models", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_state_of_a_key_has_no_fault(
    open_page: Callable[..., tuple[Page, Watch]],
    live_site: Site,
    member_state: Any,
    look: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    name = f"Report {request.node.callspec.id}"
    page.goto(f"{live_site.url}/settings/keys/new")
    fill(page, name)
    page.get_by_label("Addresses", exact=True).fill("here")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("'here' is no address")).to_be_visible()
    found = {"refused": faults(page)}
    page.get_by_label("Addresses", exact=True).fill("")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_label("API key", exact=True)).to_have_value(re.compile("^oneai_"))
    found["made"] = faults(page)
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("link", name=f"Rotate {name}").click()
    found["rotate"] = faults(page)
    page.get_by_role("button", name="Rotate").click()
    expect(page.get_by_label("New text of the key")).to_have_value(re.compile("^oneai_"))
    found["rotated"] = faults(page)
    page.reload()
    expect(page.get_by_text("shown only once")).to_be_visible()
    found["shown before"] = faults(page)
    page.get_by_role("link", name="To the keys").click()
    found["list"] = faults(page)
    page.get_by_role("link", name=f"Change {name}").click()
    found["change"] = faults(page)
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name=f"Revoke {name}").click()
    found["revoke"] = faults(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text(f"{name} is revoked.")).to_be_visible()
    assert {state: trouble for state, trouble in found.items() if trouble} == {}


def test_the_copied_text_opens_the_api(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any
) -> None:
    page, _ = open_page(storage_state=member_state, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{live_site.url}/c")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="New key").first.click()
    fill(page, "Copied")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text == page.get_by_label("API key", exact=True).input_value()
    assert opens(live_site, text)
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").find(text) == -1


def test_all_of_it_works_without_scripts(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any
) -> None:
    page, _ = open_page(storage_state=member_state, java_script_enabled=False)
    page.goto(f"{live_site.url}/settings/keys/new")
    fill(page, "Plain")
    page.get_by_role("button", name="Make the key").click()
    text = page.get_by_label("API key", exact=True).input_value()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("link", name="Change Plain").click()
    page.get_by_label("Name", exact=True).fill("Plainer")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Rotate Plainer").click()
    page.get_by_role("button", name="Rotate").click()
    new = page.get_by_label("New text of the key").input_value()
    assert [opens(live_site, each) for each in (text, new)] == [True, True]
    page.get_by_role("link", name="I have kept it").click()
    card = page.locator(".keycard", has_text="Plainer")
    card.get_by_role("button", name="End it now").click()
    expect(card.get_by_role("button", name="End it now")).to_have_count(0)
    assert [opens(live_site, each) for each in (text, new)] == [False, True]
    page.get_by_role("link", name="Revoke Plainer").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Plainer is revoked.")).to_be_visible()
    assert not opens(live_site, new)
