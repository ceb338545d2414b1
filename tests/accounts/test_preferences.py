"""What somebody prefers: over the API and on the pages of the settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import apikeys, sign_ins
from accounts.models import User
from tests.accounts.people import make, sign_in
from tests.chat.people import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make()


@pytest.fixture
def api(user: User) -> Api:
    return Api(sign_ins.open_program(user, user_agent="curl/8", address="192.0.2.1").access_token)


def error(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["param"]


# Preferences -------------------------------------------------------------------------------------
def test_what_is_changed_stays_and_what_is_left_out_too(api: Api) -> None:
    assert api.get("/api/user/preferences").json() == {
        "theme": "auto",
        "language": "en",
        "default_model": "",
        "system": "",
        "temperature": None,
        "max_tokens": None,
        "reasoning_effort": None,
        "notifications": {"quota": True, "renewals": True},
    }
    api.patch("/api/user/preferences", {"theme": "dark", "temperature": 0.5, "language": "hi"})
    changed = api.patch("/api/user/preferences", {"notifications": {"quota": False}, "max_tokens": 300}).json()
    assert (changed["theme"], changed["temperature"], changed["max_tokens"]) == ("dark", 0.5, 300)
    assert changed["notifications"] == {"quota": False, "renewals": True} and changed["language"] == "hi"
    assert api.get("/api/user/profile").json()["locale"] == "hi"
    back = api.patch("/api/user/preferences", {"temperature": "default", "max_tokens": None}).json()
    assert (back["temperature"], back["max_tokens"]) == (None, 300)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"theme": "pink"}, "invalid_value", "theme"),
        ({"temperature": 2.1}, "invalid_value", "temperature"),
        ({"temperature": "0.5"}, "invalid_value", "temperature"),
        ({"temperature": True}, "invalid_value", "temperature"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"reasoning_effort": "lots"}, "invalid_value", "reasoning_effort"),
        ({"language": "English"}, "invalid_value", "language"),
        ({"system": "x" * 32_001}, "invalid_value", "system"),
        ({"notifications": {"quota": 1}}, "invalid_value", "notifications.quota"),
        ({"notifications": {"sms": True}}, "unknown_field", "sms"),
        ({"email": "x@example.com"}, "unknown_field", "email"),
        ([], "invalid_request", None),
    ],
)
def test_what_makes_no_sense_is_named_and_changes_nothing(api: Api, body: Any, code: str, param: str | None) -> None:
    assert error(api.patch("/api/user/preferences", body)) == (400, code, param)
    assert User.objects.get().preferences == {}


def test_a_model_that_is_not_there_is_not_preferred(api: Api) -> None:
    assert error(api.patch("/api/user/preferences", {"default_model": "no/such"})) == (
        404,
        "model_not_found",
        "default_model",
    )


def test_a_picture_is_an_https_address(api: Api) -> None:
    assert api.patch("/api/user/profile", {"picture_url": "https://example.com/a.png"}).status_code == 200
    for bad in ("http://example.com/a.png", "javascript:alert(1)", "x"):
        assert error(api.patch("/api/user/profile", {"picture_url": bad})) == (400, "invalid_value", "picture_url")
    assert api.patch("/api/user/profile", {"picture_url": ""}).json()["picture_url"] == ""


def test_keys_and_visitors_stay_out(user: User) -> None:
    assert error(Api().get("/api/user/preferences"))[:2] == (401, "not_authenticated")
    assert error(Api(apikeys.mint(user)[1]).get("/api/user/preferences"))[:2] == (403, "insufficient_scope")


def test_the_pages_save_the_same(user: User) -> None:
    client = Client()
    sign_in(client, user)
    form = {"theme": "dark", "system": "Be brief.", "temperature": "0.2", "max_tokens": "", "reasoning_effort": ""}
    assert client.post("/settings/preferences", form).status_code == 302
    assert client.post("/settings/notifications", {"renewals": "on"}).status_code == 302
    user.refresh_from_db()
    assert user.preferences == {
        "theme": "dark",
        "system": "Be brief.",
        "temperature": 0.2,
        "notifications": {"quota": False, "renewals": True},
    }
    page = client.get("/settings/preferences").content.decode()
    assert 'data-theme="dark"' in page and "Be brief." in page
    assert client.post("/settings/preferences", form | {"temperature": "9"}).status_code == 400
