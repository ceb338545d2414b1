"""The page /api/reference: the OpenAPI document as people read it. Drawn by the server, for pages without a script."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from oneai import api

METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body or an answer, in words."""

    name: str
    kind: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``answers`` are (status, what it means, the fields of its body)."""

    id: str
    method: str
    path: str
    text: str
    parameters: list[Field]
    body: list[Field]
    answers: list[tuple[str, str, list[Field]]]


class _Reader:
    """Reads a document; follows its references one level deep, which is what fits on a page."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def _at(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            found: Any = self._document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    def kind(self, schema: dict[str, Any]) -> str:
        """What a value is: its type, format and choices, or the name of the schema that it has."""
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            inner = self._at(schema)
            return " | ".join(map(str, inner["enum"])) if "enum" in inner else name
        for word in ("allOf", "oneOf", "anyOf"):
            if word in schema:
                return " or ".join(dict.fromkeys(self.kind(each) for each in schema[word]))
        if "enum" in schema:
            return " | ".join("null" if each is None else str(each) for each in schema["enum"])
        if schema.get("type") == "array":
            return f"list of {self.kind(schema.get('items', {}))}"
        return str(schema.get("format") or schema.get("type") or "anything")

    def fields(self, content: dict[str, Any]) -> list[Field]:
        """The fields of the first kind of content; none of what is no object."""
        first: dict[str, Any] = next(iter(content.values()), {})
        schema = self._at(first.get("schema", {}))
        wanted = schema.get("required", [])
        return [
            Field(name, self.kind(each), name in wanted, str(each.get("description", "")))
            for name, each in schema.get("properties", {}).items()
        ]

    def operation(self, path: str, method: str, found: dict[str, Any]) -> Operation:
        """One operation in words."""
        return Operation(
            id=found["operationId"],
            method=method.upper(),
            path=path,
            text=str(found.get("description") or found.get("summary") or ""),
            parameters=[
                Field(
                    each["name"], self.kind(each.get("schema", {})), each.get("required", False),
                    str(each.get("description", "")),
                )
                for each in found.get("parameters", [])
            ],
            body=self.fields(found.get("requestBody", {}).get("content", {})),
            answers=[
                (status, str(each.get("description", "")), self.fields(each.get("content", {})))
                for status, each in found["responses"].items()
                if status[0] == "2"
            ],
        )  # fmt: skip


@cache
def _groups() -> list[tuple[str, list[Operation]]]:
    document = orjson.loads(api.document())
    reader = _Reader(document)
    groups: dict[str, list[Operation]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                tag = (operations[method].get("tags") or ["api"])[0]
                groups.setdefault(tag, []).append(reader.operation(path, method, operations[method]))
    return sorted(groups.items())


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every operation by its group, read once in a process."""
    return render(request, "reference.html", {"groups": _groups()})
