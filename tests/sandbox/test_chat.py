"""What an ordinary answer looks like, streamed and whole."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.sandbox.wire import Client

PROMPT_PRICE, COMPLETION_PRICE = Decimal("0.00000015"), Decimal("0.0000006")
MODEL = "openai/gpt-4o-mini"


def test_a_stream_has_comment_chunks_finish_usage_and_end_in_this_order(box: Client) -> None:
    reply = box.chat(MODEL)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert reply.datas[-1] == "[DONE]"
    assert reply.chunks[-1]["choices"] == [] and reply.chunks[-1]["usage"]["completion_tokens"] > 20
    assert reply.chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert reply.finishes == ["stop"]
    assert {chunk["id"] for chunk in reply.chunks} == {reply.headers["x-generation-id"]}
    assert all(choice["delta"]["role"] == "assistant" for chunk in reply.chunks for choice in chunk["choices"])


def test_the_whole_answer_is_the_streamed_one_and_costs_the_same(box: Client) -> None:
    streamed, whole = box.chat(MODEL), box.chat(MODEL, stream=False).json
    assert whole["choices"][0]["message"]["content"] == streamed.text
    assert whole["usage"] == streamed.usages[-1]
    assert whole["object"] == "chat.completion"


def test_cost_is_price_times_tokens_to_the_last_decimal(box: Client) -> None:
    usage = box.chat(MODEL, "Write a long essay about rivers", max_tokens=777).usages[-1]
    exact = usage["prompt_tokens"] * PROMPT_PRICE + usage["completion_tokens"] * COMPLETION_PRICE
    assert usage["cost"] == exact
    assert Decimal(box.dispatches()[0]["usage"]["cost"]) == exact


def test_the_same_request_always_has_the_same_usage(box: Client) -> None:
    assert box.chat(MODEL).usages == box.chat(MODEL).usages


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_cap_ends_the_answer_for_length(box: Client, name: str) -> None:
    reply = box.chat(MODEL, "Write a long essay", **{name: 50})
    assert reply.finishes == ["length"]
    assert reply.usages[-1]["completion_tokens"] in (49, 50)


def test_the_lower_of_two_caps_holds(box: Client) -> None:
    reply = box.chat(MODEL, "Write a long essay", max_tokens=4096, max_completion_tokens=20)
    assert reply.usages[-1]["completion_tokens"] <= 20


def test_a_price_for_long_prompts_takes_over_above_its_bound(box: Client) -> None:
    usage = box.chat("oddities/overrides", "alpha beta " * 1000).usages[-1]
    assert usage["prompt_tokens"] > 1000
    expected = usage["prompt_tokens"] * Decimal("0.000001") + usage["completion_tokens"] * Decimal("0.000002")
    assert usage["cost"] == expected


def test_a_fallback_list_is_answered_and_priced_by_the_first_model_that_works(box: Client) -> None:
    reply = box.chat("sandbox/http-503", models=["sandbox/http-429", MODEL, "openai/gpt-4o"])
    assert {chunk["model"] for chunk in reply.chunks} == {MODEL}
    seen = box.dispatches()[0]
    assert seen["requested_models"] == ["sandbox/http-503", "sandbox/http-429", MODEL, "openai/gpt-4o"]
    assert seen["model"] == MODEL


def test_a_router_answers_as_the_model_it_chose(box: Client) -> None:
    assert box.chat("openrouter/auto", stream=False).json["model"] == MODEL


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Write a Python function for prime numbers", "```python\ndef primes"),
        ("A table that compares cats and dogs", "| Aspect | cats | dogs |"),
        ("Show me some math", "$$\nx_{1,2}"),
        ("Use emoji please", "👩‍👩‍👧‍👦"),
        ("Explain the tides please", "About tides\n"),
    ],
)
def test_an_answer_has_what_was_asked_for_and_says_where_it_comes_from(
    box: Client, question: str, expected: str
) -> None:
    text = box.chat(MODEL, question).text
    assert expected in text
    assert "Sandbox answer" in text


def test_a_long_answer_is_long(box: Client) -> None:
    assert box.chat(MODEL, "A long article about tea").usages[-1]["completion_tokens"] > 1500


def test_a_json_schema_is_followed(box: Client) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    value = json.loads(box.chat(MODEL, "A boat", response_format=asked).text)
    assert isinstance(value["name"], str) and isinstance(value["size"], int)


def test_web_search_adds_citations_and_its_price(box: Client) -> None:
    whole = box.chat(MODEL, stream=False, plugins=[{"id": "web"}]).json
    assert len(whole["choices"][0]["message"]["annotations"]) == 2
    assert whole["usage"]["server_tool_use_details"] == {"web_search_requests": 1}
    assert whole["usage"]["cost"] > Decimal("0.01")


def test_a_model_without_eyes_refuses_an_image_and_one_with_eyes_takes_it(box: Client) -> None:
    picture = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert box.chat("deepseek/deepseek-chat", picture).status == 404
    assert "a PNG picture of" in box.chat(MODEL, picture).text


def test_more_tokens_than_the_context_holds_are_refused(box: Client) -> None:
    reply = box.chat("oddities/small-context", "word " * 3000)
    assert reply.status == 400
    assert reply.json["error"]["metadata"]["error_type"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"max_tokens": 0},
        {"max_tokens": "many"},
        {"models": "one"},
    ],
)
def test_nonsense_is_a_400_with_a_message(box: Client, change: dict[str, object]) -> None:
    reply = box.chat(MODEL, **change)
    assert reply.status == 400
    assert reply.json["error"]["code"] == 400 and reply.json["error"]["message"]


def test_an_unknown_model_is_a_400_that_says_so(box: Client) -> None:
    error = box.chat("nobody/nothing").json["error"]
    assert error["message"] == "nobody/nothing is not a valid model ID"
    assert error["availability"]["code"] == "model_not_found"


def test_echo_gives_back_body_and_headers_without_the_key(box: Client) -> None:
    reply = box.chat("sandbox/echo-request", "hi", user="someone", max_tokens=16)
    seen = json.loads(reply.text)
    assert seen["body"]["user"] == "someone" and seen["body"]["messages"][0]["content"] == "hi"
    assert "authorization" not in seen["headers"] and "sk-or-" not in reply.text
    assert reply.usages[-1]["completion_tokens"] <= 16


def test_tool_calls_come_in_parts_that_join_to_json(box: Client) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {
        "place": {"type": "string"}}}}}  # fmt: skip
    reply = box.chat("sandbox/tool-call", tools=[tool])
    calls = [call for chunk in reply.chunks for choice in chunk["choices"]
             for call in choice["delta"].get("tool_calls", ())]  # fmt: skip
    assert calls[0]["function"]["name"] == "look" and len(calls) > 2
    assert "place" in json.loads("".join(call["function"]["arguments"] for call in calls))
    assert reply.finishes == ["tool_calls"]


def test_parallel_tool_calls_are_interleaved_and_whole(box: Client) -> None:
    calls = [call for chunk in box.chat("sandbox/parallel-tool-calls").chunks for choice in chunk["choices"]
             for call in choice["delta"].get("tool_calls", ())]  # fmt: skip
    order = [call["index"] for call in calls]
    assert order != sorted(order)
    for index in (0, 1):
        json.loads("".join(call["function"]["arguments"] for call in calls if call["index"] == index))
    whole = box.chat("sandbox/parallel-tool-calls", stream=False).json["choices"][0]["message"]
    assert [call["function"]["name"] for call in whole["tool_calls"]] == ["get_weather", "get_time"]


def test_a_tool_result_is_answered_with_text(box: Client) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"rain": true}'},
    ]
    assert '{"rain": true}' in box.chat("sandbox/tool-call", messages=messages).text


def test_reasoning_comes_before_the_text_and_is_counted_within_the_completion(box: Client) -> None:
    reply = box.chat("sandbox/reasoning")
    deltas = [choice["delta"] for chunk in reply.chunks for choice in chunk["choices"]]
    first_text = next(at for at, delta in enumerate(deltas) if delta["content"])
    assert all(delta.get("reasoning") for delta in deltas[:first_text]) and first_text > 5
    details = reply.usages[-1]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < reply.usages[-1]["completion_tokens"]


def test_encrypted_reasoning_shows_no_words(box: Client) -> None:
    deltas = [
        choice["delta"] for chunk in box.chat("sandbox/encrypted-reasoning").chunks for choice in chunk["choices"]
    ]
    assert not any(delta.get("reasoning") for delta in deltas)
    assert deltas[0]["reasoning_details"][0]["type"] == "reasoning.encrypted"
