"""Every field of OpenAI's request does what docs/openai.md says, and every error of /v1 has OpenAI's envelope."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from chat import tool_calls
from chat.openai_read import FIELDS
from tests.architecture.source import ROOT
from tests.chat.client import Chat
from tests.servers.site import Site

pytestmark = pytest.mark.wire
ECHO = "sandbox/echo-request"
F = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
G = {"type": "function", "function": {"name": "g"}}
OLD_F = F["function"]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}

PASSED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.5}, {"temperature": 0.5}),
    ({"top_p": 0.5}, {"top_p": 0.5}),
    ({"frequency_penalty": 1}, {"frequency_penalty": 1}),
    ({"presence_penalty": -1}, {"presence_penalty": -1}),
    ({"seed": 7}, {"seed": 7}),
    ({"stop": ["END", "STOP"]}, {"stop": ["END", "STOP"]}),
    ({"logit_bias": {"50256": -100}}, {"logit_bias": {"50256": -100}}),
    ({"verbosity": "low"}, {"verbosity": "low"}),
    ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    ({"response_format": SCHEMA}, {"response_format": SCHEMA}),
    ({"tools": [F], "tool_choice": "required"}, {"tools": [F], "tool_choice": "required"}),
    (
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f", "x": 1}}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    (
        {
            "tools": [F, G],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}},
        },
        {"tools": [G], "tool_choice": "auto"},
    ),
    ({"tools": [F], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    (
        {"functions": [OLD_F], "function_call": {"name": "f"}},
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    ({"max_completion_tokens": 900, "max_tokens": 800}, {"max_completion_tokens": 900}),
    ({"max_tokens": 800}, {"max_completion_tokens": 800}),
]
IGNORED: dict[str, Any] = {
    "logprobs": True, "top_logprobs": 5, "user": "somebody@example.com", "safety_identifier": "x",
    "metadata": {"a": "b"},
    "prompt_cache_key": "k", "prompt_cache_retention": "24h", "service_tier": "flex", "audio": {"voice": "x"},
    "prediction": {"type": "content", "content": "x"}, "web_search_options": {},
    # Other programs' extras: what a provider would bill or do differently must not get through.
    "provider": {"order": ["x"]}, "models": ["openai/gpt-4o"], "transforms": ["middle-out"], "plugins": [{"id": "web"}],
    "route": "fallback", "usage": {"include": True}, "reasoning": {"max_tokens": 9}, "parallel_tool_calls": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": ECHO, "messages": [{"role": "user", "content": "Hi"}]} | fields


def seen_upstream(chat: Chat, asked: dict[str, Any]) -> dict[str, Any]:
    """The body that the provider was sent for ``asked``."""
    answer = chat.http.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text
    return dict(json.loads(answer.json()["choices"][0]["message"]["content"])["body"])


def test_the_page_s_table_of_fields_is_the_one_that_the_code_follows() -> None:
    page = (ROOT / "docs" / "openai.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", page, re.MULTILINE))
    assert rows == FIELDS


def test_every_field_that_is_said_to_be_passed_on_or_ignored_is_tried_here() -> None:
    tried = {name for asked, _ in PASSED for name in asked}
    assert {name for name, treatment in FIELDS.items() if treatment == "passed on"} <= tried
    assert {name for name, treatment in FIELDS.items() if treatment == "ignored"} <= set(IGNORED)


@pytest.mark.parametrize(("asked", "expected"), PASSED, ids=lambda case: "+".join(case))
def test_a_field_reaches_the_provider(chat: Chat, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    seen = seen_upstream(chat, ask(**asked))
    assert {name: seen.get(name) for name in expected} == expected


def test_what_is_ignored_does_not_reach_the_provider(chat: Chat) -> None:
    seen = seen_upstream(chat, ask(**IGNORED))
    plain = seen_upstream(chat, ask())
    # Each call has our own name on it, and nothing of the caller's metadata.
    assert set(seen.pop("metadata")) == set(plain.pop("metadata")) == {"call"}
    assert seen == plain
    assert "somebody@example.com" not in json.dumps(seen)


def test_roles_of_all_ages_reach_the_provider_as_ones_that_it_knows(chat: Chat) -> None:
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Weather?", "name": "ann"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "sunny"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "x": 1} | G]},
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        {"role": "user", "content": "So?"},
    ]
    messages[4]["tool_calls"][0]["function"] = {"name": "g", "arguments": "{}", "extra": 1}  # type: ignore[index]
    seen = seen_upstream(chat, ask(messages=messages))["messages"]
    called = {"name": "f", "arguments": "{}"}
    assert seen == [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Weather?", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_2", "type": "function", "function": called}],
        },
        {"role": "tool", "name": "f", "tool_call_id": "call_2", "content": "sunny"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "g", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        {"role": "user", "content": "So?"},
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_of_functions_is_answered_with_a_function_call(chat: Chat, stream: bool) -> None:
    asked = ask(model="sandbox/tool-call", functions=[{"name": "get_weather", "parameters": {}}], stream=stream)
    answer = chat.http.post("/v1/chat/completions", json=asked)
    if not stream:
        choice = answer.json()["choices"][0]
        assert choice["finish_reason"] == "function_call"
        assert "tool_calls" not in choice["message"]
        called = choice["message"]["function_call"]
    else:
        chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        choices = [chunk["choices"][0] for chunk in chunks]
        assert choices[-1]["finish_reason"] == "function_call"
        parts = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
        assert [part["name"] for part in parts if "name" in part] == ["get_weather"]
        called = {"name": "get_weather", "arguments": "".join(part["arguments"] for part in parts)}
    assert called["name"] == "get_weather"
    assert json.loads(called["arguments"]) is not None


def test_fragments_of_calls_are_joined_told_apart_and_written_once_each() -> None:
    fragments = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}},
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x'}},
        {"index": -1, "function": {"arguments": "no"}},
        {"index": 128, "function": {"arguments": "no"}},
        {"index": True, "function": {"arguments": "no"}},
        {"index": 0, "function": {"arguments": '": 1}'}},
        {"index": 1, "function": None},
        {"index": 1, "function": {"arguments": "}\0\ud800"}},
    ]
    fragments = tool_calls.clean(fragments)
    whole = tool_calls.joined(fragments)
    assert [call["function"]["arguments"] for call in whole] == ['{"x": 1}', "{}\ufffd\ufffd"]
    for known in range(len(fragments)):
        part = fragments[:known]
        assert tool_calls.joined(part + tool_calls.added(part, whole)) == whole
    writer = tool_calls.Writer()
    written = [call for place in range(1, 8) for call in writer.new(fragments[:place])]
    assert [(call["index"], call.get("id"), call["function"].get("name")) for call in written if "id" in call] == [
        (0, "a", "f"),
        (1, "b", "g"),
    ]
    assert tool_calls.joined(written) == whole


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"tools": [F] * 129}, "tools"),
        ({"tools": [F], "functions": [OLD_F]}, "functions"),
        ({"tools": [F], "tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": [OLD_F], "function_call": "required"}, "function_call"),
        ({"stream_options": 1}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "1"}, "max_completion_tokens"),
        ({"seed": 1.5}, "seed"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages.0.tool_calls"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content"),
        ({"messages": None, "input": "Hi"}, "messages"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_the_field_s_name(
    chat: Chat, fields: dict[str, Any], param: str
) -> None:
    answer = chat.http.post("/v1/chat/completions", json=ask(**fields))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")
    if param == "messages":
        assert error["message"] == "messages is required."


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/v1/chat/completions", None, {}, 405, "method_not_allowed"),
        ("POST", "/v1/models", b"{}", JSON, 405, "method_not_allowed"),
        ("DELETE", "/v1/models/openai/gpt-4o-mini", None, {}, 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions", b"", JSON, 400, "invalid_json"),
        ("POST", "/v1/chat/completions", b"{", JSON, 400, "invalid_json"),
        ("POST", "/v1/chat/completions", b"[1]", JSON, 400, "invalid_json"),
        ("POST", "/v1/chat/completions", b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ("POST", "/v1/chat/completions", b" " * (8 * 1024 * 1024 + 1), JSON, 413, "payload_too_large"),
        ("POST", "/v1/chat/completions/", b"{}", JSON, 404, "not_found"),
        ("POST", "/v1/completions", b"{}", JSON, 404, "not_found"),
        ("POST", "/v1/embeddings", b"{}", JSON, 404, "not_found"),
        ("POST", "/v1/responses", b"{}", JSON, 404, "not_found"),
        ("GET", "/v1/", None, {}, 404, "not_found"),
        ("PATCH", "/v1/nothing/at/all", b"{}", JSON, 404, "not_found"),
        ("GET", "/v1/models/", None, {}, 404, "not_found"),
        ("GET", "/v1/models/nobody%2Fnothing", None, {}, 404, "model_not_found"),
        ("GET", "/v1/models", None, {"Authorization": "Bearer oneai_nonsense"}, 401, "invalid_api_key"),
        ("POST", "/v1/chat/completions", b"{}", JSON | {"Authorization": ""}, 401, "invalid_api_key"),
    ],
)
def test_every_error_is_an_envelope(
    chat: Chat, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, code: str
) -> None:
    answer = chat.http.request(method, path, content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert {"message", "type", "param", "code"} <= set(error)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == error["request_id"]
    assert int(answer.headers["openai-processing-ms"]) >= 0


FREE = "meta-llama/llama-3.3-70b-instruct:free"


@pytest.mark.parametrize("path", [FREE, FREE.replace("/", "%2F"), FREE.replace("/", "%2F").replace(":", "%3A")])
def test_a_model_is_found_by_its_id_however_it_is_written(chat: Chat, path: str) -> None:
    answer = chat.http.get(f"/v1/models/{path}")
    assert answer.status_code == 200
    assert answer.json()["id"] == FREE
    assert {"id", "object", "created", "owned_by"} <= set(answer.json())


def test_the_rate_headers_are_whole_numbers_and_durations(chat: Chat, live_site: Site) -> None:
    limited = Chat(live_site, live_site.new_user())
    headers = limited.http.post("/v1/chat/completions", json=ask(model="sandbox/hello")).headers
    for kind in ("requests", "tokens"):
        assert int(headers[f"x-ratelimit-remaining-{kind}"]) <= int(headers[f"x-ratelimit-limit-{kind}"])
        assert re.fullmatch(r"(\d+h)?(\d+m)?\d+(\.\d+)?m?s", headers[f"x-ratelimit-reset-{kind}"])
    assert int(headers["x-quota-remaining-tokens"]) > 0


def test_a_provider_that_says_when_to_come_back_is_passed_on(chat: Chat) -> None:
    answer = chat.http.post("/v1/chat/completions", json=ask(model="sandbox/http-429-retry-after"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_any_website_may_read_the_answers_and_what_an_sdk_needs_of_their_headers(live_site: Site) -> None:
    sent = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    asked = httpx.options(f"{live_site.url}/v1/chat/completions", headers=sent)
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "x-stainless-retry-count" in asked.headers["access-control-allow-headers"].lower()
    answer = httpx.get(f"{live_site.url}/v1/models", headers=sent)
    assert "x-should-retry" in answer.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers
