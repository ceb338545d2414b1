"""The OpenAPI document of everything below /api and /v1, the hot routes included.

Routes of REST framework describe themselves; the hot ones, which it never sees, are written down here,
from the constants that their parsers check by. Every operation answers errors with the same body.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from chat import answer_again, openai_messages, requests
from oneai.kit.errors import CODES

Schema = dict[str, Any]
EVENTS: Final = (
    "turn.started", "message.delta", "message.reasoning", "message.model", "message.completed", "message.failed",
    "conversation.updated", "turn.completed",
)  # fmt: skip
_SECURITY: Final[list[Schema]] = [{"session": []}, {"bearer": []}]


class Authentication(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How to show who asks: a browser's session, or a key or token as bearer."""

    target_class = "accounts.authentication.DRFAuthentication"
    name = ["session", "bearer"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[Schema]:
        from django.conf import settings

        return [
            {
                "type": "apiKey",
                "in": "cookie",
                "name": settings.SESSION_COOKIE_NAME,
                "description": "A browser's session; anything but reading also needs the X-CSRFToken header.",
            },
            {"type": "http", "scheme": "bearer", "description": "An API key (oneai_…) or an access token."},
        ]


def _nullable(kind: str, **more: Any) -> Schema:
    return {"type": kind, "nullable": True, **more}


def _object(properties: Schema, required: list[str] | None = None, **more: Any) -> Schema:
    body: Schema = {"type": "object", "properties": properties, **more}
    return body | ({"required": required} if required else {})


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _components() -> Schema:
    """The schemas of the hot routes and of errors."""
    identity = {"type": "string", "format": "uuid"}
    efforts = list(requests.EFFORTS)
    models = _nullable(
        "array",
        items={"type": "string", "maxLength": requests.LONGEST_MODEL},
        minItems=requests.FEWEST_MODELS,
        maxItems=requests.MOST_MODELS,
        uniqueItems=True,
        description="Instead of ``model``: each answers, side by side, in one stream.",
    )
    return {
        "Error": _object(
            {
                "error": _object(
                    {
                        "code": {"type": "string", "description": "One of: " + ", ".join(sorted(CODES)) + "."},
                        "message": {"type": "string", "description": "For people."},
                        "type": {"type": "string", "enum": sorted({code.type for code in CODES.values()})},
                        "param": _nullable("string", description="The field at fault."),
                        "request_id": {"type": "string"},
                        "details": _object({}, additionalProperties=True),
                    },
                    ["code", "message", "type", "param", "request_id"],
                )
            },
            ["error"],
        ),
        "ChatRequest": _object(
            {
                "conversation_id": _nullable("string", format="uuid", description="null starts a conversation."),
                "parent_message_id": _nullable("string", format="uuid"),
                "content": {"type": "string", "minLength": 1, "maxLength": requests.LONGEST_MESSAGE},
                "model": _nullable("string", maxLength=200),
                "models": models,
                "attachments": _nullable(
                    "array",
                    items=identity,
                    maxItems=requests.MOST_FILES,
                    uniqueItems=True,
                    description="Files of ``/api/attachments``.",
                ),
                "preset_id": _nullable(
                    "string", format="uuid", description="A preset: it says what the other fields leave out."
                ),
                "system": _nullable("string", maxLength=requests.LONGEST_SYSTEM),
                "temperature": _nullable("number", minimum=0, maximum=2),
                "max_tokens": _nullable("integer", minimum=1, maximum=requests.MOST_TOKENS),
                "reasoning_effort": {"type": "string", "nullable": True, "enum": [*efforts, None]},
                "web_search": _nullable("boolean", description="Not supported yet."),
                "temporary": _nullable("boolean", description="Erased once it is left; for a new conversation only."),
            },
            ["content"],
            additionalProperties=False,
        ),
        "StopRequest": _object({"message_id": _nullable("string", format="uuid")}, additionalProperties=False),
        "RegenerateRequest": _object(
            {
                "model": _nullable("string", maxLength=requests.LONGEST_MODEL),
                "models": models,
                "instruction": _nullable(
                    "string",
                    maxLength=answer_again.LONGEST_INSTRUCTION,
                    description="Goes with the question for this answer only.",
                ),
            },
            additionalProperties=False,
        ),
        "ContinueRequest": _object(
            {"model": _nullable("string", maxLength=requests.LONGEST_MODEL)}, additionalProperties=False
        ),
        "Quote": _object(
            {
                "max_tokens": {"type": "integer", "description": "Of all its answers together."},
                "max_cost_usd": {"type": "string"},
                "remaining_after": _nullable(
                    "integer", description="Tokens left of the tightest limit; null: no limit."
                ),
            },
            ["max_tokens", "max_cost_usd", "remaining_after"],
        ),
        "Stopping": _object({"status": {"type": "string", "enum": ["stopping"]}}, ["status"]),
        "ChatEvents": _object(
            {
                "event": {"type": "string", "enum": list(EVENTS)},
                "id": {"type": "string", "description": "Where to resume: the offsets after it, joined by commas."},
                "data": {"type": "string", "description": "One JSON object."},
            },
            description="Server-sent events, each of this shape.",
        ),
        "CompletionChunks": _object(
            {"data": {"type": "string", "description": "One JSON object, and [DONE] at the end."}},
            description="Server-sent events, each of this shape.",
        ),
        "CompletionRequest": _object(
            {
                "model": {"type": "string", "maxLength": 200},
                "messages": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": openai_messages.MOST_MESSAGES,
                    "items": _object(
                        {
                            "role": {"type": "string", "enum": list(openai_messages.ROLES)},
                            "content": {"nullable": True, "description": "A string or a list of parts."},
                        },
                        ["role"],
                        additionalProperties=True,
                    ),
                },
                "stream": _nullable("boolean"),
                "stream_options": _nullable("object", properties={"include_usage": {"type": "boolean"}}),
                "max_completion_tokens": _nullable("integer", minimum=1, maximum=requests.MOST_TOKENS),
                "max_tokens": _nullable("integer", minimum=1, maximum=requests.MOST_TOKENS),
                "temperature": _nullable("number", minimum=0, maximum=2),
                "top_p": _nullable("number", minimum=0, maximum=1),
                "tools": _nullable("array", items=_object({}, additionalProperties=True)),
            },
            ["model", "messages"],
            additionalProperties=True,
        ),
        "Completion": _object(
            {
                "id": {"type": "string"},
                "object": {"type": "string", "enum": ["chat.completion"]},
                "created": {"type": "integer"},
                "model": {"type": "string"},
                "choices": {"type": "array", "items": _object({}, additionalProperties=True)},
                "usage": _object({}, additionalProperties=True),
            },
            ["id", "object", "created", "model", "choices"],
            additionalProperties=True,
        ),
    }


