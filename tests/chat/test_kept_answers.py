"""An answer of /v1 under an Idempotency-Key is found again: in another process, after a restart, for ten minutes."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.chat.client import Chat, dispatches
from tests.servers.site import Newcomer, Site

SHARED = ("SECRET_KEY", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "TRUSTED_PROXIES")
MODEL = "openai/gpt-4o-mini"


@pytest.fixture(scope="module")
def twin(live_site: Site, server_logs: Path) -> Iterator[Site]:
    """Another process on the same database: what one of several processes of a site is to the others."""
    settings = {name: live_site.env[name] for name in SHARED}
    site = Site(live_site.env["DATABASE_URL"], server_logs, settings=settings, worker=False)
    site.sandbox_url = live_site.sandbox_url
    try:
        site.start()
        yield site
    finally:
        site.stop()


@pytest.fixture
def user(live_site: Site) -> Newcomer:
    return live_site.new_user("team")


@pytest.fixture
def here(live_site: Site, user: Newcomer) -> Chat:
    return Chat(live_site, user)


@pytest.fixture
def there(twin: Site, user: Newcomer) -> Chat:
    return Chat(twin, user)


def body(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Say hello in two sentences."}], **fields}


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


def whole(chat: Chat, key: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    answer = chat.http.post("/v1/chat/completions", json=asked, headers=key)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def chunks(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[6:])


def streamed(chat: Chat, key: dict[str, str], asked: dict[str, Any]) -> list[dict[str, Any]]:
    with chat.http.stream("POST", "/v1/chat/completions", json=asked | {"stream": True}, headers=key) as response:
        assert response.status_code == 200
        return list(chunks(response.iter_lines()))


def joined(stream: list[dict[str, Any]], name: str) -> str:
    return "".join(chunk["choices"][0]["delta"].get(name) or "" for chunk in stream if chunk["choices"])


def text_of(stream: list[dict[str, Any]]) -> str:
    return joined(stream, "content")


def calls_of(stream: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of each call, as a client joins them by index."""
    calls: dict[int, list[str]] = {}
    for chunk in stream:
        for choice in chunk["choices"]:
            for call in choice["delta"].get("tool_calls", []):
                parts = calls.setdefault(call["index"], ["", "", ""])
                for place, text in enumerate(
                    (call.get("id"), call["function"].get("name"), call["function"]["arguments"])
                ):
                    parts[place] += text or ""
    return [(identity, name, arguments) for identity, name, arguments in calls.values()]


def upstream_calls(chat: Chat) -> int:
    """How many calls have reached the upstream so far."""
    return len(dispatches(chat.site))


def test_a_retry_in_another_process_gets_the_whole_answer_and_is_not_charged(here: Chat, there: Chat) -> None:
    key, asked = new_key(), body()
    before = upstream_calls(here)
    first = whole(here, key, asked)
    assert first["choices"][0]["message"]["content"]
    assert whole(there, key, asked) == first
    assert upstream_calls(here) == before + 1
    assert here.used == first["usage"]["total_tokens"]
    here.site.command("audit_ledger", here.user.email)


@pytest.mark.parametrize("model", ["sandbox/reasoning", "sandbox/emoji", "sandbox/parallel-tool-calls"])
def test_a_streamed_retry_gives_what_the_first_stream_gave(here: Chat, there: Chat, model: str) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    key, asked = new_key(), body(model, tools=tools, stream=True, stream_options={"include_usage": True})
    first, second = streamed(here, key, asked), streamed(there, key, asked)
    assert text_of(second) == text_of(first)
    assert joined(second, "reasoning_content") == joined(first, "reasoning_content")
    assert calls_of(second) == calls_of(first)
    assert bool(calls_of(first)) == ("tool" in model)
    assert [chunk["choices"][0]["finish_reason"] for chunk in second[-2:-1]] == [
        chunk["choices"][0]["finish_reason"] for chunk in first[-2:-1]
    ]
    assert second[-1] == first[-1]
    assert second[-1]["usage"]["total_tokens"] > 0


