"""The messages of an OpenAI request, checked and written anew with the fields that we know.

What is unknown is left out: it may cost what nobody has reserved.
"""

from __future__ import annotations

from typing import Any, Final

from oneai.kit.errors import Refusal

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
MOST_MESSAGES: Final = 2000
IMAGE_TYPES: Final = ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")
DETAILS: Final = ("auto", "low", "high")
MOST_IMAGES: Final = 20
LONGEST_IMAGE: Final = 5 * 1024 * 1024 * 4 // 3 + 64
MOST_CALLS: Final = 128

Message = dict[str, Any]


def invalid(param: str, message: str) -> Refusal:
    """The refusal of a field's value."""
    return Refusal("invalid_value", message, param=param)


def read(value: Any) -> list[Message]:
    """The messages of a request; a Refusal names the first field at fault.

    ``developer`` goes on as ``system`` and the old ``function`` messages as tool calls and their
    answers, which every provider knows.
    """
    if value is None:
        raise Refusal("missing_required_parameter", "messages is required.", param="messages")
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_MESSAGES:
        raise invalid("messages", f"messages must be a list of 1 to {MOST_MESSAGES:,} messages.")
    messages = [_message(message, f"messages.{index}") for index, message in enumerate(value)]
    _connect_functions(messages)
    if images(messages) > MOST_IMAGES:
        raise invalid("messages", f"There may be at most {MOST_IMAGES} images.")
    return messages


def images(messages: list[Message]) -> int:
    """How many images the messages hold."""
    return sum(
        part["type"] == "image_url"
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
    )


def text_of(message: Message) -> str:
    """The text of a message, its parts joined; images are left out."""
    content = message["content"]
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise invalid(where, "A message must be an object.")
    role = message.get("role")
    if role not in ROLES:
        raise invalid(f"{where}.role", f"role must be one of {', '.join(ROLES)}.")
    content = message.get("content")
    if isinstance(content, list):
        content = [_part(part, f"{where}.content") for part in content]
    elif content is not None and not isinstance(content, str):
        raise invalid(f"{where}.content", "content must be a string, a list of parts or null.")
    kept: Message = {"role": "system" if role == "developer" else role, "content": content}
    if (name := _string(message, "name", where)) is not None:
        kept["name"] = name
    if role == "assistant":
        if (refusal := _string(message, "refusal", where)) is not None:
            kept["refusal"] = refusal
        if message.get("tool_calls") is not None:
            kept["tool_calls"] = _calls(message["tool_calls"], f"{where}.tool_calls")
        elif message.get("function_call") is not None:
            kept["function_call"] = _called(message["function_call"], f"{where}.function_call")
    elif role == "tool":
        if not (identity := _string(message, "tool_call_id", where)):
            raise Refusal("missing_required_parameter", "tool_call_id is required.", param=f"{where}.tool_call_id")
        kept["tool_call_id"] = identity
    elif role == "function" and not kept.get("name"):
        raise Refusal("missing_required_parameter", "name is required.", param=f"{where}.name")
    if content is None and role not in {"assistant", "function"}:
        raise Refusal("missing_required_parameter", "content is required.", param=f"{where}.content")
    return kept


def _string(source: Message, name: str, where: str) -> str | None:
    value = source.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{where}.{name}", f"{name} must be a string.")
    return value


def _part(part: Any, where: str) -> Message:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise invalid(where, "A text part needs its text.")
        return {"type": "text", "text": part["text"]}
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else None
        if not isinstance(url, str) or not url.startswith(IMAGE_TYPES) or len(url) > LONGEST_IMAGE:
            # No address is ever fetched for a caller: not by us, and not by a provider on our account.
            raise invalid(where, "An image must be a data: URL of a PNG, JPEG, GIF or WebP of at most 5 MiB.")
        detail = image.get("detail") if isinstance(image, dict) else None
        return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail in DETAILS else {})}
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"]}
    raise invalid(where, "Content parts may be of type text or image_url.")


def _calls(value: Any, where: str) -> list[Message]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_CALLS:
        raise invalid(where, f"tool_calls must be a list of 1 to {MOST_CALLS} calls.")
    calls = []
    for call in value:
        identity = call.get("id") if isinstance(call, dict) else None
        if not isinstance(identity, str) or call.get("type", "function") != "function":
            raise invalid(where, "A tool call needs an id, and must be of type function.")
        calls.append({"id": identity, "type": "function", "function": _called(call.get("function"), where)})
    return calls


def _called(value: Any, where: str) -> Message:
    name, arguments = (value.get("name"), value.get("arguments", "")) if isinstance(value, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise invalid(where, "A call needs the name of its function, and its arguments as a string.")
    return {"name": name, "arguments": arguments}


def _connect_functions(messages: list[Message]) -> None:
    """Write calls and answers of the time before tools as tools: an id ties an answer to its call."""
    last = ""
    for index, message in enumerate(messages):
        if (called := message.pop("function_call", None)) is not None:
            last = f"call_{index}"
            message["tool_calls"] = [{"id": last, "type": "function", "function": called}]
        elif message["role"] == "function":
            if not last:
                raise invalid(f"messages.{index}.role", "A function message answers an earlier function_call.")
            message |= {"role": "tool", "tool_call_id": last, "content": message["content"] or ""}
