"""Where somebody is signed in: each browser and program listed, ended alone or all together; and what was done."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import apikeys, sign_ins
from accounts.models import AuditEntry, SignIn, User
from tests.accounts.people import PASSWORD, make, sign_in, who
from tests.chat.people import Api

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def user() -> User:
    return make()


@pytest.fixture
def api(user: User) -> Api:
    return Api(sign_ins.open_program(user, user_agent="curl/8", address="192.0.2.1").access_token)


def browser_of(user: User, agent: str = FIREFOX) -> Client:
    client = Client(headers={"user-agent": agent})
    assert sign_in(client, user).status_code == 302
    return client


def error(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["param"]


@pytest.mark.parametrize("path", ["sessions", "audit", "profile"])
def test_keys_and_visitors_stay_out(user: User, path: str) -> None:
    assert error(Api().get(f"/api/user/{path}"))[:2] == (401, "not_authenticated")
    assert error(Api(apikeys.mint(user)[1]).get(f"/api/user/{path}"))[:2] == (403, "insufficient_scope")


def test_each_browser_and_program_is_listed_and_can_be_ended_alone(user: User, api: Api) -> None:
    here, there = browser_of(user), browser_of(user, "curl/8.5")
    listed = here.get("/api/user/sessions").json()["results"]
    assert sorted((one["kind"], one["device"], one["current"]) for one in listed) == [
        ("browser", "Firefox on Windows", True),
        ("browser", "curl", False),
        ("program", "curl", False),
    ]
    other = next(one["id"] for one in listed if one["kind"] == "browser" and not one["current"])
    assert api.delete(f"/api/user/sessions/{other}").status_code == 204
    assert who(there) is None and who(here) == user.email
    program = next(one["id"] for one in listed if one["kind"] == "program")
    page = here.get("/settings/security").content.decode()
    assert "Firefox on Windows" in page and "192.0.2.1" in page
    assert here.post(f"/settings/security/sign-ins/{program}/end").status_code == 302
    assert api.get("/api/auth/session").status_code == 401
    assert [row["action"] for row in here.get("/api/user/audit").json()["results"]][:2] == ["sign_in.ended"] * 2


def test_anothers_sign_in_is_like_an_unknown_one(api: Api) -> None:
    stranger = make()
    sign_ins.open_program(stranger, user_agent="", address="")
    row = SignIn.objects.get(user=stranger)
    answers = [api.delete(f"/api/user/sessions/{one}") for one in (row.pk, "01a22132-0000-7000-8000-000000000000", "x")]
    assert {error(answer)[:2] for answer in answers} == {(404, "not_found")}
    assert SignIn.objects.filter(pk=row.pk).exists()


def test_signing_out_everywhere_leaves_nothing_open_but_what_was_asked_for(user: User, api: Api) -> None:
    here, there = browser_of(user), browser_of(user)
    key = apikeys.mint(user)[1]
    form = {"keep_current": "on"}
    assert here.post("/settings/security/sign-out", form).status_code == 302
    assert who(here) == user.email and who(there) is None
    assert api.get("/api/auth/session").status_code == 401
    assert Api(key).get("/api/auth/session").status_code == 200
    assert here.get("/api/user/sessions").json()["results"][0]["current"]
    again = Api(sign_ins.open_program(user, user_agent="", address="").access_token)
    user.refresh_from_db()
    again = Api(sign_ins.open_program(user, user_agent="", address="").access_token)
    assert error(again.delete("/api/user/sessions?keep_current=true")) == (400, "invalid_value", "keep_current")
    assert again.delete("/api/user/sessions?api_keys=true").status_code == 204
    assert who(here) is None and Api(key).get("/api/auth/session").status_code == 401


def test_signing_out_and_changing_the_password_leave_no_row_behind(user: User) -> None:
    client = browser_of(user)
    new = "an entirely different battery"
    changed = client.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert changed.status_code == 302, changed.content
    assert who(client) == user.email
    assert [row.session_key for row in SignIn.objects.all()] == [client.cookies["session"].value]
    client.post("/accounts/logout/")
    assert not SignIn.objects.exists()


def test_the_audit_is_the_persons_own_and_names_no_staff(user: User, api: Api) -> None:
    staff = make(role="owner")
    AuditEntry.objects.create(
        actor_id=staff.pk, actor_label=staff.email, action="quota.set", subject_id=user.pk, reason="a gift"
    )
    AuditEntry.objects.create(actor_label="x", action="other.thing", subject_id=staff.pk)
    rows = api.get("/api/user/audit").json()["results"]
    assert [(row["action"], row["by"], row["reason"]) for row in rows] == [("quota.set", "staff", "a gift")]
    assert staff.email not in str(rows)
