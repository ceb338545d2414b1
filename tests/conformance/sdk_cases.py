"""OpenAI's Python SDK against a running site, as other people's programs use it: cases, and a program that runs them.

`python sdk_cases.py` reads {"url", "keys", "sandbox"} from standard input and prints a line of JSON for each case. It
imports nothing of the project, so that it also runs where only the SDK is installed, whichever its major.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import openai
from openai import AsyncOpenAI, DefaultHttpxClient, OpenAI

MODEL = "openai/gpt-4o-mini"
FREE = "meta-llama/llama-3.3-70b-instruct:free"
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
Error = TypeVar("Error", bound=Exception)
Case = Callable[["Site"], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


class Site:
    """The site under test, and a count of what its client sends."""

    def __init__(self, url: str, keys: dict[str, str], sandbox: str) -> None:
        self.url, self.keys, self.sandbox = url, keys, sandbox
        self.sent: list[str] = []

    def client(self, key: str = "good", **options: Any) -> OpenAI:
        """A client whose requests are noted, by the number of the SDK's own retry."""
        self.sent = []
        http = DefaultHttpxClient(
            event_hooks={"request": [lambda request: self.sent.append(request.headers["x-stainless-retry-count"])]}
        )
        credential = self.keys.get(key, key)
        return OpenAI(base_url=f"{self.url}/v1", api_key=credential, http_client=http, timeout=30, **options)

    def held(self, key: str) -> int:
        """The tokens that are reserved for running answers of the key's account."""
        request = urllib.request.Request(
            f"{self.url}/api/user/quota", headers={"Authorization": f"Bearer {self.keys[key]}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            limits = json.load(answer)["limits"]
        return sum(limit["held"] for limit in limits if limit["unit"] == "tokens")

    def dispatches(self, model: str) -> list[dict[str, Any]]:
        """What reached the provider for a model."""
        with urllib.request.urlopen(f"{self.sandbox}/_control/dispatches?model={model}", timeout=20) as answer:
            return list(json.load(answer)["dispatches"])


def ask(text: str = "Say hello.") -> list[Any]:
    return [{"role": "user", "content": text}]


def raised(kind: type[Error], call: Callable[[], Any]) -> Error:
    """The error of ``kind`` that a call raises."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("nothing was raised")


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)


# Answers ------------------------------------------------------------------------------------------
@case
def create(site: Site) -> None:
    answer = site.client().chat.completions.create(model=MODEL, messages=ask())
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert choice.logprobs is None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id
    assert site.sent == ["0"]


@case
def stream_with_usage(site: Site) -> None:
    chunks = list(
        site.client().chat.completions.create(
            model=MODEL, messages=ask(), stream=True, stream_options={"include_usage": True}
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert [choice.delta.role for choice in choices].count("assistant") == 1
    assert "".join(choice.delta.content or "" for choice in choices)
    assert [choice.finish_reason for choice in choices][-1] == "stop"
    assert {choice.finish_reason for choice in choices[:-1]} == {None}
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


@case
def stream_without_usage(site: Site) -> None:
    chunks = list(site.client().chat.completions.create(model=MODEL, messages=ask(), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


@case
def stream_helper(site: Site) -> None:
    with site.client().chat.completions.stream(model="sandbox/emoji", messages=ask()) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == text != ""
    assert final.choices[0].message.role == "assistant"


@case
def a_text_with_every_line_separator_arrives_whole(site: Site) -> None:
    client = site.client()
    whole = client.chat.completions.create(model="sandbox/line-separators", messages=ask())
    chunks = client.chat.completions.create(model="sandbox/line-separators", messages=ask(), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert "\u2028" in text


@case
def a_tool_is_called_and_its_result_answered(site: Site) -> None:
    client = site.client()
    messages = ask("Is it warm in Pune?")
    first = client.chat.completions.create(model="sandbox/tool-call", messages=messages, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    assert message.content is None
    (call,) = message.tool_calls or []
    assert "city" in json.loads(call.function.arguments)
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "31 degrees"}]
    second = client.chat.completions.create(model="sandbox/tool-call", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content
    assert second.choices[0].finish_reason == "stop"


@case
def parallel_tool_calls_are_joined_by_the_helper(site: Site) -> None:
    client = site.client()
    with client.chat.completions.stream(model="sandbox/parallel-tool-calls", messages=ask(), tools=TOOLS) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert len(calls) == 2
    assert len({call.id for call in calls}) == 2
    assert {call.function.name for call in calls} == {"get_weather"}
    assert all(isinstance(json.loads(call.function.arguments), dict) for call in calls)
    assert final.choices[0].finish_reason == "tool_calls"


@case
def a_schema_is_answered_in_its_form(site: Site) -> None:
    from pydantic import BaseModel

    class Fact(BaseModel):
        topic: str
        year: int

    answer = site.client().chat.completions.parse(model=MODEL, messages=ask(), response_format=Fact)
    assert isinstance(answer.choices[0].message.parsed, Fact)


@case
def the_raw_response_has_its_headers(site: Site) -> None:
    raw = site.client().chat.completions.with_raw_response.create(model=MODEL, messages=ask())
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < int(raw.headers["x-ratelimit-limit-requests"])
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")


@case
def models_are_listed_and_found_by_ids_with_slashes(site: Site) -> None:
    client = site.client()
    listed = {model.id: model for model in client.models.list()}
    assert listed[MODEL].owned_by == "openai"
    assert client.models.retrieve(FREE).id == FREE
    error = raised(openai.NotFoundError, lambda: client.models.retrieve("nobody/nothing"))
    assert error.code == "model_not_found"


@case
def the_async_client_streams_and_creates(site: Site) -> None:
    async def run() -> None:
        async with AsyncOpenAI(base_url=f"{site.url}/v1", api_key=site.keys["good"], timeout=30) as client:
            answer = await client.chat.completions.create(model=MODEL, messages=ask())
            assert answer.choices[0].message.content
            text = ""
            async for chunk in await client.chat.completions.create(model=MODEL, messages=ask(), stream=True):
                text += chunk.choices[0].delta.content or ""
            assert text

    asyncio.run(run())


# Errors -------------------------------------------------------------------------------------------
def refused(site: Site, kind: type[openai.APIStatusError], status: int, key: str = "good", **fields: Any) -> Any:
    """The error of a call; it must be of this class and come with the envelope. Its retries are off."""
    client = site.client(key, max_retries=0)
    asked = {"model": MODEL, "messages": ask()} | fields
    error = raised(openai.APIStatusError, lambda: client.chat.completions.create(**asked))
    assert (type(error), error.status_code) == (kind, status), error
    assert isinstance(error.body, dict)
    assert {"message", "type", "param", "code"} <= set(error.body)
    assert isinstance(error.code, str)
    assert error.request_id
    return error


@case
def every_status_raises_its_class(site: Site) -> None:
    assert refused(site, openai.BadRequestError, 400, n=2).param == "n"
    assert refused(site, openai.BadRequestError, 400, messages=[]).param == "messages"
    assert refused(site, openai.AuthenticationError, 401, key="oneai_wrong").code == "invalid_api_key"
    assert refused(site, openai.AuthenticationError, 401, key="revoked").code == "invalid_api_key"
    assert refused(site, openai.PermissionDeniedError, 403, key="narrow").code == "insufficient_scope"
    assert refused(site, openai.NotFoundError, 404, model="nobody/nothing").code == "model_not_found"
    assert refused(site, openai.APIStatusError, 413, messages=ask("x" * 8_400_000)).code == "payload_too_large"
    assert refused(site, openai.RateLimitError, 429, key="poor").code == "insufficient_quota"
    assert refused(site, openai.InternalServerError, 502, model="sandbox/http-500").type == "server_error"
    assert refused(site, openai.InternalServerError, 503, model="sandbox/http-529").type == "server_error"
    assert refused(site, openai.InternalServerError, 502, model="sandbox/midstream-error-first", stream=True)


@case
def unknown_routes_are_not_found(site: Site) -> None:
    client = site.client(max_retries=0)
    for call in (
        lambda: client.embeddings.create(model="x", input="y"),
        lambda: client.completions.create(model="x", prompt="y"),
        lambda: client.responses.create(model="x", input="y"),
    ):
        assert raised(openai.NotFoundError, call).code == "not_found"


@case
def an_error_in_a_stream_is_raised(site: Site) -> None:
    texts: list[str] = []

    def read() -> None:
        for chunk in site.client().chat.completions.create(model="sandbox/cut", messages=ask(), stream=True):
            texts.append(chunk.choices[0].delta.content or "")

    error = raised(openai.APIError, read)
    assert not isinstance(error, openai.APIStatusError)
    assert error.code == "upstream_interrupted"
    assert "".join(texts)


# Retries, time, leaving ---------------------------------------------------------------------------
@case
def too_many_at_once_succeeds_on_a_retry(site: Site) -> None:
    running = site.client("busy").chat.completions.create(
        model="sandbox/slow", messages=ask(), stream=True, max_tokens=16
    )
    next(iter(running))
    client = site.client("busy", max_retries=4)
    answer = client.chat.completions.create(model="sandbox/hello", messages=ask())
    assert answer.choices[0].message.content
    assert site.sent[:2] == ["0", "1"], "the first was refused, and came again by itself"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in running)


@case
def a_used_up_quota_is_asked_for_once(site: Site) -> None:
    client = site.client("poor", max_retries=3)
    raised(openai.RateLimitError, lambda: client.chat.completions.create(model=MODEL, messages=ask()))
    assert site.sent == ["0"]


@case
def a_key_used_for_another_body_conflicts_at_once(site: Site) -> None:
    client = site.client(max_retries=3)
    headers = {"Idempotency-Key": f"{openai.__version__}-{time.time()}"}
    first = client.chat.completions.create(model=MODEL, messages=ask(), extra_headers=headers)
    again = client.chat.completions.create(model=MODEL, messages=ask(), extra_headers=headers)
    assert again.id == first.id
    assert again.choices == first.choices
    site.sent.clear()
    other = {"model": MODEL, "messages": ask("Another"), "extra_headers": headers}
    error = raised(openai.ConflictError, lambda: client.chat.completions.create(**other))
    assert error.code == "idempotency_conflict"
    assert site.sent == ["0"]


@case
def a_client_that_runs_out_of_time_settles(site: Site) -> None:
    client = site.client("leaver", max_retries=0).with_options(timeout=0.5)
    raised(openai.APITimeoutError, lambda: client.chat.completions.create(model="sandbox/stall", messages=ask()))
    until(lambda: site.held("leaver") == 0)


@case
def breaking_out_of_a_stream_stops_the_provider_and_settles(site: Site) -> None:
    model = "sandbox/slow"
    known = {row["generation_id"] for row in site.dispatches(model)}
    with site.client("leaver").chat.completions.create(model=model, messages=ask("long"), stream=True) as stream:
        for number, _ in enumerate(stream):
            if number == 4:
                break
    until(lambda: site.held("leaver") == 0)
    fresh = [row for row in site.dispatches(model) if row["generation_id"] not in known]
    assert "cancelled" in {row["state"] for row in fresh}


def main() -> None:
    asked = json.load(sys.stdin)
    major = openai.__version__.partition(".")[0]

    def report(name: str) -> str:
        trouble = ""
        try:
            CASES[name](Site(**asked))
        except Exception:
            trouble = traceback.format_exc()
        return json.dumps({"case": name, "trouble": trouble, "major": major})

    with ThreadPoolExecutor(4) as pool:  # some cases wait for what happens in seconds
        for line in pool.map(report, CASES):
            print(line, flush=True)


if __name__ == "__main__":
    main()
