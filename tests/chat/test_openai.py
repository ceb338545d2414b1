"""/v1/chat/completions as OpenAI's own SDK and a plain client see it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest

from tests.chat.client import Chat, dispatches
from tests.servers.site import Newcomer, Site

MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user("team")


@pytest.fixture(scope="module")
def chat(live_site: Site, user: Newcomer) -> Chat:
    return Chat(live_site, user)


@pytest.fixture(scope="module")
def sdk(live_site: Site, user: Newcomer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live_site.url}/v1", api_key=user.api_key, timeout=60)


def ask(text: str = "Say hello.") -> list[Any]:
    return [{"role": "user", "content": text}]


def test_a_whole_answer_has_openai_s_shape_and_is_charged(sdk: openai.OpenAI, chat: Chat) -> None:
    before = chat.used
    answer = sdk.chat.completions.create(model=MODEL, messages=ask())
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert abs(answer.created - time.time()) < 60
    assert answer.usage is not None
    assert chat.used - before == answer.usage.total_tokens == dispatches(chat.site)[-1]["usage"]["total_tokens"]
    assert answer._request_id


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("nobody/nothing", openai.NotFoundError),
        ("sandbox/http-403-moderation", openai.PermissionDeniedError),
        ("sandbox/http-500", openai.InternalServerError),
        ("sandbox/http-429", openai.InternalServerError),
        ("sandbox/http-502-html", openai.InternalServerError),
        ("sandbox/garbage", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_token_raises_the_class_that_sdk_users_expect(
    sdk: openai.OpenAI, model: str, error: type[openai.APIStatusError], stream: bool
) -> None:
    with pytest.raises(error) as caught:
        sdk.with_options(max_retries=0).chat.completions.create(model=model, messages=ask(), stream=stream)
    body = caught.value.body
    assert isinstance(body, dict)
    assert {"message", "type", "param", "code"} <= set(body)
    assert caught.value.request_id


def test_leaving_stops_the_upstream_and_settles_what_it_billed(chat: Chat) -> None:
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    before = chat.used
    with chat.http.stream(
        "POST", "/v1/chat/completions", json={"model": "sandbox/slow", "messages": ask("long"), "stream": True}
    ) as response:
        for number, _ in enumerate(response.iter_raw()):
            if number == 6:
                break
    deadline = time.monotonic() + 30
    while (chat.held or chat.used == before) and time.monotonic() < deadline:
        time.sleep(0.2)
    last = dispatches(chat.site)[-1]
    assert last["model"] == "sandbox/slow"
    assert last["state"] == "cancelled"
    assert chat.used - before == last["usage"]["total_tokens"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "model"),
        ({"model": MODEL}, 400, "messages"),
        ({"model": MODEL, "messages": []}, 400, "messages"),
        ({"model": MODEL, "messages": "hi"}, 400, "messages"),
        ({"model": MODEL, "messages": [{"role": "king", "content": "x"}]}, 400, "messages.0.role"),
        ({"model": MODEL, "messages": [{"role": "user"}]}, 400, "messages.0.content"),
        ({"model": MODEL, "messages": ask(), "n": 2}, 400, "n"),
        ({"model": MODEL, "messages": ask(), "max_tokens": -1}, 400, "max_tokens"),
        ({"model": MODEL, "messages": ask(), "max_tokens": "9"}, 400, "max_tokens"),
        ({"model": MODEL, "messages": ask(), "temperature": 3}, 400, "temperature"),
        ({"model": MODEL, "messages": ask(), "stream": "yes"}, 400, "stream"),
        (
            {
                "model": MODEL,
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x"}}]}
                ],
            },
            400,
            "messages.0.content",
        ),
    ],
)
def test_bad_requests_are_refused_in_the_envelope(chat: Chat, body: dict[str, Any], status: int, param: str) -> None:
    answer = chat.http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_a_session_cookie_alone_opens_nothing_on_v1(live_site: Site) -> None:
    answer = httpx.post(
        f"{live_site.url}/v1/chat/completions", json={"model": MODEL, "messages": ask()}, cookies={"session": "x" * 32}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
