"""One authenticator: a credential that is there and bad is refused, whatever lies beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import apikeys, standing, tokens
from accounts.authentication import authenticate, check_csrf
from accounts.models import User
from oneai.kit import clock
from oneai.kit.errors import Refusal
from tests.accounts.people import make, sign_in, who

pytestmark = pytest.mark.django_db


def cookies(client: Client) -> dict[str, str]:
    return {"session": client.cookies["session"].value}


def signed_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or make())
    return client


def test_without_a_credential_nobody_asks() -> None:
    assert authenticate({}, {}) is None
    assert authenticate({"x-request-id": "1"}, {"theme": "dark"}) is None


def test_a_session_is_its_person() -> None:
    user = make()
    client = signed_in(user)
    principal = authenticate({}, cookies(client))
    assert principal is not None
    assert (principal.user_id, principal.method, principal.scopes) == (user.pk, "session", None)
    assert principal.session_key == client.cookies["session"].value
    assert principal.expires_at == Session.objects.get().expire_date


_bearer = st.one_of(
    st.text(),
    st.from_regex(r"[Bb]earer .*"),
    st.builds("Bearer {}".format, st.text()),
    st.builds("Bearer oneai_{}".format, st.text(alphabet="0123456789abcXYZ_", max_size=80)),
    st.builds("Bearer {}.{}.{}".format, st.text(max_size=30), st.text(max_size=30), st.text(max_size=30)),
    st.builds("Bearer {}".format, st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))),
    st.builds("{} {}".format, st.sampled_from(["Basic", "Token", "Digest", "Bearer  "]), st.text()),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=_bearer)
def test_a_malformed_header_is_refused_even_beside_a_good_session(header: str, db: Any) -> None:
    client = signed_in(User.objects.first() or make())
    for beside in ({}, cookies(client)):
        with pytest.raises(Refusal) as caught:
            authenticate({"authorization": header}, beside)
        assert caught.value.code in {"invalid_token", "invalid_api_key"}
        assert caught.value.status == 401


def test_a_bad_header_is_refused_on_the_api_even_beside_a_good_session() -> None:
    client = signed_in()
    assert client.get("/api/auth/session").status_code == 200
    for header in ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer " + "x" * 5000):
        assert client.get("/api/auth/session", headers={"authorization": header}).status_code == 401, header


@pytest.mark.parametrize("key", ["", "unknown0unknown0unknown0unknown0", "../../etc", "\x00", "ä" * 32, "a" * 5000])
def test_an_unknown_session_is_nobody(key: str) -> None:
    assert authenticate({}, {"session": key}) is None


def test_an_expired_session_is_nobody() -> None:
    client = signed_in()
    with clock.travel(timedelta(days=15)):
        assert authenticate({}, cookies(client)) is None


def test_an_anonymous_session_is_nobody(client: Client) -> None:
    session = client.session
    session["basket"] = 1
    session.save()
    assert authenticate({}, {"session": session.session_key or ""}) is None


def test_a_session_made_up_for_another_backend_is_nobody() -> None:
    client = signed_in()
    session = client.session
    session["_auth_user_backend"] = "somewhere.Else"
    session.save()
    assert authenticate({}, cookies(client)) is None


def test_a_disabled_persons_session_is_refused() -> None:
    user = make()
    client = signed_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(Refusal) as caught:
        authenticate({}, cookies(client))
    assert caught.value.code == "account_disabled"
    assert client.get("/api/auth/session").status_code == 401


def test_a_deleted_persons_session_is_nobody() -> None:
    user = make()
    client = signed_in(user)
    User.objects.filter(pk=user.pk).delete()
    assert authenticate({}, cookies(client)) is None


def test_a_session_of_before_the_password_change_is_nobody() -> None:
    user = make()
    client = signed_in(user)
    user.set_password("another password altogether")
    user.save()
    assert authenticate({}, cookies(client)) is None


def test_ending_sign_ins_ends_all_sessions_of_one_person_only() -> None:
    user, other = make(), make()
    first, second, theirs = signed_in(user), signed_in(user), signed_in(other)
    standing.end_sign_ins(user)
    assert (who(first), who(second), who(theirs)) == (None, None, other.email)


def test_a_session_needs_a_csrf_token_to_change_something(browser_client: Client) -> None:
    user = make()
    browser_client.force_login(user)
    send = {"data": {"name": "Asha"}, "content_type": "application/json"}
    refused = browser_client.patch("/api/user/profile", **send)  # type: ignore[arg-type]
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "csrf_failed"
    token = "a" * 32
    browser_client.cookies["csrf"] = token
    passed = browser_client.patch("/api/user/profile", **send, headers={"x-csrftoken": token})  # type: ignore[arg-type]
    assert passed.status_code == 200, passed.content
    for headers in (
        {"x-csrftoken": token, "origin": "https://evil.example"},
        {"x-csrftoken": token, "sec-fetch-site": "cross-site"},
        {"x-csrftoken": "b" * 32},
    ):
        assert browser_client.patch("/api/user/profile", **send, headers=headers).status_code == 403  # type: ignore[arg-type]
    user.refresh_from_db()
    assert user.name == "Asha"


def _scope(*headers: tuple[bytes, bytes], method: str = "POST") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": "/api/chat/stream",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers],
    }


def test_the_csrf_check_of_hot_routes_is_djangos() -> None:
    token = b"a" * 32
    cookie = (b"cookie", b"csrf=" + token)
    check_csrf(_scope(cookie, (b"x-csrftoken", token)), "POST")
    for headers in ([], [cookie], [(b"x-csrftoken", token)], [cookie, (b"x-csrftoken", b"b" * 32)]):
        with pytest.raises(Refusal) as caught:
            check_csrf(_scope(*headers), "POST")
        assert caught.value.code == "csrf_failed"
    with pytest.raises(Refusal):
        check_csrf(_scope(cookie, (b"x-csrftoken", token), (b"origin", b"https://evil.example")), "POST")


def test_session_tells_by_what_one_is_known() -> None:
    user = make(name="Asha", role="support")
    client = signed_in(user)
    body = client.get("/api/auth/session").json()
    assert set(body) == {"user", "method", "expires_at", "scopes"}
    assert (body["method"], body["scopes"]) == ("session", None)
    assert set(body["user"]) == {
        "id", "email", "name", "picture_url", "role", "plan", "locale", "timezone", "created_at"
    }  # fmt: skip
    assert UUID(body["user"]["id"]) == user.pk
    token, _ = tokens.issue_access(user)
    assert Client().get("/api/auth/session", headers={"authorization": f"Bearer {token}"}).json()["method"] == "jwt"
    _, key = apikeys.mint(user, scopes=["usage"])
    by_key = Client().get("/api/auth/session", headers={"authorization": f"Bearer {key}"}).json()
    assert (by_key["method"], by_key["scopes"]) == ("api_key", ["usage"])
    nobody = Client().get("/api/auth/session")
    assert nobody.status_code == 401 and nobody.json()["error"]["code"] == "not_authenticated"
    assert nobody["WWW-Authenticate"].startswith("Bearer")


def test_no_field_of_a_person_but_three_can_be_set_by_them() -> None:
    user = make()
    client = signed_in(user)
    before = User.objects.filter(pk=user.pk).values().get()
    for field in User._meta.get_fields():
        if field.name in {"name", "locale", "timezone"}:
            continue
        for value in ("owner", True, 1, None):
            answer = client.patch("/api/user/profile", {field.name: value}, content_type="application/json")
            assert answer.status_code == 400, field.name
            assert answer.json()["error"]["param"] == field.name
    assert User.objects.filter(pk=user.pk).values().get() == before
    changed = client.patch(
        "/api/user/profile", {"name": " Asha  Rao ", "timezone": "Asia/Kolkata"}, content_type="application/json"
    )
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["timezone"]) == ("Asha Rao", "Asia/Kolkata")
    wrong = client.patch("/api/user/profile", {"timezone": "Mars/Base"}, content_type="application/json")
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "timezone"


def test_a_key_may_not_read_or_change_the_profile() -> None:
    _, key = apikeys.mint(make())
    headers = {"authorization": f"Bearer {key}"}
    for answer in (
        Client().get("/api/user/profile", headers=headers),
        Client().patch("/api/user/profile", {"name": "x"}, content_type="application/json", headers=headers),
    ):
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "insufficient_scope"


def test_signing_in_gives_a_new_session_that_a_planted_one_is_not(client: Client) -> None:
    session = client.session
    session["planted"] = "x"
    session.save()
    planted = session.session_key
    user = make()
    assert sign_in(client, user).status_code == 302
    assert client.cookies["session"].value != planted
    assert authenticate({}, {"session": planted or ""}) is None
    assert who(client) == user.email
