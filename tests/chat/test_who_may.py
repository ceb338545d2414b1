"""Who may do what with whose conversations: every route, every kind of principal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern

from accounts.models import User
from accounts.tokens import issue_access
from chat import sharing
from chat.api import urls, v1_urls
from chat.models import Conversation, Folder
from oneai.kit import clock
from tests.chat.people import Api, api_of, conversation, message
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db

MAPPED = {"message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hello"]}}}
# (method, path, body, what the owner gets). {id} is a conversation, and its message and its folder have the same id.
OWNED: list[tuple[str, str, Any, int]] = [
    ("GET", "/api/conversations/{id}", None, 200),
    ("PATCH", "/api/conversations/{id}", {"title": "x"}, 200),
    ("DELETE", "/api/conversations/{id}", None, 204),
    ("PATCH", "/api/conversations/{id}/title", {"title": "x"}, 200),
    ("POST", "/api/conversations/{id}/restore", None, 200),
    ("GET", "/api/conversations/{id}/share", None, 200),
    ("POST", "/api/conversations/{id}/share", {}, 200),
    ("DELETE", "/api/conversations/{id}/share", None, 204),
    ("GET", "/api/conversations/{id}/export?format=txt", None, 200),
    ("GET", "/api/folders/{id}", None, 200),
    ("PATCH", "/api/folders/{id}", {"name": "x"}, 200),
    ("DELETE", "/api/folders/{id}", None, 204),
    ("GET", "/api/conversations?folder={id}", None, 200),
    ("GET", "/api/conversations/{id}/messages", None, 200),
    ("GET", "/api/conversations/{id}/messages?tree=1", None, 200),
    ("GET", "/api/chat/history?conversation={id}", None, 200),
    ("PATCH", "/api/messages/{id}", {"content": "x"}, 201),
    ("DELETE", "/api/messages/{id}", None, 204),
    ("GET", "/api/messages/{id}/receipt", None, 404),  # no model wrote it; test_receipts has those that are answers
]
OTHERS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/api/conversations", None, 200, "conversations"),
    ("POST", "/api/conversations", {}, 201, "conversations"),
    ("POST", "/api/conversations/import", [{"mapping": {"x": MAPPED}}], 201, "conversations"),
    ("POST", "/api/conversations/bulk", {"ids": ["x"], "action": "pin"}, 200, "conversations"),
    ("GET", "/api/folders", None, 200, "conversations"),
    ("POST", "/api/folders", {"name": "x"}, 201, "conversations"),
    ("GET", "/api/chat/history", None, 200, "conversations"),
    ("GET", "/api/chat/models", None, 200, "models"),
    ("GET", "/v1/models", None, 200, "models"),
    ("GET", "/v1/models/cheap/small", None, 404, "models"),
]
# For people alone, by whatever they sign in; tests/architecture/test_route_matrix.py asks them as everybody.
BESIDE = ("/api/attachments", "/api/presets")
ALL = [(*row, "conversations") for row in OWNED] + OTHERS


def test_every_route_is_in_the_matrix() -> None:
    """A new route must be added here before it can be merged."""
    listed = {re.sub(r"\?.*", "", path) for _, path, *_ in ALL}
    for prefix, module in (("/api/", urls), ("/v1/", v1_urls)):
        for pattern in module.urlpatterns:
            assert isinstance(pattern, URLPattern)
            route = prefix + re.sub(r"<str:\w+>", "{id}", str(pattern.pattern))
            if not route.startswith(BESIDE):
                assert route.replace("<path:model_id>", "cheap/small") in listed


@pytest.fixture
def talk(alice: User) -> Conversation:
    made = conversation(alice, "Secret title")
    message(made, "Secret text", id=made.pk)
    sharing.share(made, {})
    Folder.objects.create(id=made.pk, user=alice, name="Secret folder")
    return made


def outcome(api: Api, method: str, path: str, body: Any) -> tuple[int, bytes]:
    response = api.send(method, path, body)
    return response.status_code, re.sub(rb'"request_id":\s*"[^"]*"', b"", response.content)


@pytest.mark.parametrize(("method", "path", "body", "status"), OWNED)
def test_the_owner_may_and_a_stranger_finds_nothing(
    talk: Conversation, as_alice: Api, as_bob: Api, method: str, path: str, body: Any, status: int
) -> None:
    before = Conversation.objects.values().get()
    foreign = outcome(as_bob, method, path.format(id=talk.pk), body)
    unknown = outcome(as_bob, method, path.format(id=clock.uuid7()), body)
    malformed = outcome(as_bob, method, path.format(id="not-an-id"), body)
    assert foreign == unknown == malformed
    assert foreign[0] == 404
    assert b"Secret" not in foreign[1]
    assert Conversation.objects.values().get() == before
    assert outcome(as_alice, method, path.format(id=talk.pk), body)[0] == status


@pytest.mark.parametrize("role", ["support", "finance", "owner"])
@pytest.mark.parametrize(("method", "path", "body", "status"), OWNED)
def test_staff_have_no_other_door(
    talk: Conversation, bob: User, method: str, path: str, body: Any, status: int, role: str
) -> None:
    bob.role = role
    bob.save()
    assert outcome(api_of(bob), method, path.format(id=talk.pk), body)[0] == 404


@pytest.mark.parametrize(("method", "path", "body", "status", "scope"), ALL)
def test_a_visitor_is_asked_to_sign_in(
    talk: Conversation, method: str, path: str, body: Any, status: int, scope: str
) -> None:
    response = Api().send(method, path.format(id=talk.pk), body)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    code = response.json()["error"]["code"]
    assert code == ("invalid_api_key" if path.startswith("/v1/") else "not_authenticated")


@pytest.mark.parametrize(("method", "path", "body", "status", "scope"), ALL)
def test_a_key_needs_the_scope_and_no_other(
    talk: Conversation,
    alice: User,
    models: UpstreamCatalogue,
    method: str,
    path: str,
    body: Any,
    status: int,
    scope: str,
) -> None:
    without = api_of(alice, *({"chat", "models", "usage", "conversations"} - {scope}))
    response = without.send(method, path.format(id=talk.pk), body)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "insufficient_scope"
    assert outcome(api_of(alice, scope), method, path.format(id=talk.pk), body)[0] in {status, 200}


def _wrong_key(alice: User) -> str:
    return "oneai_0000_wrong"


def _disabled(alice: User) -> str:
    token = issue_access(alice)[0]
    User.objects.filter(pk=alice.pk).update(is_active=False)
    return token


@pytest.mark.parametrize("credential", [_wrong_key, _disabled])
@pytest.mark.parametrize(("method", "path", "body", "status", "scope"), ALL)
def test_a_bad_credential_is_refused_everywhere(
    talk: Conversation,
    alice: User,
    method: str,
    path: str,
    body: Any,
    status: int,
    scope: str,
    credential: Callable[[User], str],
) -> None:
    assert outcome(Api(credential(alice)), method, path.format(id=talk.pk), body)[0] == 401


@pytest.mark.parametrize(
    "spelling",
    [
        lambda value: value.upper(),
        lambda value: value.replace("-", ""),
        lambda value: "{" + value + "}",
        lambda value: "urn:uuid:" + value,
        lambda value: value + "%00",
        lambda value: value + "/",
        lambda value: value[:-1],
    ],
)
def test_only_the_usual_spelling_of_an_id_is_read(
    talk: Conversation, as_alice: Api, as_bob: Api, spelling: Callable[[str], str]
) -> None:
    path = f"/api/conversations/{spelling(str(talk.pk))}"
    assert as_bob.get(path).status_code == 404
    assert as_alice.get(path).status_code == (200 if spelling(str(talk.pk)).lower() == str(talk.pk) else 404)


def test_a_session_needs_a_csrf_token_to_write(alice: User, talk: Conversation) -> None:
    browser = Api()
    browser.client.handler.enforce_csrf_checks = True
    browser.client.force_login(alice)
    assert browser.get(f"/api/conversations/{talk.pk}").status_code == 200
    response = browser.delete(f"/api/conversations/{talk.pk}")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "csrf_failed"
