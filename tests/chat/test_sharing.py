"""Share links: a frozen copy for strangers, on the owner's terms, gone at once when it ends."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from accounts.models import User
from chat import markdown, sharing
from chat.models import Conversation, Message, SharedSnapshot
from oneai.kit import clock
from tests.chat.people import Api, conversation, message, thread
from tests.chat.test_conversations_api import error

pytestmark = pytest.mark.django_db

SHAPE = {
    "url", "views", "has_password", "include_system", "allow_continue", "message_count", "created_at", "frozen_at",
    "expires_at",
}  # fmt: skip


@pytest.fixture
def talk(alice: User) -> Conversation:
    made = conversation(alice, "A <talk>", system="Be brief.")
    question = message(made, "Why <b>not</b>?")
    message(made, "**Because** [x](javascript:alert(1))", question, role="assistant", model_id="a/b")
    return made


def share(api: Api, talk: Conversation, **terms: Any) -> Any:
    return api.post(f"/api/conversations/{talk.pk}/share", terms)


def path_of(answer: Any) -> str:
    return urlsplit(answer.json()["url"]).path


def reader(user: User | None = None) -> Client:
    client = Client(raise_request_exception=False)
    if user:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_stranger_reads_the_copy_and_nothing_of_its_owner(as_alice: Api, talk: Conversation) -> None:
    made = share(as_alice, talk)
    assert made.status_code == 201
    assert set(made.json()) == SHAPE
    page = reader().get(path_of(made))
    text = page.content.decode()
    assert page.status_code == 200
    assert "A &lt;talk&gt;" in text and "Why &lt;b&gt;not&lt;/b&gt;?" in text
    assert "<strong>Because</strong>" in text and 'href="javascript' not in text
    assert "Be brief." not in text and "alice" not in text and str(talk.pk) not in text
    assert page["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert page["Cache-Control"] == "no-store, private"
    assert page["Referrer-Policy"] == "no-referrer"


def test_the_copy_is_frozen_until_it_is_shared_again_and_keeps_its_address(as_alice: Api, talk: Conversation) -> None:
    made = share(as_alice, talk, include_system=True)
    message(talk, "said later", Message.objects.get(pk=talk.active_message_id))
    text = reader().get(path_of(made)).content.decode()
    assert "said later" not in text and "Be brief." in text
    again = share(as_alice, talk)
    assert again.status_code == 200
    assert (again.json()["url"], again.json()["include_system"]) == (made.json()["url"], True)
    assert "said later" in reader().get(path_of(made)).content.decode()


def test_the_database_does_not_hold_the_token(as_alice: Api, talk: Conversation) -> None:
    token = path_of(share(as_alice, talk)).rpartition("/")[2]
    assert len(token) == 32
    assert token not in str(SharedSnapshot.objects.values().get())


@pytest.mark.parametrize("how", ["revoked", "deleted", "expired", "account"])
def test_a_link_that_has_ended_is_as_one_that_never_was(
    as_alice: Api, alice: User, talk: Conversation, how: str
) -> None:
    made = share(as_alice, talk, expires_in=3600)
    if how == "revoked":
        assert as_alice.delete(f"/api/conversations/{talk.pk}/share").status_code == 204
    elif how == "deleted":
        as_alice.delete(f"/api/conversations/{talk.pk}")
        as_alice.post(f"/api/conversations/{talk.pk}/restore")
    elif how == "account":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    ahead = timedelta(hours=2) if how == "expired" else timedelta(0)
    with clock.travel(ahead):
        ended = reader().get(path_of(made))
        never = reader().get("/s/" + "x" * 32)
        assert ended.status_code == never.status_code == 404
        if how != "account":
            assert error(as_alice.get(f"/api/conversations/{talk.pk}/share")) == (404, "not_found", None)
            renewed = share(as_alice, talk)
            assert renewed.status_code == 201
            assert path_of(renewed) != path_of(made)


def test_a_password_is_asked_for_kept_hashed_and_limited(as_alice: Api, talk: Conversation) -> None:
    made = share(as_alice, talk, password="open sesame")
    path = path_of(made)
    assert made.json()["has_password"] is True
    assert "open sesame" not in str(SharedSnapshot.objects.values().get())
    client = reader()
    locked = client.get(path)
    assert b"Because" not in locked.content and b"talk" not in locked.content
    assert client.post(path, {"password": "wrong"}).status_code == 403
    assert client.post(path, {"password": "open sesame"}).status_code == 302
    assert b"Because" in client.get(path).content
    assert b"Because" not in reader().get(path).content
    share(as_alice, talk, password="another one")
    assert b"Because" not in client.get(path).content
    for _ in range(sharing.PASSWORD_BY_ADDRESS.most):
        client.post(path, {"password": "wrong"})
    late = client.post(path, {"password": "another one"})
    assert (late.status_code, b"Because" in client.get(path).content) == (429, False)
    assert int(late["Retry-After"]) > 0
    share(as_alice, talk, password="")
    assert b"Because" in reader().get(path).content


def test_views_of_others_are_counted(as_alice: Api, alice: User, bob: User, talk: Conversation) -> None:
    path = path_of(share(as_alice, talk))
    for client in (reader(), reader(bob), reader(alice)):
        client.get(path)
    reader().head(path)
    assert as_alice.get(f"/api/conversations/{talk.pk}/share").json()["views"] == 2


def test_a_reader_goes_on_in_an_account_of_their_own(as_alice: Api, as_bob: Api, bob: User, talk: Conversation) -> None:
    path = path_of(share(as_alice, talk, allow_continue=True))
    visitor = reader().post(f"{path}/continue")
    assert visitor.status_code == 302 and visitor["Location"] == f"/login?next={path}"
    client = reader(bob)
    assert client.post(f"{path}/continue", {"proof": "forged"})["Location"] == path
    assert as_bob.get("/api/conversations").json()["results"] == []
    proof = re.search(r'name="proof" value="([^"]+)"', client.get(path).content.decode())
    assert proof
    copied = client.post(f"{path}/continue", {"proof": proof[1]})
    assert copied.status_code == 302
    mine = as_bob.get(f"/api/conversations/{copied['Location'].rpartition('/')[2]}").json()
    assert (mine["title"], mine["system"], mine["message_count"]) == ("A <talk>", None, 2)
    said = as_bob.get(f"/api/conversations/{mine['id']}/messages").json()["results"]
    assert [(one["role"], one["model"]) for one in said] == [("user", None), ("assistant", "a/b")]
    share(as_alice, talk, allow_continue=False)
    assert client.post(f"{path}/continue", {"proof": proof[1]}).status_code == 404
    assert b"Continue in my account" not in client.get(path).content


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"expires_in": 59}, (400, "invalid_value", "expires_in")),
        ({"expires_in": "60"}, (400, "invalid_value", "expires_in")),
        ({"expires_in": 10**9}, (400, "invalid_value", "expires_in")),
        ({"password": "short"}, (400, "invalid_value", "password")),
        ({"include_system": "yes"}, (400, "invalid_value", "include_system")),
        ({"public": True}, (400, "unknown_field", "public")),
    ],
)
def test_terms_that_are_wrong_are_named(as_alice: Api, talk: Conversation, terms: Any, expected: Any) -> None:
    assert error(share(as_alice, talk, **terms)) == expected
    assert not SharedSnapshot.objects.exists()


def test_an_empty_conversation_has_nothing_to_share(as_alice: Api, alice: User) -> None:
    assert error(share(as_alice, conversation(alice))) == (409, "conflict", None)


def test_a_long_copy_comes_in_pages(as_alice: Api, alice: User) -> None:
    talk = conversation(alice, "long")
    thread(talk, 250)
    path = path_of(share(as_alice, talk))
    first, last = (reader().get(f"{path}?page={number}").content.decode() for number in (1, 3))
    assert "message 99<" in first and "message 100<" not in first and "Page 1 of 3" in first
    assert "message 249<" in last
    assert reader().get(f"{path}?page=4").status_code == 404
    assert SharedSnapshot.objects.get().views == 1


def test_a_copy_that_an_older_version_rendered_is_rendered_anew(
    as_alice: Api, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(share(as_alice, talk))
    snapshot = SharedSnapshot.objects.get()
    snapshot.messages[1]["html"] = "<script>alert(1)</script>"
    snapshot.save()
    monkeypatch.setattr(markdown, "RENDER_VERSION", markdown.RENDER_VERSION + 1)
    assert "<script>alert(1)" not in reader().get(path).content.decode()
    assert SharedSnapshot.objects.get().html_version == markdown.RENDER_VERSION
