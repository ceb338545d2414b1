"""OpenAI's chat completion request, checked; what we do not know is ignored, as its clients expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from chat import requests
from oneai.kit.errors import Refusal

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
MOST_MESSAGES: Final = 2000
IMAGE_TYPES: Final = ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")
DETAILS: Final = ("auto", "low", "high")
MOST_IMAGES: Final = 20
MOST_TOOLS: Final = 128
LONGEST_IMAGE: Final = 5 * 1024 * 1024 * 4 // 3 + 64


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A checked request. ``max_tokens`` is the one cap that all its spellings were folded into."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool
    max_tokens: int | None
    store: bool
    params: dict[str, Any] = field(default_factory=dict)


def _invalid(param: str, message: str) -> Refusal:
    return Refusal("invalid_value", message, param=param)


def _part(part: Any, where: str) -> dict[str, Any]:
    """The part with the fields that we know and nothing else: what is unknown may cost what is not held."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise _invalid(where, "A text part needs its text.")
        return {"type": "text", "text": part["text"]}
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else None
        if not isinstance(url, str) or not url.startswith(IMAGE_TYPES) or len(url) > LONGEST_IMAGE:
            # No address is ever fetched for a caller: not by us, and not by a provider on our account.
            raise _invalid(where, "An image must be a data: URL of a PNG, JPEG, GIF or WebP of at most 5 MiB.")
        detail = image.get("detail") if isinstance(image, dict) else None
        return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail in DETAILS else {})}
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"]}
    raise _invalid(where, "Content parts may be of type text or image_url.")


def _tool(tool: Any) -> dict[str, Any]:
    """A function that the caller runs itself; tools that a provider runs and bills are not offered."""
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _invalid("tools", "A tool must be of type function and have a name.")
    known = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: function[name] for name in known if name in function}}


def images(messages: list[dict[str, Any]]) -> int:
    """How many images the messages hold."""
    return sum(
        part["type"] == "image_url"
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
    )


def _message(message: Any, index: int) -> dict[str, Any]:
    where = f"messages.{index}"
    if not isinstance(message, dict):
        raise _invalid(where, "A message must be an object.")
    role = message.get("role")
    if role not in ROLES:
        raise _invalid(f"{where}.role", f"role must be one of {', '.join(ROLES)}.")
    content = message.get("content")
    if isinstance(content, list):
        content = [_part(part, f"{where}.content") for part in content]
    elif content is not None and not isinstance(content, str):
        raise _invalid(f"{where}.content", "content must be a string, a list of parts or null.")
    if content is None and role not in {"assistant", "function"}:
        raise Refusal("missing_required_parameter", "content is required.", param=f"{where}.content")
    kept = {"role": role, "content": content}
    for name in ("name", "tool_call_id", "tool_calls", "refusal"):
        if message.get(name) is not None:
            kept[name] = message[name]
    return kept


def read(body: dict[str, Any]) -> CompletionRequest:
    """The request in ``body``; a Refusal names the first field at fault."""
    model = requests.text(body, "model", 200)
    if not model:
        raise Refusal("missing_required_parameter", "model is required.", param="model")
    messages = body.get("messages")
    if messages is None:
        raise Refusal("missing_required_parameter", "messages is required.", param="messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_MESSAGES:
        raise _invalid("messages", f"messages must be a list of 1 to {MOST_MESSAGES:,} messages.")
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            raise Refusal("unsupported_parameter", f"{name} must be 1.", param=name)
    if requests.yes_no(body, "store"):
        raise Refusal("unsupported_parameter", "store is not supported yet.", param="store")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise _invalid("stream_options", "stream_options must be an object.")
    asked = requests.whole(body, "max_completion_tokens", 1, requests.MOST_TOKENS)
    older = requests.whole(body, "max_tokens", 1, requests.MOST_TOKENS)
    read_messages = [_message(message, index) for index, message in enumerate(messages)]
    if images(read_messages) > MOST_IMAGES:
        raise _invalid("messages", f"There may be at most {MOST_IMAGES} images.")
    return CompletionRequest(
        model=model,
        messages=read_messages,
        stream=requests.yes_no(body, "stream"),
        include_usage=bool((options or {}).get("include_usage")),
        max_tokens=asked if asked is not None else older,
        store=False,
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
    }
    kinds: dict[str, type | tuple[type, ...]] = {
        "stop": (str, list),
        "logit_bias": dict,
        "tools": list,
        "tool_choice": (str, dict),
        "parallel_tool_calls": bool,
        "response_format": dict,
        "verbosity": str,
    }
    for name, kind in kinds.items():
        value = body.get(name)
        if value is not None and not isinstance(value, kind):
            raise _invalid(name, f"{name} has the wrong type.")
        params[name] = value
    if params["tools"] is not None:
        if len(params["tools"]) > MOST_TOOLS:
            raise _invalid("tools", f"There may be at most {MOST_TOOLS} tools.")
        params["tools"] = [_tool(tool) for tool in params["tools"]]
    return {name: value for name, value in params.items() if value is not None}
