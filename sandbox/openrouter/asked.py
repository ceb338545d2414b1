"""A chat request, checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sandbox.tokens import prompt_tokens

from . import pictures
from .refusals import Refused, invalid

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


@dataclass
class Asked:
    """What a request asks for. `cap` is the lowest of the caps it states, in output tokens.

    `pictures` are described in words; `texts_before` counts the characters of what stands before the question in its
    own message, as the text of files does.
    """

    body: dict[str, Any]
    models: list[str]
    messages: list[dict[str, Any]]
    stream: bool
    cap: int | None
    tools: list[Any] = field(default_factory=list)
    question: str = ""
    system: str = ""
    turn: int = 1
    earlier: str = ""
    pictures: list[str] = field(default_factory=list)
    texts_before: int = 0
    tool_result: str | None = None

    @cached_property
    def prompt_tokens(self) -> int:
        """Tokens of everything that is sent to the model."""
        return prompt_tokens(self.messages, self.tools)

    @property
    def images(self) -> int:
        """How many pictures there are."""
        return len(self.pictures)

    @property
    def tool_names(self) -> list[str]:
        """Names of the functions offered."""
        found = (tool.get("function", {}).get("name") for tool in self.tools if isinstance(tool, Mapping))
        return [name for name in found if isinstance(name, str)]

    @property
    def must_call(self) -> bool:
        """Whether the request insists on a tool call."""
        choice = self.body.get("tool_choice")
        return bool(self.tools) and (choice == "required" or isinstance(choice, Mapping))

    @property
    def web_search(self) -> bool:
        """Whether the request switches web search on."""
        plugins = self.body.get("plugins")
        asked = isinstance(plugins, list) and any(
            isinstance(one, Mapping) and one.get("id") == "web" for one in plugins
        )
        return asked or self.models[0].endswith(":online")

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that the answer must follow; an empty one for `json_object`."""
        wanted = self.body.get("response_format")
        if not isinstance(wanted, Mapping):
            return None
        if wanted.get("type") == "json_schema":
            schema = (wanted.get("json_schema") or {}).get("schema")
            return schema if isinstance(schema, Mapping) else {}
        return {} if wanted.get("type") == "json_object" else None

    def _reasoning(self, key: str) -> object:
        wanted = self.body.get("reasoning")
        return wanted.get(key) if isinstance(wanted, Mapping) else None

    @property
    def no_reasoning(self) -> bool:
        """Whether reasoning is switched off."""
        effort = self._reasoning("effort") or self.body.get("reasoning_effort")
        return effort == "none" or self._reasoning("enabled") is False

    @property
    def hide_reasoning(self) -> bool:
        """Whether reasoning is billed but not shown."""
        return self._reasoning("exclude") is True or self.body.get("include_reasoning") is False


def read(body: object) -> Asked:
    """Reads a request body. Raises Refused (400) as OpenRouter refuses nonsense."""
    if not isinstance(body, dict):
        raise invalid("Invalid JSON: expected an object")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid('Input required: specify "prompt" or "messages"')
    for number, message in enumerate(messages):
        _check(number, message)
    listed = body.get("models") or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise invalid("models: expected a list of strings")
    first = body.get("model")
    if first is not None and not isinstance(first, str):
        raise invalid("model: expected a string")
    models = list(dict.fromkeys([*([first] if first else []), *listed])) or ["openai/gpt-4o-mini"]
    asked = Asked(
        body=body,
        models=models,
        messages=messages,
        stream=body.get("stream") is True,
        cap=_cap(body),
        tools=_list(body.get("tools")),
    )
    _summarise(asked)
    return asked


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _check(number: int, message: object) -> None:
    where = f"messages.{number}"
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise invalid(f"{where}.role: expected one of {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if message["role"] == "tool" and not message.get("tool_call_id"):
        raise invalid(f"{where}.tool_call_id: required")
    if content is None and message["role"] == "assistant":
        return
    if not isinstance(content, str | list):
        raise invalid(f"{where}.content: expected a string or a list of parts")
    if isinstance(content, list) and not all(isinstance(part, dict) and "type" in part for part in content):
        raise invalid(f"{where}.content: every part needs a type")


def _cap(body: Mapping[str, Any]) -> int | None:
    caps = []
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(f"{name}: expected a positive integer")
        caps.append(value)
    return min(caps) if caps else None


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, its text parts joined."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part.get("text"), str))
    return ""


def _said(message: Mapping[str, Any]) -> tuple[str, int]:
    """What somebody says, which is the last text of a message, and how many characters stand before it."""
    content = message.get("content")
    if not isinstance(content, list):
        return text_of(message), 0
    texts = [str(part["text"]) for part in content if isinstance(part.get("text"), str)]
    return (texts[-1], sum(map(len, texts[:-1]))) if texts else ("", 0)


def _summarise(asked: Asked) -> None:
    from_users = [_said(one) for one in asked.messages if one["role"] == "user"]
    asked.turn = max(1, len(from_users))
    asked.question, asked.texts_before = from_users[-1] if from_users else ("", 0)
    asked.earlier = from_users[0][0] if len(from_users) > 1 else ""
    asked.system = "\n".join(text_of(one) for one in asked.messages if one["role"] in ("system", "developer"))
    last = asked.messages[-1]
    if last["role"] == "tool":
        asked.tool_result = text_of(last)
    for message in asked.messages:
        content = message.get("content")
        if isinstance(content, list):
            asked.pictures += [pictures.described(part) for part in content if part.get("type") == "image_url"]


__all__ = ["Asked", "Refused", "read", "text_of"]
