"""The OpenAPI document holds every route that there is, and says how each of them refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from chat import openai_read, requests
from oneai.hot_routes import ROUTES
from oneai.kit.errors import CODES
from tests.chat.people import Api, api_of, person


@pytest.fixture(scope="module")
def document() -> Any:
    response = Client().get("/api/schema")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    return response.json()


def routes(resolver: Any, prefix: str = "/") -> list[str]:
    """Every path below /api and /v1 of the URL conf, its parameters in braces."""
    found = []
    for pattern in resolver.url_patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            found += routes(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith(("/api/", "/v1/")):
            found.append(path)
    return found


def test_every_route_is_in_it(document: Any) -> None:
    in_the_conf = set(routes(get_resolver())) - {"/api/schema", "/api/reference"}
    assert in_the_conf
    assert in_the_conf - set(document["paths"]) == set()


def test_every_hot_route_is_in_it(document: Any) -> None:
    for route in ROUTES:
        assert route.method.lower() in document["paths"][route.path]


def test_every_operation_says_how_it_refuses(document: Any) -> None:
    names = []
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["responses"]["4XX"] == operation["responses"]["5XX"]
            assert any(status.startswith("2") for status in operation["responses"])
            names.append(operation["operationId"])
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(document: Any) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["$ref"]] if "$ref" in value else [r for inner in value.values() for r in references(inner)]
        return [r for inner in value for r in references(inner)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_the_request_bodies_of_the_hot_routes_are_those_that_are_read(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["ChatRequest"]["properties"]) == requests.FIELDS
    assert set(schemas["CompletionRequest"]["properties"]) > {"model", "messages"}
    body = {"model": "a/b", "messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 5, "top_p": 1}
    assert openai_read.read(body).max_tokens == 5


def test_every_code_is_in_it(document: Any) -> None:
    text = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["description"]
    assert all(code in text for code in CODES)


@pytest.mark.django_db
def test_errors_look_as_it_says(document: Any) -> None:
    shape = document["components"]["schemas"]["Error"]["properties"]["error"]
    key = api_of(person("carol"))
    for response in (
        Api().get("/api/conversations"),
        key.get("/api/conversations/x"),
        key.post("/api/conversations", {"x": 1}),
        key.send("PUT", "/api/conversations"),
        key.get("/api/nowhere"),
        key.client.post("/api/conversations", {"title": "a form"}, headers=key.headers),
    ):
        error = response.json()["error"]
        assert set(shape["required"]) <= set(error) <= set(shape["properties"])
        assert error["code"] in CODES
        assert error["type"] in shape["properties"]["type"]["enum"]


def test_a_session_is_no_credential_on_v1(document: Any) -> None:
    assert document["paths"]["/v1/models"]["get"]["security"] == [{"bearer": []}]
    assert document["paths"]["/api/conversations"]["get"]["security"] == [{"session": []}, {"bearer": []}]


@pytest.mark.django_db
def test_the_page_of_the_document_has_every_operation_and_its_fields(document: Any) -> None:
    page = Client().get("/api/reference").content.decode()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in page
    assert "<code>content</code>" in page and "<code>Idempotency-Key</code>" in page
