"""Tools, their choice and the form of the answer in an OpenAI request, checked and written anew."""

from __future__ import annotations

from typing import Any, Final

from chat.openai_messages import invalid
from oneai.kit.errors import Refusal

MOST_TOOLS: Final = 128
FUNCTION: Final = ("name", "description", "parameters", "strict")
SCHEMA: Final = ("name", "description", "schema", "strict")
CHOICES: Final = ("none", "auto", "required")

Tools = list[dict[str, Any]]


def read(body: dict[str, Any]) -> dict[str, Any]:
    """``tools``, ``tool_choice`` and ``response_format`` as they go upstream; what was not asked for is missing."""
    tools = _tools(body.get("tools"), "tools")
    choice = body.get("tool_choice")
    if body.get("functions") is not None:
        if tools is not None:
            raise invalid("functions", "Send tools or functions, not both.")
        tools = _functions(body["functions"])
        choice = _old_choice(body.get("function_call"))
    found: dict[str, Any] = {}
    if tools:
        found["tools"] = tools
        if choice is not None:
            found |= _chosen(choice, tools)
    elif choice not in (None, "none", "auto"):
        raise invalid("tool_choice", "tool_choice needs tools.")
    if (form := _form(body.get("response_format"))) is not None:
        found["response_format"] = form
    return found


def _tools(value: Any, where: str) -> Tools | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_TOOLS:
        raise invalid(where, f"{where} must be a list of at most {MOST_TOOLS}.")
    return [_tool(tool, where) for tool in value]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    """A function that the caller runs itself; tools that a provider runs and bills are not offered."""
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid(where, "A tool must be of type function and have a name.")
    return {"type": "function", "function": {name: function[name] for name in FUNCTION if name in function}}


def _functions(value: Any) -> Tools | None:
    """The functions of the time before tools, as tools."""
    wrapped = [{"type": "function", "function": function} for function in value] if isinstance(value, list) else value
    return _tools(wrapped, "functions")


def _old_choice(value: Any) -> Any:
    if isinstance(value, dict):
        return {"type": "function", "function": value}
    if value not in (None, "none", "auto"):
        raise invalid("function_call", "function_call must be none, auto or the name of a function.")
    return value


def _chosen(choice: Any, tools: Tools) -> dict[str, Any]:
    """``tool_choice``, and the tools that it leaves: a list of allowed tools is not known to every provider."""
    if isinstance(choice, str) and choice in CHOICES:
        return {"tool_choice": choice}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function" and (name := _name(choice)) is not None:
        return {"tool_choice": {"type": "function", "function": {"name": name}}}
    allowed = choice.get("allowed_tools") if kind == "allowed_tools" else None
    if isinstance(allowed, dict) and allowed.get("mode") in ("auto", "required"):
        listed = allowed.get("tools")
        names = {_name(tool) for tool in listed} if isinstance(listed, list) else set()
        left = [tool for tool in tools if tool["function"]["name"] in names]
        if left:
            return {"tools": left, "tool_choice": allowed["mode"]}
    raise invalid("tool_choice", "tool_choice must be none, auto, required, or name one of the tools.")


def _name(tool: Any) -> str | None:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _form(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema":
        raise invalid("response_format", "response_format must be of type text, json_object or json_schema.")
    schema = value.get("json_schema")
    if not isinstance(schema, dict) or not isinstance(schema.get("name"), str):
        raise Refusal("missing_required_parameter", "A json_schema needs a name.", param="response_format")
    return {"type": kind, "json_schema": {name: schema[name] for name in SCHEMA if name in schema}}
