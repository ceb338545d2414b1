"""/settings: keys and profile by plain forms, for their owner alone."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern

from accounts import apikeys, own_keys, settings_pages, upkeep
from accounts.authentication import authenticate
from accounts.models import ApiKey, AuditEntry, User
from oneai.kit import clock
from oneai.kit.errors import Refusal
from quotas import key_pages
from quotas.admission import KeyLimits
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
FORM = {
    "name": "Nightly report",
    "scopes": ["chat", "usage"],
    "expires_on": "",
    "limit_tokens": "",
    "limit_usd": "",
    "requests_per_minute": "",
    "tokens_per_minute": "",
    "allowed_models": "",
    "allowed_addresses": "",
}


@pytest.fixture
def owner(purse: Purse) -> User:
    return purse.user


@pytest.fixture
def member(owner: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def key(owner: User) -> ApiKey:
    return apikeys.mint(owner, "first")[0]


def text_in(answer: Any) -> str:
    found = re.findall(r"oneai_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}", answer.content.decode())
    assert len(found) == 1
    return str(found[0])


def good(text: str) -> bool:
    try:
        return authenticate({"authorization": f"Bearer {text}"}, {}, "192.0.2.7") is not None
    except Refusal:
        return False


def paths(key_id: object) -> list[str]:
    patterns = [*key_pages.urlpatterns, *settings_pages.urlpatterns]
    assert all(isinstance(pattern, URLPattern) for pattern in patterns)
    return ["/" + str(pattern.pattern).replace("<uuid:key_id>", str(key_id)) for pattern in patterns]


def test_a_visitor_is_sent_to_sign_in_by_every_page(key: ApiKey) -> None:
    for path in paths(key.pk):
        for answer in (Client().get(path), Client().post(path, FORM)):
            assert answer.status_code in {302, 405}, path
            assert answer.status_code == 405 or answer["Location"].startswith("/login?next="), path
    assert ApiKey.objects.get().revoked_at is None


def test_anothers_key_is_like_an_unknown_one(key: ApiKey) -> None:
    stranger = Client(raise_request_exception=False)
    stranger.force_login(User.objects.create_user("bob@example.com", role="owner"))
    before = ApiKey.objects.values().get()
    for path, unknown in zip(paths(key.pk), paths(uuid4()), strict=True):
        if str(key.pk) in path:
            for method in ("get", "post"):
                mine, none = (getattr(stranger, method)(where, FORM) for where in (path, unknown))
                assert mine.status_code == none.status_code
                assert mine.status_code in {404, 405}, path
    assert ApiKey.objects.values().get() == before


def test_every_form_needs_its_token(owner: User, key: ApiKey) -> None:
    careful = Client(enforce_csrf_checks=True, raise_request_exception=False)
    careful.force_login(owner)
    before = ApiKey.objects.values().get()
    for path in paths(key.pk):
        assert careful.post(path, FORM | {"overlap": "0"}).status_code in {403, 405}, path
    assert ApiKey.objects.values().get() == before


def test_the_way_in_leads_to_the_first_section_and_each_marks_itself(member: Client) -> None:
    assert member.get("/settings")["Location"] == "/settings/profile"
    for path in ("/settings/profile", "/settings/keys"):
        page = member.get(path).content.decode()
        assert f'href="{path}" aria-current="page"' in page


def test_a_key_is_made_and_its_text_is_shown_this_once(member: Client) -> None:
    answer = member.post(
        "/settings/keys/new",
        FORM
        | {
            "expires_on": "2099-01-31",
            "limit_tokens": "5000",
            "limit_usd": "1.5",
            "requests_per_minute": "6",
            "allowed_models": "openai/*\r\nanthropic/claude-haiku-4.5\r\n",
            "allowed_addresses": "192.0.2.0/24 2001:db8::/32",
        },
        follow=True,
    )
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    text = text_in(answer)
    assert good(text)
    key = ApiKey.objects.get()
    assert (key.name, key.scopes, key.limit_tokens, key.limit_nano_usd) == (
        "Nightly report", ["chat", "usage"], 5000, 1_500_000_000,
    )  # fmt: skip
    assert (key.requests_per_minute, key.tokens_per_minute) == (6, None)
    assert key.allowed_models == ["openai/*", "anthropic/claude-haiku-4.5"]
    assert key.allowed_networks == ["192.0.2.0/24", "2001:db8::/32"]
    assert key.expires_at == datetime(2099, 2, 1, tzinfo=UTC)
    listed = member.get("/settings/keys").content.decode()
    assert key.prefix in listed and text.rpartition("_")[2] not in listed
    assert AuditEntry.objects.get().action == "api_key.created"


def test_the_page_of_a_new_text_shows_it_once_and_loading_it_again_rotates_nothing(member: Client, owner: User) -> None:
    key, old = apikeys.mint(owner, "first")
    sent = member.post(f"/settings/keys/{key.pk}/rotate", {"overlap": "86400"})
    assert sent.status_code == 302
    where = sent["Location"]
    kept = " ".join(data for session in Session.objects.all() for data in map(str, session.get_decoded().values()))
    assert member.head(where).status_code == 405
    shown = member.get(where)
    new = text_in(shown)
    assert "no-store" in shown["Cache-Control"]
    assert new.rpartition("_")[2] not in kept + where
    again = member.get(where)
    assert again.status_code == 410 and "no-store" in again["Cache-Control"]
    page = again.content.decode()
    assert "shown only once" in page and 'href="/settings/keys"' in page
    assert not re.search(r"oneai_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}", page)
    assert good(old) and good(new)
    assert not Session.objects.filter(expire_date__lt=clock.now() + timedelta(hours=1)).exists()


def test_a_new_text_waits_for_the_session_that_made_it_and_not_for_long(member: Client, owner: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    where = member.post("/settings/keys/new", FORM)["Location"]
    assert elsewhere.get(where).status_code == 410
    with clock.travel(timedelta(minutes=5)):
        assert member.get(where).status_code == 410
    where = member.post("/settings/keys/new", FORM)["Location"]
    with clock.travel(timedelta(minutes=6)):
        upkeep.tidy()
    assert not Session.objects.filter(expire_date__lt=clock.now() + timedelta(hours=1)).exists()
    assert member.get(where).status_code == 410


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 101), ("name", "\u202e"), ("scopes", []), ("scopes", ["admin"]),
        ("expires_on", "2020-01-01"), ("expires_on", "soon"), ("limit_tokens", "0"), ("limit_tokens", "5.5"),
        ("limit_usd", "0"), ("limit_usd", "-1"), ("limit_usd", "1000001"), ("limit_usd", "NaN"),
        ("requests_per_minute", "1000001"), ("allowed_models", "[x]"), ("allowed_addresses", "192.0.2.9/24"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    member: Client, key: ApiKey, field: str, value: Any
) -> None:
    before = ApiKey.objects.values().get()
    for path in ("/settings/keys/new", f"/settings/keys/{key.pk}"):
        answer = member.post(path, FORM | {"tokens_per_minute": "1234", field: value})
        assert answer.status_code == 400
        page = answer.content.decode()
        assert f'id="id_{field}_error"' in page
        assert 'value="1234"' in page
    assert ApiKey.objects.values().get() == before
    assert not AuditEntry.objects.exists()


def test_the_last_day_there_is_can_be_chosen(member: Client) -> None:
    assert member.post("/settings/keys/new", FORM | {"expires_on": "9999-12-31"}).status_code == 302
    assert member.get("/settings/keys").status_code == 200


def test_saving_what_is_there_changes_nothing(member: Client, owner: User) -> None:
    end = clock.now().replace(microsecond=7) + timedelta(days=30)
    key, _ = apikeys.mint(
        owner, "exact", ["usage"], end, 77, limit_nano_usd=1, allowed_models=["a/*"], allowed_networks=["192.0.2.7"]
    )
    before = ApiKey.objects.values().get()
    page = member.get(f"/settings/keys/{key.pk}").content.decode()
    filled: dict[str, Any] = dict(
        re.findall(r'<input type="(?!hidden|checkbox)\w+" name="(\w+)" value="([^"]*)"', page)
    )
    filled |= {
        name: html.unescape(value).strip() for name, value in re.findall(r'<textarea name="(\w+)"[^>]*>([^<]*)', page)
    }
    filled["scopes"] = re.findall(r'value="(\w+)"[^>]* checked', page)
    assert filled["name"] == "exact" and filled["limit_usd"] == "0.000000001"
    assert member.post(f"/settings/keys/{key.pk}", filled).status_code == 302
    assert ApiKey.objects.values().get() == before
    assert not AuditEntry.objects.exists()


def test_a_key_is_changed(member: Client, key: ApiKey) -> None:
    answer = member.post(f"/settings/keys/{key.pk}", FORM | {"limit_tokens": "9"}, follow=True)
    assert "Nightly report is saved." in answer.content.decode()
    key.refresh_from_db()
    assert (key.name, key.scopes, key.limit_tokens) == ("Nightly report", ["chat", "usage"], 9)


def test_a_key_is_rotated_and_the_overlap_ended(member: Client, owner: User) -> None:
    key, old = apikeys.mint(owner, "first")
    answer = member.post(f"/settings/keys/{key.pk}/rotate", {"overlap": "3600"}, follow=True)
    assert answer.status_code == 200
    new = text_in(answer)
    assert good(old) and good(new)
    assert "is good until" in member.get("/settings/keys").content.decode()
    member.post(f"/settings/keys/{key.pk}/end-previous")
    assert (good(old), good(new)) == (False, True)
    assert "is good until" not in member.get("/settings/keys").content.decode()
    assert member.post(f"/settings/keys/{key.pk}/rotate", {"overlap": "7"}).status_code == 400


def test_revoking_asks_once_more(member: Client, owner: User) -> None:
    key, text = apikeys.mint(owner, "first")
    assert member.get(f"/settings/keys/{key.pk}/revoke").status_code == 200
    assert good(text)
    answer = member.post(f"/settings/keys/{key.pk}/revoke", follow=True)
    assert "first is revoked." in answer.content.decode()
    assert not good(text)


def test_an_expired_key_says_so_and_is_not_rotated(member: Client, key: ApiKey) -> None:
    ApiKey.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    page = member.get("/settings/keys").content.decode()
    assert "Expired" in page and f"/settings/keys/{key.pk}/rotate" not in page
    assert member.post(f"/settings/keys/{key.pk}/rotate", {"overlap": "0"}).status_code == 409


def test_too_many_keys_are_refused_with_what_was_filled_in(
    member: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_keys, "MOST", 1)
    answer = member.post("/settings/keys/new", FORM)
    assert answer.status_code == 409
    assert 'value="Nightly report"' in answer.content.decode()
    assert "as many as there may be" in member.get("/settings/keys").content.decode()


def test_budgets_show_what_is_used_and_held(member: Client, purse: Purse, owner: User) -> None:
    key, _ = apikeys.mint(owner, "first", limit_tokens=10_000, limit_nano_usd=10**9)
    limits = KeyLimits(key.pk, limit_tokens=10_000, limit_nano_usd=10**9)
    purse.settle(purse.admit(purse.ask(api_key=limits))[0], 1200, 50_000_000)
    purse.admit(purse.ask(api_key=limits, bound=7300, cap=500))
    page = member.get("/settings/keys").content.decode()
    assert "9,000 of 10,000 tokens" in page and 'data-level="low"' in page
    assert "of $1.00 used" in page


def test_a_page_of_many_keys_asks_the_database_a_few_times(
    member: Client, owner: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        apikeys.mint(owner, f"{number}")
    member.get("/settings/keys")  # the first request of a session notes its sign-in
    with django_assert_max_num_queries(6):
        assert member.get("/settings/keys").status_code == 200


def test_the_profile_is_changed_and_nothing_else_with_it(member: Client, owner: User) -> None:
    before = User.objects.values().get(pk=owner.pk)
    harmful = {name: "owner" for name in before if name not in {"name", "timezone"}}
    answer = member.post("/settings/profile", harmful | {"name": "  Asha \n Rao ", "timezone": "Asia/Kolkata"})
    assert answer.status_code == 302
    after = User.objects.values().get(pk=owner.pk)
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"name", "timezone", "updated_at"}
    assert (after["name"], after["timezone"]) == ("Asha Rao", "Asia/Kolkata")


@pytest.mark.parametrize(("field", "value"), [("timezone", "Mars/Olympus"), ("timezone", ""), ("name", "x" * 151)])
def test_a_bad_profile_is_refused_at_its_field(member: Client, owner: User, field: str, value: str) -> None:
    answer = member.post("/settings/profile", {"name": "A", "timezone": "UTC", field: value})
    assert answer.status_code == 400
    assert f'id="id_{field}_error"' in answer.content.decode()
    owner.refresh_from_db()
    assert owner.name == ""
