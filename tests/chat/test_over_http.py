"""Conversations and models at a running site, over real HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.servers.site import Newcomer, Site


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user()


def call(site: Site, key: str, method: str, path: str, body: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
    request = urllib.request.Request(
        site.url + path,
        data=body,
        method=method,
        headers={"Authorization": f"Bearer {key}"} | ({"Content-Type": "application/json"} if body else {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw, status, headers = answer.read(), answer.status, answer.headers
    except urllib.error.HTTPError as error:
        raw, status, headers = error.read(), error.code, error.headers
    return status, json.loads(raw) if raw else None, {name.lower(): value for name, value in headers.items()}


def test_a_conversation_is_made_read_renamed_deleted_and_restored(live_site: Site, user: Newcomer) -> None:
    status, made, headers = call(live_site, user.api_key, "POST", "/api/conversations", b'{"title": "One"}')
    assert status == 201
    assert headers["x-request-id"]
    path = f"/api/conversations/{made['id']}"
    assert call(live_site, user.api_key, "GET", path)[1] == made
    assert call(live_site, user.api_key, "PATCH", f"{path}/title", b'{"title": "Two"}')[1]["title"] == "Two"
    assert call(live_site, user.api_key, "DELETE", path)[:2] == (204, None)
    assert call(live_site, user.api_key, "GET", path)[0] == 404
    assert call(live_site, user.api_key, "POST", f"{path}/restore", b"{}")[0] == 200
    listed = call(live_site, user.api_key, "GET", "/api/conversations?q=two")[1]["results"]
    assert [row["id"] for row in listed] == [made["id"]]


def test_a_stranger_finds_nothing(live_site: Site, user: Newcomer) -> None:
    made = call(live_site, user.api_key, "POST", "/api/conversations", b"{}")[1]
    stranger = live_site.new_user().api_key
    foreign = call(live_site, stranger, "GET", f"/api/conversations/{made['id']}")
    unknown = call(live_site, stranger, "GET", "/api/conversations/01a204fa-0000-7000-8000-000000000000")
    for answer in (foreign, unknown):
        answer[1]["error"].pop("request_id")
    assert foreign[:2] == unknown[:2]
    assert foreign[0] == 404


def test_the_models_that_the_upstream_offers_are_listed(live_site: Site, user: Newcomer) -> None:
    status, body, _ = call(live_site, user.api_key, "GET", "/api/chat/models?q=gpt-4o-mini")
    assert status == 200
    mini = next(row for row in body["results"] if row["id"] == "openai/gpt-4o-mini")
    assert mini["pricing"] == {"prompt": "0.15", "completion": "0.6"}
    assert mini["allowed"] is True
    listed = call(live_site, user.api_key, "GET", "/v1/models")[1]
    assert {"id": "openai/gpt-4o-mini", "object": "model"}.items() <= {row["id"]: row for row in listed["data"]}[
        "openai/gpt-4o-mini"
    ].items()
    assert "openrouter/auto" not in {row["id"] for row in listed["data"]}  # its price is -1
    assert call(live_site, user.api_key, "GET", "/v1/models/openai/gpt-4o-mini")[1]["object"] == "model"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/conversations/nonsense", None, 404, "not_found"),
        ("GET", "/api/conversations/nonsense/nowhere", None, 404, "not_found"),
        ("PUT", "/api/conversations", b"{}", 405, "method_not_allowed"),
        ("POST", "/api/conversations", b"{", 400, "invalid_json"),
        ("POST", "/api/conversations", b'{"x": 1}', 400, "unknown_field"),
        ("GET", "/v1/models/nobody/nothing", None, 404, "model_not_found"),
        ("GET", "/v1/nowhere", None, 404, "not_found"),
    ],
)
def test_errors_have_the_same_body_everywhere(
    live_site: Site, user: Newcomer, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answered, refused, headers = call(live_site, user.api_key, method, path, body)
    assert (answered, refused["error"]["code"]) == (status, code)
    assert refused["error"]["request_id"] == headers["x-request-id"]


def test_the_openapi_document_is_served(live_site: Site, user: Newcomer) -> None:
    status, document, _ = call(live_site, user.api_key, "GET", "/api/schema")
    assert status == 200
    assert "/api/chat/stream" in document["paths"]
