"""Errors over HTTP, and the controls that call them up."""

from __future__ import annotations

import time

import pytest

from tests.sandbox.wire import BASE, KEY, Client

STATUS = {
    "http-400": 400,
    "http-400-context": 400,
    "http-400-model": 400,
    "http-401": 401,
    "http-402": 402,
    "http-402-preflight": 402,
    "http-402-key-limit": 402,
    "http-403-moderation": 403,
    "http-404": 404,
    "http-404-deprecated": 404,
    "http-408": 408,
    "http-413": 413,
    "http-422": 422,
    "http-429": 429,
    "http-429-retry-after": 429,
    "http-429-ms-reset": 429,
    "http-500": 500,
    "http-502": 502,
    "http-502-raw": 502,
    "http-503": 503,
    "http-524": 524,
    "http-529": 529,
}


@pytest.mark.parametrize("name", STATUS)
def test_a_refusal_has_its_status_outside_and_inside(box: Client, name: str) -> None:
    reply = box.chat(f"sandbox/{name}")
    assert reply.status == STATUS[name] == reply.json["error"]["code"]
    assert reply.json["error"]["message"]
    seen = box.dispatches()[0]
    assert seen["state"] == "refused" and seen["http_status"] == STATUS[name]


def test_preflight_depends_on_the_cap(box: Client) -> None:
    refused = box.chat("sandbox/http-402-preflight", max_tokens=500).json["error"]["message"]
    assert "requested up to 500 tokens, but can only afford 64" in refused
    assert box.chat("sandbox/http-402-preflight", max_tokens=64).status == 200


def test_preflight_without_a_cap_takes_the_models_maximum(box: Client) -> None:
    assert "up to 16384 tokens" in box.chat("sandbox/http-402-preflight").json["error"]["message"]


def test_moderation_names_its_reasons(box: Client) -> None:
    metadata = box.chat("sandbox/http-403-moderation").json["error"]["metadata"]
    assert metadata["reasons"] and len(metadata["flagged_input"]) <= 100


def test_retry_hints(box: Client) -> None:
    assert box.chat("sandbox/http-429-retry-after").headers["retry-after"] == "2"
    assert "retry-after" not in box.chat("sandbox/http-429").headers
    reset = box.chat("sandbox/http-429-ms-reset")
    assert int(reset.headers["x-ratelimit-reset"]) > time.time() * 1000
    assert reset.json["error"]["metadata"]["headers"]["X-RateLimit-Remaining"] == "0"


def test_the_providers_raw_words_are_there_to_be_hidden(box: Client) -> None:
    assert "sk-upstream-" in box.chat("sandbox/http-502-raw").json["error"]["metadata"]["raw"]


def test_the_edge_answers_html(box: Client) -> None:
    reply = box.chat("sandbox/http-502-html")
    assert reply.status == 502 and reply.headers["content-type"].startswith("text/html")


def test_an_availability_body_lacks_the_code(box: Client) -> None:
    reply = box.chat("sandbox/availability-no-code")
    error = reply.json["error"]
    assert reply.status == 503 and "code" not in error and error["availability"]["retryable"] is True


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (None, 401),
        ("wrong", 401),
        ("sk-or-v1-revoked", 401),
        ("sk-or-v1-exhausted", 402),
        ("sk-or-v1-limited", 429),
    ],
)
def test_keys(box: Client, key: str | None, status: int) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    assert box.call("POST", f"{BASE}/chat/completions", body, headers)[0] == status


def test_key_shows_what_was_spent_and_can_be_emptied(box: Client) -> None:
    cost = box.chat("openai/gpt-4o").usages[-1]["cost"]
    assert box.api("/key")[1]["data"]["usage"] == cost
    box.control("key", {"limit": 5, "limit_remaining": 0})
    assert box.api("/key")[1]["data"]["limit_remaining"] == 0
    assert box.chat("openai/gpt-4o").status == 402


def test_credits_need_another_kind_of_key(box: Client) -> None:
    assert box.api("/credits")[0] == 403
    assert box.api("/credits", key=None)[0] == 401


def test_an_ordered_fault_happens_as_often_as_ordered(box: Client) -> None:
    box.control("fault", {"scenario": "http-502", "times": 2, "model": "openai/gpt-4o"})
    assert box.chat("openai/gpt-4o-mini").status == 200
    assert [box.chat("openai/gpt-4o").status for _ in range(3)] == [502, 502, 200]


def test_an_ordered_fault_can_take_every_third_request(box: Client) -> None:
    box.control("fault", {"scenario": "http-503", "times": 2, "every": 3})
    assert [box.chat("openai/gpt-4o").status for _ in range(7)] == [200, 200, 503, 200, 200, 503, 200]


def test_a_header_puts_a_scenario_on_any_model(box: Client) -> None:
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {KEY}", "X-Sandbox-Scenario": "http-529"}
    assert box.call("POST", f"{BASE}/chat/completions", body, headers)[0] == 529


@pytest.mark.parametrize("body", [{"scenario": "nothing"}, {"scenario": "cut", "times": 0}, [1]])
def test_a_control_call_that_makes_no_sense_is_a_400(box: Client, body: object) -> None:
    status, answer = box.call("POST", "/_control/fault", body)
    assert status == 400 and answer["error"]
