"""What a caller or an upstream may not do: extras that nobody holds quota for, headers and ids that choke us."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest

from chat import context, markdown, openai_messages, openai_read, picture_size
from chat.openrouter.wire import read_chunk
from oneai.kit.errors import Refusal
from tests.chat import files
from tests.chat.client import Chat
from tests.servers.site import Site

PIXEL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high", "extra": 1}}


@pytest.fixture(scope="module")
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("pro"))


def body(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "sandbox/echo-request", "messages": [{"role": "user", "content": content}], **fields}


@pytest.mark.parametrize(
    "tool", [{"type": "openrouter:web_search"}, {"type": "function"}, {"type": "function", "function": {}}, "x", None]
)
def test_tools_that_a_provider_would_run_and_bill_are_refused(chat: Chat, tool: Any) -> None:
    answer = chat.http.post("/v1/chat/completions", json=body("hi", tools=[tool]))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools")


def test_only_known_fields_of_parts_and_tools_go_upstream(chat: Chat) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}, "secret_extra": 1}, "cache_control": {}}]
    parts = [{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    answer = chat.http.post("/v1/chat/completions", json=body(parts, tools=tools))
    seen = answer.json()["choices"][0]["message"]["content"]
    assert "hello" in seen
    assert "cache_control" not in seen
    assert "secret_extra" not in seen


def test_an_image_weighs_the_same_whatever_its_bytes(chat: Chat) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo" + "A" * 600_000 + "="}}
    answer = chat.http.post("/v1/chat/completions", json=body([picture]) | {"model": "openai/gpt-4o-mini"})
    assert answer.status_code == 200, answer.text[:300]
    small, large = (context.of_messages([{"role": "user", "content": [image]}]) for image in (IMAGE, picture))
    assert small == large
    assert small.bound > context.IMAGE_TOKENS


def test_images_are_held_for_by_number_and_only_for_models_that_read_them(chat: Chat) -> None:
    blind = chat.http.post("/v1/chat/completions", json=body([IMAGE]) | {"model": "deepseek/deepseek-chat"})
    assert (blind.status_code, blind.json()["error"]["param"]) == (400, "messages")
    read = openai_read.read(body([IMAGE, IMAGE]))
    assert read.messages[0]["content"][0]["image_url"] == {"url": PIXEL, "detail": "high"}
    assert context.upper_bound(read.messages) > 2 * context.IMAGE_TOKENS
    with pytest.raises(Refusal):
        openai_read.read(body([IMAGE] * (openai_messages.MOST_IMAGES + 1)))


@pytest.mark.parametrize("headers", [{"Cookie": 'a="' + "\\" * 9000}, {"X-Filler": "x" * 40_000}])
@pytest.mark.parametrize("path", ["/api/chat/stream/x", "/", "/api/user/quota", "/healthz"])
def test_headers_that_are_too_large_are_refused_everywhere(live_site: Site, path: str, headers: dict[str, str]) -> None:
    assert httpx.get(live_site.url + path, headers=headers, timeout=20).status_code == 431


def test_a_foreign_cookie_signs_nobody_out_of_the_hot_routes(live_site: Site) -> None:
    answer = httpx.get(
        live_site.url + "/api/chat/stream/0198c0de-0000-7000-8000-000000000000",
        headers={"Cookie": 'pref={"a":1}; session=nonsense'},
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("value", ["gen-\ud800", "a b", "a&b", "a#b", "a\n", "x" * 121, ""])
def test_an_upstream_s_id_is_taken_only_when_it_can_be_stored_and_asked_for(value: str) -> None:
    assert read_chunk(json.dumps({"id": value, "choices": []}).encode()).id == ""


def test_an_upstream_s_finish_reason_is_a_word() -> None:
    chunk = read_chunk(b'{"id": "gen-1", "choices": [{"delta": {}, "finish_reason": "\\u0000"}]}')
    assert (chunk.id, chunk.finish_reason) == ("gen-1", "stop")


@pytest.mark.parametrize("text", ["```c\n" + "\n" * 30_000 + "```", "[[]" * 40_000, "http://a " * 30_000])
def test_hostile_markdown_is_shown_without_hanging(text: str) -> None:
    began = time.process_time()
    assert markdown.render(text)
    assert time.process_time() - began < 20  # it took minutes: this is about an end, not about speed


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP"])
def test_the_size_of_a_picture_is_read_without_decoding_it(kind: str) -> None:
    address = f"data:image/png;base64,{base64.b64encode(files.picture(kind, (1100, 700))).decode()}"
    assert picture_size.size_of_address(address) == (1100, 700)
    assert [picture_size.size_of_address(address[:length]) for length in range(36)] == [None] * 36
    asked = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}]
    assert context.of_messages(asked).bound_for("openai/gpt-4o-mini") > 2833 + 6 * 5667
    assert context.of_messages(asked).bound_for("openai/gpt-4o") < 5000
