"""The message box in a real browser: files with their messages, presets by "/", and the temporary chat."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.chat import files
from tests.chat.test_watching import wait_for
from tests.frontend.conftest import PHONE, Watch, choose, finished, send
from tests.frontend.test_pages import LOOKS, faults
from tests.servers.site import Site

PICTURE = {"name": "view.png", "mimeType": "image/png", "buffer": files.picture("PNG", (320, 200))}
NOTES = {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# The launch is on Friday."}
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], name, { type: "image/png" }));
  const at = document.getElementById(name === "dropped.png" ? "main" : "prompt");
  const event = name === "dropped.png"
    ? new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: held })
    : new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: held });
  at.dispatchEvent(event);
}"""


def attached(page: Page, count: int) -> None:
    expect(page.locator("#files .file:not([data-sending])")).to_have_count(count, timeout=20_000)


def test_chosen_pasted_and_dropped_files_go_with_the_message_and_stay_with_it(chat: Page) -> None:
    choose(chat, "openai/gpt-4o-mini")
    chat.locator("#attach-input").set_input_files([PICTURE, NOTES])
    picture = base64.b64encode(PICTURE["buffer"]).decode()
    for name in ("pasted.png", "dropped.png"):
        chat.evaluate(DROP, [name, picture])
    attached(chat, 4)
    chat.get_by_role("button", name="Remove notes.md").click()
    attached(chat, 3)
    send(chat, "What is in these?")
    expect(chat.locator("#files")).to_be_hidden()
    finished(chat)
    expect(chat.locator(".msg--answer")).to_contain_text("320 by 200 pixels")
    for _ in range(2):
        shown = chat.locator(".msg--user .msg__picture")
        expect(shown).to_have_count(3)
        expect(shown.first).to_have_js_property("naturalWidth", 320)
        assert shown.first.get_attribute("alt") == "view.png"
        chat.reload()


def test_what_is_wrong_with_a_file_is_said_and_nothing_else_is_lost(chat: Page) -> None:
    choose(chat, "deepseek/deepseek-chat")
    chat.locator("#prompt").fill("Look at this.")
    chat.locator("#attach-input").set_input_files(
        {"name": "a.zip", "mimeType": "", "buffer": b"PK\x03\x04" + bytes(99)}
    )
    expect(chat.locator("#refusal")).to_contain_text("a.zip: This is neither a picture")
    expect(chat.locator("#files")).to_be_hidden()
    chat.locator("#attach-input").set_input_files(PICTURE)
    attached(chat, 1)
    expect(chat.locator("#quote")).to_contain_text("does not read pictures")
    chat.locator("#prompt").press("Enter")
    expect(chat.locator("#refusal")).to_contain_text("does not read pictures")
    attached(chat, 1)
    expect(chat.locator("#prompt")).to_have_value("Look at this.")
    choose(chat, "openai/gpt-4o-mini")
    chat.locator("#prompt").press("Enter")
    finished(chat)
    expect(chat.locator(".msg--answer")).to_contain_text("a PNG picture")


def test_a_preset_is_made_in_the_settings_and_called_by_a_stroke(chat: Page, live_site: Site) -> None:
    chat.goto(f"{live_site.url}/settings/presets/new")
    chat.get_by_label("Name", exact=True).fill("Poet of rivers")
    chat.get_by_label("Words", exact=True).fill("A verse about rivers")
    chat.get_by_label("Instructions", exact=True).fill("Answer in verse.")
    chat.get_by_label("Model", exact=True).fill("sandbox/echo-request")
    chat.get_by_role("button", name="Save").click()
    expect(chat.get_by_role("heading", name="Poet of rivers")).to_be_visible()
    chat.goto(f"{live_site.url}/c")
    expect(chat.locator("#model-name")).not_to_have_text("Choose a model")
    chat.locator("#prompt").press_sequentially("/poet of")
    expect(chat.locator("#commands [role=option]")).to_have_count(1)
    chat.locator("#prompt").press("Enter")
    expect(chat.locator("#prompt")).to_have_value("A verse about rivers")
    expect(chat.locator("#preset-name")).to_have_text("Poet of rivers")
    chat.locator("#prompt").press("Enter")
    finished(chat)
    expect(chat.locator(".msg--answer")).to_contain_text("Answer in verse.")
    chat.get_by_role("button", name="Leave the preset Poet of rivers").click()
    expect(chat.locator("#preset")).to_be_hidden()
    chat.goto(f"{live_site.url}/settings/presets")
    chat.get_by_role("button", name="Delete Poet of rivers").click()
    expect(chat.get_by_role("heading", name="Poet of rivers")).to_have_count(0)