def _operation(operation_id: str, tag: str, summary: str, responses: Schema, **more: Any) -> Schema:
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "security": _SECURITY,
        "responses": responses,
    } | more


def _events(summary: str) -> Schema:
    return {"description": summary, "content": {"text/event-stream": {"schema": _reference("ChatEvents")}}}


def _paths() -> Schema:
    """The hot routes."""
    turn = {"name": "turn_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    message = turn | {"name": "message_id"}
    idempotency = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "maxLength": 200},
        "description": "The same key within 24 hours attaches to the same turn; nothing is charged twice.",
    }
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The id of the last event that was read; only what came after it is sent.",
    }
    after = {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "As Last-Event-ID."}

    def body(name: str, *, required: bool = True) -> Schema:
        return {"required": required, "content": _json(_reference(name))}

    completion = {
        "description": "The answer, or with ``stream`` its chunks as server-sent events.",
        "content": _json(_reference("Completion")) | {"text/event-stream": {"schema": _reference("CompletionChunks")}},
    }
    signature = {
        "name": "X-Razorpay-Signature",
        "in": "header",
        "required": True,
        "schema": {"type": "string"},
        "description": "HMAC-SHA256 of the raw body under the webhook secret, in hexadecimal.",
    }
    event_id = {
        "name": "X-Razorpay-Event-Id",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The same id again is acknowledged and changes nothing.",
    }

    def webhook(operation_id: str) -> Schema:
        kept = _object({"status": {"type": "string", "enum": ["ok"]}}, ["status"])
        return _operation(
            operation_id, "webhooks", "An event of Razorpay: kept before it is acknowledged, acted on later",
            {"200": {"description": "It is kept.", "content": _json(kept)}},
            parameters=[signature, event_id], security=[],
            requestBody={"required": True, "content": _json(_object({}, additionalProperties=True))},
        )  # fmt: skip

    return {
        "/api/webhooks/razorpay": {"post": webhook("webhooks_razorpay")},
        "/api/subscription/webhook": {"post": webhook("subscription_webhook")},
        "/api/chat/stream": {
            "post": _operation(
                "chat_stream", "chat", "Ask, and read the answer as it is written",
                {"200": _events("The events of the turn.")},
                parameters=[idempotency], requestBody=body("ChatRequest"),
            )
        },
        "/api/chat/stream/{turn_id}": {
            "get": _operation(
                "chat_resume", "chat", "Go on reading a turn",
                {"200": _events("The missing events, then the live ones.")}, parameters=[turn, last, after],
            )
        },
        "/api/chat/stream/{turn_id}/stop": {
            "post": _operation(
                "chat_stop", "chat", "Stop a turn; what is written is kept",
                {"202": {"description": "It is stopping.", "content": _json(_reference("Stopping"))}},
                parameters=[turn], requestBody=body("StopRequest", required=False),
            )
        },
        "/api/chat/quote": {
            "post": _operation(
                "chat_quote", "chat", "What a send may use and cost at most; nothing is held",
                {"200": {"description": "As it stands now.", "content": _json(_reference("Quote"))}},
                requestBody=body("ChatRequest"),
            )
        },
        "/api/messages/{message_id}/regenerate": {
            "post": _operation(
                "messages_regenerate", "chat", "Another answer beside this one, or to this question",
                {"200": _events("The events of the turn.")},
                parameters=[message, idempotency], requestBody=body("RegenerateRequest", required=False),
            )
        },
        "/api/messages/{message_id}/continue": {
            "post": _operation(
                "messages_continue", "chat", "The rest of an answer that was cut, as a new one that begins with it",
                {"200": _events("The events of the turn, the older text first.")},
                parameters=[message, idempotency], requestBody=body("ContinueRequest", required=False),
            )
        },
        "/v1/chat/completions": {
            "post": _operation(
                "v1_chat_completions", "v1", "Ask in OpenAI's shape", {"200": completion},
                parameters=[idempotency], requestBody=body("CompletionRequest"), security=[{"bearer": []}],
            )
        },
    }  # fmt: skip


