"""Signing up, in and out by e-mail: codes, sessions, and answers that tell nobody who has an account."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from accounts import tokens
from accounts.models import User
from oneai.kit import clock
from oneai.kit.pages_errors import in_words
from tests.accounts.people import PASSWORD, browser, code_for, mails_to, make, sign_in, who

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "an entirely different phrase"


@pytest.fixture
def client() -> Client:
    return browser()


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


def sign_up(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/signup", {"email": email, "password1": password})


def subjects_to(address: str) -> list[str]:
    return [mail.subject for mail in mails_to(address)]


def plain(page: bytes) -> str:
    """A page without what differs between any two answers."""
    return re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]*"', "", page.decode())


def test_signing_up_needs_the_code_from_the_mail(client: Client) -> None:
    answer = sign_up(client, "New@Example.com")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert who(client) is None
    assert client.get("/accounts/confirm-email/").status_code == 200
    wrong = client.post("/accounts/confirm-email/", {"action": "verify", "code": "AAAA-AAAA"})
    assert wrong.status_code == 200 and who(client) is None
    right = client.post("/accounts/confirm-email/", {"action": "verify", "code": code_for("new@example.com")})
    assert (right.status_code, right["Location"]) == (302, "/c")
    assert who(client) == "new@example.com"
    assert EmailAddress.objects.get().verified


def test_without_the_code_the_password_opens_nothing(client: Client) -> None:
    sign_up(client, "new@example.com")
    other = browser()
    assert sign_in(other, "new@example.com").status_code == 200, "a second code within ten seconds is not sent"
    cache.clear()
    assert sign_in(other, "new@example.com")["Location"] == "/accounts/confirm-email/"
    assert who(other) is None
    assert other.get("/api/user/profile").status_code == 401


def test_three_wrong_codes_end_the_sign_up_step(client: Client) -> None:
    sign_up(client, "new@example.com")
    code = code_for("new@example.com")
    for _ in range(3):
        client.post("/accounts/confirm-email/", {"action": "verify", "code": "AAAA-AAAA"})
    client.post("/accounts/confirm-email/", {"action": "verify", "code": code})
    assert who(client) is None and not EmailAddress.objects.get().verified


@pytest.mark.parametrize("password", ["elevenchars", "qwerty123456", "new@example.com", ""])
def test_a_weak_password_is_refused(client: Client, password: str) -> None:
    answer = sign_up(client, "new@example.com", password)
    assert answer.status_code == 200 and not User.objects.exists()


def test_a_password_of_128_characters_is_taken_whole(client: Client) -> None:
    long = "0123456789abcdef" * 8
    sign_up(client, "new@example.com", long)
    user = User.objects.get()
    assert user.check_password(long) and not user.check_password(long[:64])


def test_a_taken_address_looks_like_a_free_one_at_sign_up(client: Client) -> None:
    make("taken@example.com")
    other = browser()
    free, taken = sign_up(client, "free@example.com"), sign_up(other, "Taken@example.com", "another good phrase 1")
    assert (free.status_code, free["Location"]) == (taken.status_code, taken["Location"])
    shown = client.get(free["Location"]), other.get(taken["Location"])
    assert plain(shown[0].content).replace("free@", "X@") == plain(shown[1].content).replace("taken@", "X@").replace(
        "Taken@", "X@"
    )
    assert User.objects.count() == 2
    assert subjects_to("taken@example.com") and "code" not in mails_to("taken@example.com")[0].subject.lower()
    guess = {"action": "verify", "code": "AAAA-AAAA"}
    answers = client.post("/accounts/confirm-email/", guess), other.post("/accounts/confirm-email/", guess)
    assert answers[0].status_code == answers[1].status_code


def test_a_taken_address_costs_a_password_hash_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make("taken@example.com")
    hashed: list[int] = []
    encode = Argon2PasswordHasher.encode
    monkeypatch.setattr(Argon2PasswordHasher, "encode", lambda self, *given: hashed.append(1) or encode(self, *given))
    sign_up(client, "free@example.com")
    free = len(hashed)
    hashed.clear()
    sign_up(browser(), "taken@example.com")
    assert (free, len(hashed)) == (1, 1)


def test_an_unknown_address_looks_like_a_wrong_password(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make("known@example.com")
    work: list[str] = []
    for name in ("encode", "verify"):
        method = getattr(Argon2PasswordHasher, name)
        monkeypatch.setattr(
            Argon2PasswordHasher,
            name,
            lambda self, *given, _m=method, _n=name: work.append(_n) or _m(self, *given),
        )
    known = sign_in(client, "known@example.com", "a wrong password")
    costs = [len(work)]
    work.clear()
    unknown = sign_in(client, "nobody@example.com", "a wrong password")
    costs.append(len(work))
    assert costs == [1, 1]
    assert known.status_code == unknown.status_code == 200
    assert plain(known.content).replace("known@", "X@") == plain(unknown.content).replace("nobody@", "X@")


@pytest.mark.parametrize("path", ["/accounts/login/code/", "/accounts/password/reset/"])
def test_asking_for_a_code_tells_nobody_who_has_an_account(path: str) -> None:
    make("known@example.com")
    clients = browser(), browser()
    answers = [
        client.post(path, {"email": f"{name}@example.com"})
        for client, name in zip(clients, ("known", "nobody"), strict=True)
    ]
    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, answers[0]["Location"])}
    pages = [client.get(answer["Location"]) for client, answer in zip(clients, answers, strict=True)]
    assert plain(pages[0].content).replace("known@", "X@") == plain(pages[1].content).replace("nobody@", "X@")
    assert len(mails_to("known@example.com")) == len(mails_to("nobody@example.com")) == 1


def test_signing_in_by_a_code(client: Client) -> None:
    user = make()
    client.post("/accounts/login/code/", {"email": user.email})
    answer = client.post("/accounts/login/code/confirm/", {"code": code_for(user.email)})
    assert answer["Location"] == "/c" and who(client) == user.email


def test_a_code_works_once_and_in_its_own_browser_only(client: Client) -> None:
    user = make()
    client.post("/accounts/login/code/", {"email": user.email})
    code = code_for(user.email)
    thief = browser()
    thief.post("/accounts/login/code/confirm/", {"code": code})
    assert who(thief) is None
    client.post("/accounts/login/code/confirm/", {"code": code})
    client.post("/accounts/logout/")
    client.post("/accounts/login/code/confirm/", {"code": code})
    assert who(client) is None


@pytest.mark.parametrize("how", ["password", "code", "reset"])
def test_a_disabled_person_is_refused(client: Client, how: str) -> None:
    user = make(is_active=False)
    if how == "password":
        answer = sign_in(client, user)
        assert answer["Location"] == "/accounts/inactive/"
        assert client.get("/accounts/inactive/").status_code == 200
    elif how == "code":
        client.post("/accounts/login/code/", {"email": user.email})
        if mails_to(user.email):
            client.post("/accounts/login/code/confirm/", {"code": "AAAA-AAAA"})
    else:
        client.post("/accounts/password/reset/", {"email": user.email})
        assert not any("code" in subject.lower() for subject in subjects_to(user.email))
    assert who(client) is None


def test_resetting_the_password_by_code_ends_every_session_and_token(client: Client) -> None:
    user = make()
    elsewhere = browser()
    sign_in(elsewhere, user)
    token, _ = tokens.issue_access(user)
    for _ in range(5):
        sign_in(browser(), user, "wrong")
    client.post("/accounts/password/reset/", {"email": user.email})
    assert client.get("/accounts/password/reset/confirm/").status_code == 200
    code = code_for(user.email)
    assert client.post("/accounts/password/reset/confirm/", {"code": code})["Location"].endswith("/complete/")
    assert client.get("/accounts/password/reset/complete/").status_code == 200
    done = client.post("/accounts/password/reset/complete/", {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert done["Location"] == "/accounts/password/reset/done/"
    assert client.get(done["Location"]).status_code == 200
    assert who(client) is None and who(elsewhere) is None
    assert browser().get("/api/auth/session", headers={"authorization": f"Bearer {token}"}).status_code == 401
    far = {"REMOTE_ADDR": "192.0.2.8"}
    assert sign_in(browser(), user, PASSWORD, **far).status_code == 200
    assert sign_in(browser(), user, NEW_PASSWORD, **far).status_code == 302, "its failures no longer count"


def test_a_reset_code_is_old_after_ten_minutes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make()
    client.post("/accounts/password/reset/", {"email": user.email})
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 601)
    client.post("/accounts/password/reset/confirm/", {"code": code_for(user.email)})
    assert client.get("/accounts/password/reset/complete/").status_code == 302


def test_changing_the_password_keeps_this_session_and_ends_the_others(client: Client) -> None:
    user = make()
    elsewhere = browser()
    sign_in(client, user)
    sign_in(elsewhere, user)
    token, _ = tokens.issue_access(user)
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert client.get("/accounts/password/change/").status_code == 200
    assert client.post("/accounts/password/change/", form).status_code == 302
    assert (who(client), who(elsewhere)) == (user.email, None)
    assert browser().get("/api/auth/session", headers={"authorization": f"Bearer {token}"}).status_code == 401
    assert sign_in(browser(), user, NEW_PASSWORD).status_code == 302


def test_too_many_passwords_say_how_long_to_wait_and_offer_the_ways_in_without_one(client: Client) -> None:
    user = make()
    for _ in range(5):
        assert sign_in(client, user, "wrong").status_code == 200
    answer = sign_in(client, user)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert 240 < int(answer["Retry-After"]) <= 300
    assert "Try again in 5 minutes." in page and "minute and" not in page
    assert 'href="/accounts/login/code/"' in page and 'href="/accounts/password/reset/"' in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (60, "60 seconds"), (120, "2 minutes"), (121, "3 minutes"), (86_400, "24 hours")],
)
def test_a_wait_is_said_in_words_and_never_too_short(seconds: int, words: str) -> None:
    assert in_words(seconds) == words


def test_guessing_the_old_password_of_an_open_session_is_limited(client: Client) -> None:
    user = make()
    sign_in(client, user)
    form = {"oldpassword": "wrong", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    answers = [client.post("/accounts/password/change/", form).status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]


def test_changing_the_address_needs_the_password_again_and_a_code(client: Client) -> None:
    user = make("old@example.com")
    sign_in(client, user)
    assert client.get("/accounts/email/").status_code == 200
    asked = client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    resumed = client.post(asked["Location"], {"password": PASSWORD})
    assert resumed["Location"] == "/accounts/confirm-email/"
    user.refresh_from_db()
    assert user.email == "old@example.com"
    client.post("/accounts/confirm-email/", {"action": "verify", "code": code_for("new@example.com")})
    user.refresh_from_db()
    assert user.email == "new@example.com"
    assert list(EmailAddress.objects.values_list("email", "verified")) == [("new@example.com", True)]


def test_signing_out_ends_the_session_and_clears_the_browser(client: Client) -> None:
    user = make()
    sign_in(client, user)
    cookie = client.cookies["session"].value
    assert client.get("/accounts/logout/").status_code == 200
    assert who(client) == user.email, "a link signs nobody out"
    answer = client.post("/accounts/logout/")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert answer["Clear-Site-Data"] == '"cache", "cookies", "storage"'
    client.cookies["session"] = cookie
    assert who(client) is None
    assert not Session.objects.filter(session_key=cookie).exists()


def test_a_session_lasts_fourteen_days(client: Client) -> None:
    user = make()
    answer = sign_in(client, user)
    assert answer.cookies["session"]["httponly"] and answer.cookies["session"]["samesite"] == "Lax"
    assert timedelta(days=13) < Session.objects.get().expire_date - clock.now() <= timedelta(days=14)


def test_the_log_tells_what_happened_and_no_secret(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    user = make("quiet@example.com")
    with caplog.at_level("DEBUG"):
        sign_in(client, user, "a wrong password")
        sign_in(client, "evil\r\nlevel=info user=admin@example.com", "x")
        sign_in(client, user)
        client.post("/accounts/logout/")
        client.post("/accounts/password/reset/", {"email": user.email})
    events = [
        record.msg["event"] for record in caplog.records if isinstance(record.msg, dict) and record.name == "security"
    ]
    assert events == ["sign_in_failed", "signed_in", "signed_out"]
    cookie = client.cookies["session"].value
    for secret in (PASSWORD, "a wrong password", "quiet@example.com", code_for(user.email), cookie):
        assert secret not in caplog.text
    assert "\r" not in caplog.text and "level=info user=admin" not in caplog.text


def test_somebody_who_came_by_google_may_set_a_password(client: Client) -> None:
    user = make(password=None)
    client.force_login(user)
    assert client.get("/accounts/password/change/")["Location"] == "/accounts/password/set/"
    assert client.get("/accounts/password/set/").status_code == 200
    form = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert client.post("/accounts/password/set/", form).status_code == 302
    assert who(client) == user.email
    assert sign_in(browser(), user, NEW_PASSWORD).status_code == 302
