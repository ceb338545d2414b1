"""LangChain's ChatOpenAI against a running site; runs as sdk_cases.py does."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

MODEL = "openai/gpt-4o-mini"
Case = Callable[[Any], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@case
def an_answer_streams_with_its_usage(make: Any) -> None:
    chunks = list(make(MODEL, stream_usage=True).stream("Say hello."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert len(chunks) > 3
    assert whole.text if isinstance(whole.text, str) else whole.text()
    assert whole.usage_metadata["total_tokens"] > 0
    assert whole.response_metadata["finish_reason"] == "stop"


@case
def a_whole_answer_has_its_usage(make: Any) -> None:
    answer = make(MODEL, max_tokens=50).invoke([("system", "Be brief."), ("user", "Say hello.")])
    assert answer.content
    assert 0 < answer.usage_metadata["output_tokens"] <= 50


@case
def tools_are_called_while_streaming(make: Any) -> None:
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return city

    whole: Any = None
    for chunk in make("sandbox/parallel-tool-calls").bind_tools([get_weather]).stream("Is it warm in Pune?"):
        whole = chunk if whole is None else whole + chunk
    assert [call["name"] for call in whole.tool_calls] == ["get_weather", "get_weather"]
    assert all("city" in call["args"] for call in whole.tool_calls)


@case
def a_failure_is_raised(make: Any) -> None:
    import openai

    try:
        make("nobody/nothing").invoke("Hi")
    except openai.NotFoundError:
        return
    raise AssertionError("it was not refused")


def main() -> None:
    from langchain_openai import ChatOpenAI

    asked = json.load(sys.stdin)

    def make(model: str, **options: Any) -> Any:
        return ChatOpenAI(
            model=model, base_url=f"{asked['url']}/v1", api_key=asked["keys"]["good"], max_retries=0, **options
        )

    major = version("langchain-openai").partition(".")[0]
    for name, run in CASES.items():
        try:
            run(make)
            trouble = ""
        except Exception:
            trouble = traceback.format_exc()
        print(json.dumps({"case": name, "trouble": trouble, "major": major}), flush=True)


if __name__ == "__main__":
    main()
