"""Answers that a program reads: JSON for a schema, arguments of a tool call, citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 6


def instance(schema: Mapping[str, Any], topic: str, depth: int = 0) -> Any:
    """A value that fits the usual parts of a JSON schema; `topic` fills its strings."""
    if depth > MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    for key in ("anyOf", "oneOf", "allOf"):
        several = schema.get(key)
        if isinstance(several, list) and several and isinstance(several[0], Mapping):
            return instance(several[0], topic, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "object":
            fields = schema.get("properties")
            named = fields.items() if isinstance(fields, Mapping) else ()
            return {name: instance(one, topic, depth + 1) for name, one in named if isinstance(one, Mapping)}
        case "array":
            items = schema.get("items")
            number = max(1, int(schema.get("minItems", 2)))
            return [instance(items, topic, depth + 1) for _ in range(number)] if isinstance(items, Mapping) else []
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return float(schema.get("minimum", 1.5))
        case "boolean":
            return True
        case "null":
            return None
    return topic or "sandbox"


def arguments(tools: Sequence[Any], name: str, topic: str) -> Any:
    """Arguments for a call of this tool, by its declared parameters."""
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and function.get("name") == name:
            parameters = function.get("parameters")
            if isinstance(parameters, Mapping):
                return instance(parameters, topic[:60])
    return {"city": "Pune", "unit": "celsius"}


def citations(question: str) -> list[dict[str, Any]]:
    """Two citations as the web plugin gives them; the pages are examples."""
    topic = question.strip()[:60] or "the sandbox"
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": f"https://example.org/sandbox/{number}",
                "title": f"Example page {number} about {topic}",
                "content": "A sandbox does not search the web; this citation is an example.",
                "start_index": 0,
                "end_index": 0,
            },
        }
        for number in (1, 2)
    ]
