"""How REST framework answers here: one error body, JSON by orjson, cursor lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from oneai.kit.errors import Refusal, refusal_for_status
from oneai.kit.gate import current_request_id
from oneai.kit.jsonbody import read_json


class JSONBody(BaseParser):
    """Parses application/json; an empty body is an empty object."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read()
        return read_json(body) if body else {}


class JSON(JSONRenderer):
    """Renders with orjson."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str)


class CursorList(CursorPagination):
    """Lists as ``{"results", "next", "previous"}``, by cursor; ``?limit=`` up to 100."""

    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering: Any = "-id"

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }


def _first_problem(detail: Any, path: str = "") -> tuple[str, str]:
    """The first message of a validation error and the field it is about."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            inner = path if key == "non_field_errors" else f"{path}.{key}" if path else str(key)
            return _first_problem(value, inner)
    if isinstance(detail, list):
        for value in detail:
            return _first_problem(value, path)
    return path, str(detail)


def as_refusal(error: BaseException) -> Refusal | None:
    """The refusal that an exception of the framework stands for; None when it is not an expected one."""
    match error:
        case Refusal():
            return error
        case Http404():
            return Refusal("not_found")
        case PermissionDenied():
            return Refusal("permission_denied")
        case exceptions.ValidationError():
            param, message = _first_problem(error.detail)
            code = "invalid_value" if param else "invalid_request"
            return Refusal(code, message, param=param or None)
        case exceptions.Throttled():
            return Refusal("rate_limited", retry_after=int(getattr(error, "wait", None) or 1))
        case exceptions.ParseError():
            return Refusal("invalid_json")
        case exceptions.APIException():
            return refusal_for_status(error.status_code)
        case OperationalError() | InterfaceError():
            return Refusal("unavailable", retry_after=2)
        case DatabaseError():
            return None
    return None


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every expected error as the body of the contract; others go to the 500 of the gate."""
    refusal = as_refusal(error)
    if refusal is None:
        return None
    openai = str(context["request"].path).startswith("/v1/")
    response = Response(refusal.body(current_request_id(), openai=openai), status=refusal.status)
    for name, value in refusal.answer_headers(openai=openai).items():
        response[name] = value
    return response
