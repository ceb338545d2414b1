"""OpenAI's chat completion request, checked; what we do not know is ignored, as its clients expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from chat import openai_messages, openai_tools, requests
from chat.openai_messages import invalid
from oneai.kit.errors import Refusal

MOST_STOPS: Final = 4
MOST_BIASES: Final = 1024

# What happens to each field that OpenAI documents: the table of docs/openai.md. Any other field is ignored.
FIELDS: Final[dict[str, str]] = {
    "model": "used",
    "messages": "used",
    "stream": "used",
    "stream_options": "used",
    "max_completion_tokens": "used",
    "max_tokens": "used",
    "n": "used",
    "store": "used",
    "modalities": "used",
    "functions": "used",
    "function_call": "used",
    "tools": "passed on",
    "tool_choice": "passed on",
    "parallel_tool_calls": "passed on",
    "response_format": "passed on",
    "temperature": "passed on",
    "top_p": "passed on",
    "frequency_penalty": "passed on",
    "presence_penalty": "passed on",
    "seed": "passed on",
    "stop": "passed on",
    "logit_bias": "passed on",
    "reasoning_effort": "passed on",
    "verbosity": "passed on",
    "logprobs": "ignored",
    "top_logprobs": "ignored",
    "user": "ignored",
    "safety_identifier": "ignored",
    "metadata": "ignored",
    "prompt_cache_key": "ignored",
    "prompt_cache_retention": "ignored",
    "service_tier": "ignored",
    "prediction": "ignored",
    "audio": "ignored",
    "web_search_options": "ignored",
}


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A checked request. ``max_tokens`` is the one cap that all its spellings were folded into.

    ``functions`` says that the caller is of the time before tools, and is answered in kind.
    """

    model: str
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool
    max_tokens: int | None
    store: bool
    functions: bool
    params: dict[str, Any] = field(default_factory=dict)


def read(body: dict[str, Any]) -> CompletionRequest:
    """The request in ``body``; a Refusal names the first field at fault."""
    model = requests.text(body, "model", 200)
    if not model:
        raise Refusal("missing_required_parameter", "model is required.", param="model")
    messages = openai_messages.read(body.get("messages"))
    if body.get("n") not in (None, 1):
        raise Refusal("unsupported_parameter", "n must be 1.", param="n")
    if body.get("modalities") not in (None, ["text"]):
        raise Refusal("unsupported_parameter", 'modalities must be ["text"].', param="modalities")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise invalid("stream_options", "stream_options must be an object.")
    asked = requests.whole(body, "max_completion_tokens", 1, requests.MOST_TOKENS)
    older = requests.whole(body, "max_tokens", 1, requests.MOST_TOKENS)
    return CompletionRequest(
        model=model,
        messages=messages,
        stream=requests.yes_no(body, "stream"),
        include_usage=bool((options or {}).get("include_usage")),
        max_tokens=asked if asked is not None else older,
        store=requests.yes_no(body, "store"),
        functions=body.get("functions") is not None,
        params=_params(body),
    )


def _params(body: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {
        "temperature": requests.decimal(body, "temperature", 0, 2),
        "top_p": requests.decimal(body, "top_p", 0, 1),
        "frequency_penalty": requests.decimal(body, "frequency_penalty", -2, 2),
        "presence_penalty": requests.decimal(body, "presence_penalty", -2, 2),
        "seed": requests.whole(body, "seed", -(2**63), 2**63 - 1),
        "reasoning_effort": requests.choice(body, "reasoning_effort", requests.EFFORTS),
        "verbosity": requests.choice(body, "verbosity", ("low", "medium", "high")),
        "stop": _stop(body.get("stop")),
        "logit_bias": _biases(body.get("logit_bias")),
    }
    params |= openai_tools.read(body)
    if body.get("parallel_tool_calls") is not None:
        several = requests.yes_no(body, "parallel_tool_calls")
        if "tools" in params:  # without them some providers refuse it
            params["parallel_tool_calls"] = several
    return {name: value for name, value in params.items() if value is not None}


def _stop(value: Any) -> str | list[str] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) <= MOST_STOPS and all(isinstance(one, str) for one in value):
        return value or None
    raise invalid("stop", f"stop must be a string or a list of at most {MOST_STOPS}.")


def _biases(value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > MOST_BIASES:
        raise invalid("logit_bias", f"logit_bias must be an object of at most {MOST_BIASES:,} tokens.")
    if any(isinstance(bias, bool) or not isinstance(bias, int | float) or abs(bias) > 100 for bias in value.values()):
        raise invalid("logit_bias", "A bias must be a number from -100 to 100.")
    return value or None
