"""Programs: signing in by Google's answer, staying signed in by rotating tokens, and every end of that."""

from __future__ import annotations

import base64
import hashlib
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import apikeys, sign_ins, standing, tokens
from accounts.models import SignIn, User
from oneai.kit import clock
from tests.accounts.people import Google, make
from tests.chat.people import Api
from tests.servers.sandbox import Sandbox

pytestmark = pytest.mark.django_db
BACK = "http://127.0.0.1:7777/back"
VERIFIER = "a-verifier-of-a-program-that-is-long-enough"
ASHA = "asha@example.com"


def post(path: str, body: Any, **headers: str) -> Any:
    return Client().post(f"/api/auth/{path}", body, "application/json", headers=headers)


def code(google: Google, email: str = ASHA, redirect_uri: str = BACK, **person: str) -> str:
    """What Google hands a program for ``email``."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "sandbox-client",
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": "openid email profile",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    location = f"{google.url}/google/o/oauth2/v2/auth?{urlencode(asked)}"
    back = google.consent(location, email=email, verified="1", name="Asha Rao", **person)
    return parse_qs(urlsplit(back).query)["code"][0]


def callback(google: Google, email: str = ASHA, **more: Any) -> Any:
    body = {"provider": "google", "code": code(google, email), "redirect_uri": BACK, "code_verifier": VERIFIER}
    return post("callback", body | more)


def id_token(google: Google, **asked: Any) -> str:
    answer = httpx.post(f"{google.url}/_control/google/id-token", json={"email": ASHA, **asked})
    return str(answer.json()["credential"])


def session(token: str) -> Any:
    return Api(token).get("/api/auth/session")


def pair(user: User) -> sign_ins.Pair:
    return sign_ins.open_program(user, user_agent="a program", address="192.0.2.1")


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# Signing in --------------------------------------------------------------------------------------
def test_a_code_signs_a_newcomer_in_and_its_tokens_open_the_api(google: Google) -> None:
    answer = callback(google)
    assert answer.status_code == 200 and not answer.cookies
    got = answer.json()
    assert (got["user"]["email"], got["token_type"]) == (ASHA, "Bearer") and 800 < got["expires_in"] <= 900
    seen = session(got["access_token"]).json()
    assert (seen["user"]["email"], seen["method"], seen["scopes"]) == (ASHA, "jwt", None)
    user = User.objects.get()
    assert user.google_id and EmailAddress.objects.get(user=user).verified
    assert callback(google).json()["user"]["id"] == str(user.pk)


def test_an_id_token_signs_in_once(google: Google) -> None:
    token = id_token(google, sub="1001")
    assert post("callback", {"provider": "google", "id_token": token}).json()["user"]["email"] == ASHA
    assert refused(post("callback", {"provider": "google", "id_token": token})) == (400, "invalid_value")


@pytest.mark.parametrize("fault", ["wrong-aud", "wrong-iss", "expired", "bad-signature", "unknown-kid"])
def test_a_bad_id_token_opens_nothing(google: Google, fault: str) -> None:
    for body in ({"id_token": id_token(google, fault=fault)}, {"id_token": "x"}):
        assert refused(post("callback", {"provider": "google", **body})) == (400, "invalid_value")
    assert not User.objects.exists()


def test_a_code_needs_its_verifier_and_its_address_and_is_good_once(google: Google) -> None:
    good = code(google)
    body = {"provider": "google", "code": good, "redirect_uri": BACK, "code_verifier": VERIFIER}
    assert post("callback", body).status_code == 200
    assert refused(post("callback", body)) == (400, "invalid_value")
    assert refused(callback(google, code_verifier="b" * 43)) == (400, "invalid_value")
    assert refused(callback(google, redirect_uri="http://127.0.0.1:7777/elsewhere")) == (400, "invalid_value")
    assert refused(callback(google, code_verifier=None)) == (400, "missing_required_parameter")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "provider"),
        ({"provider": "github", "code": "x"}, "invalid_value", "provider"),
        ({"provider": "google"}, "invalid_request", "code"),
        ({"provider": "google", "code": "x", "id_token": "x"}, "invalid_request", "code"),
        ({"provider": "google", "id_token": 1}, "invalid_value", "id_token"),
        ({"provider": "google", "id_token": "x", "state": "x"}, "unknown_field", "state"),
        ([], "invalid_request", None),
    ],
)
def test_what_is_wrong_with_a_body_is_named(body: Any, code: str, param: str | None) -> None:
    error = post("callback", body).json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_the_rules_of_the_browsers_sign_in_hold(google: Google) -> None:
    unverified = post("callback", {"provider": "google", "id_token": id_token(google, verified=False)})
    assert refused(unverified) == (403, "sign_in_refused")
    google.sign_in(Client(SERVER_NAME="localhost"), ASHA, sub="1001")
    other = id_token(google, sub="2002")
    assert refused(post("callback", {"provider": "google", "id_token": other})) == (403, "sign_in_refused")
    User.objects.update(is_active=False)
    mine = id_token(google, sub="1001")
    assert refused(post("callback", {"provider": "google", "id_token": mine})) == (401, "account_disabled")
    assert not SignIn.objects.filter(session_key=None).exists()


# Staying -----------------------------------------------------------------------------------------
def test_each_refresh_gives_a_new_pair_and_uses_the_old_one_up() -> None:
    user = make()
    first = pair(user)
    answer = post("refresh", {"refresh_token": first.refresh_token})
    second = answer.json()
    assert answer.status_code == 200 and session(second["access_token"]).status_code == 200
    third = post("refresh", {"refresh_token": second["refresh_token"]})
    assert third.status_code == 200
    assert session(first.access_token).status_code == 200  # until it ends by itself
    assert SignIn.objects.count() == 1


def test_a_refresh_token_that_comes_again_ends_its_family_and_no_other() -> None:
    user = make()
    stolen, other = pair(user), pair(user)
    thief = post("refresh", {"refresh_token": stolen.refresh_token}).json()
    assert refused(post("refresh", {"refresh_token": stolen.refresh_token})) == (401, "refresh_token_reused")
    assert refused(post("refresh", {"refresh_token": thief["refresh_token"]})) == (401, "invalid_token")
    for token in (stolen.access_token, thief["access_token"]):
        assert refused(session(token)) == (401, "invalid_token")
    assert session(other.access_token).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_with_one_refresh_token_one_gets_a_pair_and_none_keeps_it() -> None:
    token = pair(make()).refresh_token
    answers: list[int] = []

    def use() -> None:
        try:
            answers.append(post("refresh", {"refresh_token": token}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 401, 401, 401, 401, 401]
    assert not SignIn.objects.exists()


def test_neither_token_passes_for_the_other_nor_when_it_is_old() -> None:
    user = make()
    with clock.travel(-sign_ins.REFRESH_FOR - timedelta(hours=1)):
        old = pair(user)
    now = pair(user)
    for bad in (old.refresh_token, now.access_token, "x", now.refresh_token + "x"):
        assert refused(post("refresh", {"refresh_token": bad})) == (401, "invalid_token")
    assert refused(session(now.refresh_token)) == (401, "invalid_token")
    assert refused(post("refresh", {})) == (400, "missing_required_parameter")


def test_all_keys_verify_and_the_first_signs(settings: Settings) -> None:
    user = make()
    settings.JWT_SIGNING_KEYS = ["o" * 40]
    old = pair(user)
    settings.JWT_SIGNING_KEYS = ["n" * 40, "o" * 40]
    new = post("refresh", {"refresh_token": old.refresh_token}).json()
    settings.JWT_SIGNING_KEYS = ["n" * 40]
    assert session(new["access_token"]).status_code == 200
    assert session(old.access_token).status_code == 401


# Ending ------------------------------------------------------------------------------------------
def test_a_deactivated_person_is_refused_at_once() -> None:
    user = make()
    got = pair(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert refused(session(got.access_token)) == (401, "account_disabled")
    assert refused(post("refresh", {"refresh_token": got.refresh_token})) == (401, "account_disabled")


def test_signing_out_ends_this_program_at_once_and_no_other() -> None:
    user = make()
    mine, other = pair(user), pair(user)
    answer = Api(mine.access_token).post("/api/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert session(mine.access_token).status_code == 401
    assert refused(post("refresh", {"refresh_token": mine.refresh_token})) == (401, "invalid_token")
    assert session(other.access_token).status_code == 200


def test_a_browsers_session_signs_out_with_a_csrf_token_only() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make())
    assert refused(browser.post("/api/auth/logout")) == (403, "csrf_failed")
    browser.get("/settings/profile")
    token = browser.cookies["csrf"].value
    assert browser.post("/api/auth/logout", headers={"X-CSRFToken": token}).status_code == 204
    assert browser.get("/api/auth/session").status_code == 401


def test_a_key_does_not_sign_out() -> None:
    key = apikeys.mint(make())[1]
    assert refused(Api(key).post("/api/auth/logout")) == (403, "insufficient_scope")
    assert refused(Api().post("/api/auth/logout")) == (401, "not_authenticated")


def test_signing_out_everywhere_ends_every_program() -> None:
    user = make()
    got = pair(user)
    standing.end_sign_ins(user)
    assert session(got.access_token).status_code == 401
    assert refused(post("refresh", {"refresh_token": got.refresh_token})) == (401, "invalid_token")


# Looking at a token ------------------------------------------------------------------------------
def test_verify_says_whose_a_token_is_and_what_it_may() -> None:
    user = make()
    key = apikeys.mint(user, scopes=["usage"])[1]
    person = post("verify", {"token": pair(user).access_token}).json()
    assert (person["valid"], person["user_id"], person["scopes"]) == (True, str(user.pk), None)
    assert person["expires_at"] is not None
    program = post("verify", {"token": key, "scopes": ["usage"]}).json()
    assert (program["valid"], program["scopes"], program["expires_at"]) == (True, ["usage"], None)
    lacking = post("verify", {"token": key, "scopes": ["chat"]}).json()
    assert (lacking["valid"], lacking["user_id"], lacking["reason"]) == (False, None, "insufficient_scope")
    for bad, reason in (("x", "invalid_token"), ("oneai_x", "invalid_api_key")):
        assert post("verify", {"token": bad}).json()["reason"] == reason
    assert refused(post("verify", {"token": key, "scopes": ["all"]})) == (400, "invalid_value")


def test_a_session_of_which_less_than_half_is_left_begins_anew_when_it_is_asked_for() -> None:
    browser = Client()
    browser.force_login(make())
    browser.get("/api/auth/session")  # the first request of a session notes its sign-in in it
    first = browser.get("/api/auth/session").json()["expires_at"]
    again = browser.get("/api/auth/session")
    assert again.json()["expires_at"] == first and "session" not in again.cookies
    with clock.travel(timedelta(days=10)):
        later = browser.get("/api/auth/session")
    assert later.json()["expires_at"] > first and "session" in later.cookies


# Supabase ----------------------------------------------------------------------------------------
@pytest.fixture
def project(sandbox: Sandbox, settings: Settings) -> Any:
    """Issues access tokens of the imitated project, which the site believes."""
    settings.SUPABASE_URL = f"{sandbox.url}/supabase"

    def issue(**asked: Any) -> str:
        return str(sandbox.control("supabase/token", asked)["access_token"])

    return issue


def test_a_supabase_token_is_known_by_its_sub_alone(project: Any) -> None:
    first = session(project(sub="s-1", email="new@example.com")).json()
    assert (first["user"]["email"], first["method"]) == ("new@example.com", "supabase")
    renamed = session(project(sub="s-1", email="renamed@example.com")).json()
    assert renamed["user"]["id"] == first["user"]["id"]
    assert not EmailAddress.objects.get(user_id=first["user"]["id"]).verified


def test_a_supabase_token_never_opens_an_account_by_its_address(project: Any) -> None:
    user = make(ASHA)
    assert refused(session(project(sub="s-2", email=ASHA.upper()))) == (403, "sign_in_refused")
    user.refresh_from_db()
    assert user.supabase_id is None and User.objects.count() == 1
    User.objects.filter(pk=user.pk).update(supabase_id="s-2")
    assert session(project(sub="s-2", email="else@example.com")).json()["user"]["email"] == ASHA


@pytest.mark.parametrize(
    "fault", ["wrong-aud", "wrong-iss", "expired", "bad-signature", "unknown-kid", "no-kid", "none"]
)
def test_a_bad_supabase_token_is_refused(project: Any, fault: str) -> None:
    assert refused(session(project(fault=fault))) == (401, "invalid_token")
    assert not User.objects.exists()


def test_a_rotated_key_is_found_and_the_shared_secret_counts_only_where_it_is_set(
    project: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts import supabase

    monkeypatch.setattr(supabase, "PAUSE_SECONDS", 0.0)
    assert session(project(sub="s-1")).status_code == 200
    assert session(project(sub="s-1", rotate=True)).status_code == 200
    legacy = project(sub="s-1", legacy=True)
    assert refused(session(legacy)) == (401, "invalid_token")
    settings.SUPABASE_JWT_SECRET = "sandbox-supabase-legacy-secret-not-secret"
    assert session(legacy).status_code == 200
    forged = jwt.encode(jwt.decode(legacy, options={"verify_signature": False}), "x" * 40, algorithm="HS256")
    assert refused(session(forged)) == (401, "invalid_token")


def test_a_supabase_token_from_before_a_sign_out_everywhere_is_refused(project: Any) -> None:
    token = project(sub="s-1", issued_ago=60)
    assert session(token).status_code == 200
    user = User.objects.get()
    standing.end_sign_ins(user)
    assert refused(session(token)) == (401, "invalid_token")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert refused(session(project(sub="s-1"))) == (401, "account_disabled")
    assert refused(session(project(sub="s-9", anonymous=True))) == (403, "sign_in_refused")


def test_without_the_setting_a_supabase_token_is_nobodys(project: Any, settings: Settings) -> None:
    token = project(sub="s-1")
    settings.SUPABASE_URL = ""
    assert refused(session(token)) == (401, "invalid_token")
    assert tokens.signing_keys()