def add_hot_routes(result: Schema, generator: object, request: object, public: bool) -> Schema:
    """Complete the generated document: the hot routes, and the error body for every operation."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_components())
    components["responses"] = {
        "Error": {"description": "A refusal or a failure.", "content": _json(_reference("Error"))}
    }
    result["paths"] = dict(sorted((result.get("paths", {}) | _paths()).items()))
    for route, operations in result["paths"].items():
        for operation in operations.values():
            if operation.get("security"):  # either credential will do, and on /v1 a session will not
                operation["security"] = _SECURITY[1:] if route.startswith("/v1/") else _SECURITY
            for status in ("4XX", "5XX"):
                operation["responses"][status] = {"$ref": "#/components/responses/Error"}
            for parameter in operation.get("parameters", ()):
                if _may_be_empty(parameter):
                    parameter["allowEmptyValue"] = True
    return result


def _may_be_empty(parameter: Schema) -> bool:
    """Whether a parameter that says nothing counts as left out: a form sends those that were not filled in."""
    shape = parameter["schema"]
    chooses = shape.get("type") == "boolean" or shape.get("format") in {"date", "uuid"} or "enum" in shape
    return bool(parameter["in"] == "query" and not parameter.get("required") and chooses)


@cache
def document() -> bytes:
    """The OpenAPI document as JSON, made once in a process."""
    generator: Any = SchemaGenerator
    return orjson.dumps(generator().get_schema(request=None, public=True), default=str)


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, made once in a process."""
    return HttpResponse(document(), content_type="application/json")


urlpatterns = [path("api/schema", schema)]