def test_a_temporary_chat_says_what_it_is_and_leaves_nothing_behind(chat: Page, live_site: Site) -> None:
    fetched: list[str] = []
    chat.on("request", lambda request: fetched.append(request.url))
    choose(chat, "openai/gpt-4o-mini")
    chat.get_by_role("button", name="Temporary chat").click()
    expect(chat.locator("#temporary-note")).to_contain_text("erased when you leave or reload")
    send(chat, "A word that stays here")
    finished(chat)
    send(chat, "And another")
    finished(chat)
    expect(chat.locator(".msg")).to_have_count(4)
    expect(chat).to_have_url(f"{live_site.url}/c")
    expect(chat.locator("#side-list")).not_to_contain_text("A word that stays here")
    talk = re.search(r"/c/([0-9a-f-]{36})/messages/", " ".join(fetched))
    assert talk
    asked: list[str] = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    chat.on("dialog", accept)
    chat.reload()
    assert asked == ["beforeunload"]
    expect(chat.locator(".msg")).to_have_count(0)
    expect(chat.locator("#temporary-note")).to_be_hidden()
    wait_for(lambda: chat.request.get(f"{live_site.url}/api/conversations/{talk.group(1)}").status == 404)


def test_models_are_sought_by_what_they_can_and_sorted_by_price(chat: Page) -> None:
    chat.keyboard.press("Control+Shift+M")
    chat.get_by_role("button", name="Pictures").click()
    chat.locator("#model-order").select_option("price")
    options = chat.locator("#model-list .option")
    expect(chat.locator('.option[data-id="deepseek/deepseek-chat"]')).to_have_count(0)
    expect(chat.locator('.option[data-id="openai/gpt-4o"]')).to_have_count(1)
    assert options.count() > 3
    chat.locator("#model-q").fill("claude")
    chat.locator("#model-q").press("ArrowDown")
    chat.locator("#model-q").press("Enter")
    expect(chat.locator("#model-name")).to_contain_text("Sonnet")


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_no_state_of_the_box_has_a_fault(
    open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any, look: dict[str, Any]
) -> None:
    page, _ = open_page(storage_state=member_state, **look)
    page.goto(f"{live_site.url}/c")
    expect(page.locator("#model-name")).not_to_have_text("Choose a model")
    choose(page, "openai/gpt-4o-mini")
    page.get_by_role("button", name="Temporary chat").click()
    page.locator("#attach-input").set_input_files([PICTURE, NOTES])
    attached(page, 2)
    found = {"attached": faults(page)}
    send(page, "What is in these?")
    finished(page)
    found["answered"] = faults(page)
    page.locator("#prompt").press_sequentially("/")
    expect(page.locator("#commands")).to_be_visible()
    found["presets"] = faults(page)
    page.keyboard.press("Escape")
    page.locator("#model-button").click()
    found["models"] = faults(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{live_site.url}/settings/presets/new")
    found["a preset"] = faults(page)
    assert {state: what for state, what in found.items() if what} == {}


def test_the_box_fits_a_phone(open_page: Callable[..., tuple[Page, Watch]], live_site: Site, member_state: Any) -> None:
    page, _ = open_page(storage_state=member_state, viewport=PHONE)
    page.goto(f"{live_site.url}/c")
    page.locator("#attach-input").set_input_files([PICTURE, NOTES])
    attached(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