def test_a_retry_in_another_process_attaches_to_the_answer_that_still_runs(here: Chat, there: Chat) -> None:
    key, asked = new_key(), body("sandbox/slow", max_tokens=30, stream=True)
    before = upstream_calls(here)
    with here.http.stream("POST", "/v1/chat/completions", json=asked, headers=key) as response:
        live = chunks(response.iter_lines())
        first = [next(live), next(live)]
        with ThreadPoolExecutor(1) as pool:
            retry = pool.submit(streamed, there, key, asked)
            first += live
            second = retry.result(60)
    assert text_of(second) == text_of(first)
    assert second[-1] == first[-1]
    assert len(second) > 4, "it came as it was written"
    assert upstream_calls(here) == before + 1


def test_a_retry_after_a_restart_gets_the_answer(here: Chat, there: Chat, twin: Site) -> None:
    key, asked = new_key(), body()
    first = whole(there, key, asked)
    twin.kill()
    twin.start()
    assert whole(Chat(twin, here.user), key, asked) == first


def test_a_caller_that_leaves_finds_its_answer_by_its_key(here: Chat, there: Chat) -> None:
    key, asked = new_key(), body("sandbox/slow", max_tokens=25)
    with pytest.raises(httpx.ReadTimeout):
        here.http.post("/v1/chat/completions", json=asked, headers=key, timeout=0.5)
    answer = whole(there, key, asked)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 25


@pytest.mark.parametrize("model", ["sandbox/http-500", "sandbox/cut"])
def test_a_failure_is_told_again_and_is_not_worth_another_try(here: Chat, there: Chat, model: str) -> None:
    key, asked = new_key(), body(model)
    before = upstream_calls(here)
    first, second = (chat.http.post("/v1/chat/completions", json=asked, headers=key) for chat in (here, there))
    assert first.status_code == second.status_code == 502
    assert first.json()["error"]["code"] == second.json()["error"]["code"]
    assert second.headers["x-should-retry"] == "false"
    assert upstream_calls(here) == before + 1


def test_another_body_under_the_same_key_is_refused_for_good(here: Chat, there: Chat) -> None:
    key = new_key()
    whole(here, key, body())
    refused = there.http.post("/v1/chat/completions", json=body(temperature=1), headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert refused.headers["x-should-retry"] == "false"


def test_after_ten_minutes_the_answer_is_erased_and_a_retry_is_told_so(here: Chat, there: Chat) -> None:
    key, asked = new_key(), body()
    first = whole(here, key, asked)
    turn = UUID(first["id"].removeprefix("chatcmpl-"))
    back = "from chat.models import *; from chat import kept_answers; from datetime import timedelta;"
    rows = f"rows = Generation.objects.filter(turn_id='{turn}');"
    move = "rows.update(finished_at=rows.get().finished_at - timedelta(seconds={}));"
    count = f"print(KeptAnswer.objects.filter(generation__turn_id='{turn}').count())"
    shell = here.site.manage
    assert shell("shell", "--no-imports", "-c", f"{back}{rows}{move.format(590)}kept_answers.erase();{count}") == "1\n"
    assert whole(there, key, asked) == first
    assert shell("shell", "--no-imports", "-c", f"{back}{rows}{move.format(20)}{count}") == "1\n"
    refused = there.http.post("/v1/chat/completions", json=asked, headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "10 minutes" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert shell("shell", "--no-imports", "-c", f"{back}kept_answers.erase();{count}") == "0\n"


def test_without_a_key_nothing_is_kept(here: Chat) -> None:
    answer = here.http.post("/v1/chat/completions", json=body()).json()
    turn = UUID(answer["id"].removeprefix("chatcmpl-"))
    code = f"from chat.models import *; print(KeptAnswer.objects.filter(generation__turn_id='{turn}').count())"
    assert here.site.manage("shell", "--no-imports", "-c", code) == "0\n"


@pytest.mark.faults
def test_an_answer_whose_process_was_killed_is_given_as_far_as_it_came(here: Chat, there: Chat, twin: Site) -> None:
    key, asked = new_key(), body("sandbox/slow", max_tokens=300, stream=True)
    with there.http.stream("POST", "/v1/chat/completions", json=asked, headers=key) as response:
        live = chunks(response.iter_lines())
        seen = ""
        began = time.monotonic()
        while time.monotonic() - began < 2:
            seen += text_of([next(live)])
        time.sleep(1.1)  # what was seen is at least a second old
        twin.kill()
    retried = streamed(here, key, asked)
    twin.start()
    assert text_of([chunk for chunk in retried if "choices" in chunk]).startswith(seen)
    assert seen
    assert retried[-1]["error"]["code"] == "interrupted"
