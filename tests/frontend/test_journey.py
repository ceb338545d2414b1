"""One person's way through everything, on a desk and on a phone, and the owner's beside it."""

from __future__ import annotations

import re
import secrets

import pytest
from openai import OpenAI
from playwright.sync_api import Page, expect

from tests.chat import files
from tests.frontend.conftest import DESK, PHONE, choose, finished, send
from tests.frontend.test_billing import Shop, pay, selling, shop, sign_in
from tests.servers.site import PASSWORD, Newcomer

__all__ = ["selling", "shop"]
pytestmark = pytest.mark.slow

PICTURE = {"name": "view.png", "mimeType": "image/png", "buffer": files.picture("PNG", (320, 200))}


def came_by_google(shop: Shop, page: Page) -> str:
    """From the prices by Google to the chat; their address."""
    address = f"visitor-{secrets.token_hex(5)}@example.com"
    page.goto(f"{shop.site.url}/pricing")
    expect(page.get_by_role("heading", name="Plus", exact=True)).to_be_visible()
    page.goto(f"{shop.site.url}/login?next=/c")
    page.get_by_role("button", name="Continue with Google").click()
    page.wait_for_url(f"{shop.site.sandbox_url}/**")
    page.get_by_label("E-mail", exact=True).fill(address)
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(f"{shop.site.url}/c")
    return address


def chatted(page: Page) -> None:
    """With two models, and about a picture."""
    choose(page, "openai/gpt-4o-mini")
    send(page, "Name three rivers.")
    finished(page)
    choose(page, "anthropic/claude-sonnet-4.5")
    page.locator("#attach-input").set_input_files(PICTURE)
    expect(page.locator("#files .file:not([data-sending])")).to_have_count(1)
    send(page, "And what is on this picture?")
    finished(page)
    expect(page.locator(".msg--answer").last).to_contain_text("320 by 200 pixels")


def shared(shop: Shop, page: Page) -> None:
    """A stranger reads it by a link, until that is ended."""
    page.get_by_role("button", name="Share this conversation").click()
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("#share-facts")).to_contain_text("4 messages")
    link = page.locator("#share-url").input_value()
    stranger = shop.page(java_script_enabled=False)
    stranger.goto(link)
    expect(stranger.get_by_text("Name three rivers.").first).to_be_visible()
    page.get_by_role("button", name="End the link").click()
    expect(page.locator("#share-link")).to_be_hidden()
    gone = stranger.goto(link)
    assert gone is not None and gone.status == 404
    page.locator("#share [data-close]").click()


def exported(page: Page) -> None:
    page.get_by_role("button", name="Actions for this conversation").click()
    page.get_by_role("menuitem", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.locator("#export [data-close]").click()


def bought(shop: Shop, page: Page) -> None:
    page.goto(f"{shop.site.url}/pricing")
    page.get_by_role("link", name="Choose Plus").click()
    page.get_by_role("button", name="Go on to pay").click()
    pay(page)
    page.goto(f"{shop.site.url}/dashboard")
    expect(page.locator("main")).to_contain_text("of 2,000,000 left")
    page.goto(f"{shop.site.url}/usage")
    page.get_by_role("link", name="30 days").click()  # with the plan a new period has begun
    expect(page.get_by_role("rowheader", name="anthropic/claude-sonnet-4.5").first).to_be_visible()


def made_a_key(shop: Shop, page: Page) -> str:
    page.goto(f"{shop.site.url}/settings/keys/new")
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name=re.compile("^(Make|Create)")).click()
    key = page.locator(".keytext__input").input_value()
    assert key.startswith("oneai_")
    return key


def asked_by_program(shop: Shop, key: str) -> None:
    client = OpenAI(api_key=key, base_url=f"{shop.site.url}/v1")
    answer = client.chat.completions.create(
        model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "Hello."}], max_tokens=40
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None and answer.usage.total_tokens


def overridden(shop: Shop, address: str) -> None:
    """The owner gives them a limit of its own, and the audit has it."""
    owner = Newcomer(f"owner-{secrets.token_hex(4)}@example.com", PASSWORD, "")
    shop.site.command("create_user", owner.email, "--password", PASSWORD, "--verified", "--role", "owner")
    desk = shop.page()
    desk.goto(f"{shop.site.url}/login?next=/admin/")
    sign_in(desk, owner)
    expect(desk).to_have_url(f"{shop.site.url}/admin/")
    desk.goto(f"{shop.site.url}/admin/desk/people/?q={address}")
    desk.get_by_label("Tokens", exact=True).fill("3210000")
    desk.locator("#id_limit-reason").fill("a launch")
    desk.locator("#id_limit-reason").press("Enter")
    expect(desk.get_by_text("The limit holds from now on.")).to_be_visible()
    found = desk.request.get(f"{shop.site.url}/api/admin/audit?action=quota.set").json()["results"]
    assert [(row["actor"], row["reason"]) for row in found][:1] == [(owner.email, "a launch")]


@pytest.mark.parametrize(
    "viewport", [pytest.param(DESK, id="desk", marks=pytest.mark.core), pytest.param(PHONE, id="phone")]
)
def test_from_the_price_list_to_a_key_in_a_program(shop: Shop, viewport: dict[str, int]) -> None:
    page = shop.page(viewport=viewport)
    address = came_by_google(shop, page)
    chatted(page)
    shared(shop, page)
    exported(page)
    bought(shop, page)
    asked_by_program(shop, made_a_key(shop, page))
    overridden(shop, address)
    page.goto(f"{shop.site.url}/dashboard")
    expect(page.locator("main")).to_contain_text("of 3,210,000 left")
