"""/api/user/api-keys: whose they are, who may see to them, what each change does and leaves behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import URLPattern

from accounts import apikeys, own_keys, tokens
from accounts.authentication import authenticate
from accounts.models import ApiKey, AuditEntry, User
from oneai.kit import clock
from oneai.kit.errors import Refusal
from quotas.api import urls
from tests.chat.people import Api, api_of, person

pytestmark = pytest.mark.django_db
KEYS = "/api/user/api-keys"
# (method, path, body, what the owner gets). {id} is a key.
ROUTES: list[tuple[str, str, Any, int]] = [
    ("GET", KEYS, None, 200),
    ("POST", KEYS, {"name": "another"}, 201),
    ("GET", KEYS + "/{id}", None, 200),
    ("PATCH", KEYS + "/{id}", {"name": "another"}, 200),
    ("DELETE", KEYS + "/{id}", None, 204),
    ("POST", KEYS + "/{id}/rotate", {}, 200),
    ("DELETE", KEYS + "/{id}/previous", None, 204),
]
OWNED = [row for row in ROUTES if "{id}" in row[1]]


@pytest.fixture
def alice(db: None) -> User:
    return person("alice")


@pytest.fixture
def api(alice: User) -> Api:
    """Alice by an access token."""
    return Api(tokens.issue_access(alice)[0])


@pytest.fixture
def key(alice: User) -> ApiKey:
    return apikeys.mint(alice, "first")[0]


def good(text: str) -> bool:
    try:
        return authenticate({"authorization": f"Bearer {text}"}, {}) is not None
    except Refusal:
        return False


def row_of(key: ApiKey) -> dict[str, Any]:
    return ApiKey.objects.values().get(pk=key.pk)


def error(response: Any) -> tuple[int, str, str | None]:
    body = response.json()["error"]
    return response.status_code, body["code"], body["param"]


# Who may -----------------------------------------------------------------------------------------
def test_every_route_is_in_the_matrix() -> None:
    listed = {path.replace("{id}", "<str:key_id>") for _, path, *_ in ROUTES}
    there = {"/api/" + str(route.pattern) for route in urls.urlpatterns if isinstance(route, URLPattern)}
    assert {path for path in there if "api-keys" in path} == listed


@pytest.mark.parametrize(("method", "path", "body", "status"), ROUTES)
def test_the_owner_may_and_a_visitor_may_not(
    api: Api, key: ApiKey, method: str, path: str, body: Any, status: int
) -> None:
    before = row_of(key)
    assert error(Api().send(method, path.format(id=key.pk), body))[:2] == (401, "not_authenticated")
    assert row_of(key) == before
    assert api.send(method, path.format(id=key.pk), body).status_code == status


@pytest.mark.parametrize(("method", "path", "body", "status"), ROUTES)
def test_no_key_may_see_to_keys_whatever_its_scopes(
    alice: User, key: ApiKey, method: str, path: str, body: Any, status: int
) -> None:
    before = row_of(key)
    assert error(api_of(alice).send(method, path.format(id=key.pk), body))[:2] == (403, "insufficient_scope")
    assert row_of(key) == before


@pytest.mark.parametrize("role", ["user", "support", "finance", "owner"])
@pytest.mark.parametrize(("method", "path", "body", "status"), OWNED)
def test_anothers_key_is_like_an_unknown_one(
    key: ApiKey, role: str, method: str, path: str, body: Any, status: int
) -> None:
    stranger = User.objects.create_user(f"{role}@example.com", role=role)
    bob, before = Api(tokens.issue_access(stranger)[0]), row_of(key)

    def outcome(key_id: object) -> tuple[int, bytes]:
        response = bob.send(method, path.format(id=key_id), body)
        return response.status_code, re.sub(rb'"request_id":\s*"[^"]*"', b"", response.content)

    assert outcome(key.pk) == outcome(clock.uuid7()) == outcome("not-an-id") == outcome(key.pk.hex)
    assert outcome(key.pk)[0] == 404
    assert row_of(key) == before


@pytest.mark.parametrize(("method", "path", "body", "status"), [row for row in ROUTES if row[0] != "GET"])
def test_a_session_needs_its_token_to_write(
    alice: User, key: ApiKey, method: str, path: str, body: Any, status: int
) -> None:
    browser = Api()
    browser.client.handler.enforce_csrf_checks = True
    browser.client.force_login(alice)
    before, count = row_of(key), ApiKey.objects.count()
    assert error(browser.send(method, path.format(id=key.pk), body))[:2] == (403, "csrf_failed")
    assert (row_of(key), ApiKey.objects.count()) == (before, count)


# What they do ------------------------------------------------------------------------------------
TERMS: dict[str, Any] = {
    "name": "Nightly report",
    "scopes": ["chat", "usage"],
    "expires_at": "2099-01-31T12:00:00Z",
    "allowed_models": ["openai/*", "anthropic/claude-3.5-haiku"],
    "allowed_addresses": ["192.0.2.0/24", "2001:db8::/32"],
    "limit_tokens": 5000,
    "limit_nano_usd": 1_500_000_000,
    "requests_per_minute": 6,
    "tokens_per_minute": 9000,
}


def test_a_key_is_made_on_its_terms_and_shown_once(api: Api) -> None:
    made = api.post(KEYS, TERMS)
    assert made.status_code == 201
    body = made.json()
    text = body.pop("key")
    assert {name: body[name] for name in TERMS} == TERMS
    assert text.startswith(body["prefix"] + "_") and text not in json.dumps(body)
    assert [(limit["unit"], limit["limit"], limit["used"]) for limit in body["limits"]] == [
        ("tokens", 5000, 0), ("nano_usd", 1_500_000_000, 0),
    ]  # fmt: skip
    assert {limit["scope"] for limit in body["limits"]} == {f"key:{body['id']}"}
    assert api.get(f"{KEYS}/{body['id']}").json() == body
    assert api.get(KEYS).json()["results"] == [body]
    found = authenticate({"authorization": f"Bearer {text}"}, {}, "192.0.2.9")
    assert found is not None and found.scopes == {"chat", "usage"}


def test_a_key_without_terms_may_what_a_key_may_and_has_no_end(api: Api) -> None:
    body = api.post(KEYS, {"name": "plain", "expires_at": None, "limit_tokens": "unlimited"}).json()
    assert body["scopes"] == ["chat", "conversations", "models", "usage"]
    assert (body["expires_at"], body["limit_tokens"], body["limits"], body["previous"]) == (None, None, [], None)
    assert (body["allowed_models"], body["allowed_addresses"], body["last_used_at"]) == ([], [], None)


@pytest.mark.parametrize(
    ("field", "value", "code", "param"),
    [
        ("name", None, "missing_required_parameter", "name"),
        ("name", "  ", "invalid_value", "name"),
        ("name", "x" * 101, "invalid_value", "name"),
        ("name", 7, "invalid_value", "name"),
        ("scopes", [], "invalid_value", "scopes"),
        ("scopes", "chat", "invalid_value", "scopes"),
        ("scopes", ["admin"], "invalid_value", "scopes.0"),
        ("expires_at", "2020-01-01T00:00:00Z", "invalid_value", "expires_at"),
        ("expires_at", "tomorrow", "invalid_value", "expires_at"),
        ("expires_at", 4_000_000_000, "invalid_value", "expires_at"),
        ("limit_tokens", 0, "invalid_value", "limit_tokens"),
        ("limit_tokens", "5000", "invalid_value", "limit_tokens"),
        ("limit_tokens", 5000.5, "invalid_value", "limit_tokens"),
        ("limit_tokens", True, "invalid_value", "limit_tokens"),
        ("limit_nano_usd", 10**16, "invalid_value", "limit_nano_usd"),
        ("requests_per_minute", -1, "invalid_value", "requests_per_minute"),
        ("allowed_models", ["a b"], "invalid_value", "allowed_models"),
        ("allowed_models", "openai/*", "invalid_value", "allowed_models"),
        ("allowed_models", [f"m/{n}" for n in range(101)], "invalid_value", "allowed_models"),
        ("allowed_addresses", ["192.0.2.9/24"], "invalid_value", "allowed_addresses"),
        ("allowed_addresses", [f"192.0.2.{n}" for n in range(51)], "invalid_value", "allowed_addresses"),
        ("colour", "red", "unknown_field", "colour"),
    ],
)
def test_bad_terms_are_refused_by_name_when_made_and_when_changed(
    api: Api, key: ApiKey, field: str, value: Any, code: str, param: str
) -> None:
    before = row_of(key)
    assert error(api.post(KEYS, {"name": "x"} | {field: value})) == (400, code, param)
    if value is not None:
        assert error(api.patch(f"{KEYS}/{key.pk}", {field: value})) == (400, code, param)
    assert ApiKey.objects.count() == 1 and row_of(key) == before
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"{", b"null"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", KEYS), ("PATCH", KEYS + "/{id}"), ("POST", KEYS + "/{id}/rotate")]
)
def test_a_body_that_is_no_object_is_refused(api: Api, key: ApiKey, method: str, path: str, body: bytes) -> None:
    assert api.send(method, path.format(id=key.pk), body).status_code == 400


def test_what_is_left_out_or_null_stays_and_words_lift_what_was_set(api: Api) -> None:
    made = api.post(KEYS, TERMS).json()
    where = f"{KEYS}/{made['id']}"
    text = made.pop("key")
    assert api.patch(where, dict.fromkeys(TERMS)).json() == api.patch(where, {}).json() == made
    lifted = api.patch(
        where,
        dict.fromkeys(["limit_tokens", "limit_nano_usd", "requests_per_minute", "tokens_per_minute"], "unlimited")
        | {"expires_at": "never", "allowed_models": [], "allowed_addresses": []},
    ).json()
    assert lifted == made | {
        "expires_at": None, "allowed_models": [], "allowed_addresses": [], "limits": [], "limit_tokens": None,
        "limit_nano_usd": None, "requests_per_minute": None, "tokens_per_minute": None,
    }  # fmt: skip
    assert good(text)


@pytest.mark.parametrize("path", ["/api/user/api-keys", "/api/user/api-keys/{id}", "/api/user/api-keys/{id}/rotate"])
def test_no_column_can_be_written_but_those_that_are_offered(api: Api, alice: User, key: ApiKey, path: str) -> None:
    """Every column of the key, its owner and the account, each alone and with a value that would harm."""
    User.objects.create_user("bob@example.com")
    offered = {"name", "scopes", "expires_at", "allowed_models"} | {name for name in TERMS if name in row_of(key)}
    names = {field.attname for model in (ApiKey, User) for field in model._meta.concrete_fields}
    names |= {field.name for model in (ApiKey, User) for field in model._meta.get_fields()}
    names |= {"is_staff", "is_superuser", "plan", "quota", "key", "limits", "previous", "user.role", "__class__"}
    method = "PATCH" if path.endswith("{id}") else "POST"
    needed = {"name": "x"} if path == KEYS else {}
    before, person_before = row_of(key), User.objects.values().get(pk=alice.pk)
    values: list[Any] = ["owner", 1, True, [str(key.pk)], {"id": str(key.pk)}]
    for name in sorted(names - offered):
        for value in values:
            answer = api.send(method, path.format(id=key.pk), needed | {name: value})
            assert error(answer)[1:] == ("unknown_field", name), name
    assert ApiKey.objects.count() == 1 and row_of(key) == before
    assert User.objects.values().get(pk=alice.pk) == person_before


def test_an_account_has_so_many_keys_and_no_more(api: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_keys, "MOST", 3)
    ids = [api.post(KEYS, {"name": f"{number}"}).json()["id"] for number in range(3)]
    refusal = api.post(KEYS, {"name": "one more"})
    assert error(refusal)[:2] == (409, "too_many_api_keys")
    assert refusal.json()["error"]["details"] == {"limit": 3}
    assert api.delete(f"{KEYS}/{ids[0]}").status_code == 204
    assert api.post(KEYS, {"name": "one more"}).status_code == 201


def test_new_texts_are_limited_by_the_hour(api: Api, alice: User, key: ApiKey) -> None:
    for number in range(30):
        assert api.delete(f"{KEYS}/{api.post(KEYS, {'name': f'{number}'}).json()['id']}").status_code == 204
        assert api.post(f"{KEYS}/{key.pk}/rotate", {}).status_code == 200
    for path in (KEYS, f"{KEYS}/{key.pk}/rotate"):
        refusal = api.post(path, {"name": "x"} if path == KEYS else {})
        assert error(refusal)[:2] == (429, "too_many_attempts")
        assert int(refusal["Retry-After"]) >= 1


def test_the_list_comes_in_pages_the_newest_first(api: Api, alice: User) -> None:
    made = [str(apikeys.mint(alice, f"{number}")[0].pk) for number in range(5)]
    apikeys.revoke(alice.api_keys.filter(pk=made[2]))
    seen: list[str] = []
    url = f"{KEYS}?limit=2"
    while url:
        page = api.get(url.replace("http://testserver", "")).json()
        assert len(page["results"]) <= 2
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == [made[4], made[3], made[1], made[0]]
    for query in ("limit=x", "limit=0", "cursor=x"):
        assert api.get(f"{KEYS}?{query}").status_code == 400


# Rotation and revocation -------------------------------------------------------------------------
def test_a_rotated_key_is_the_same_key_by_either_text_until_the_overlap_ends(api: Api) -> None:
    made = api.post(KEYS, TERMS | {"allowed_addresses": []}).json()
    rotated = api.post(f"{KEYS}/{made['id']}/rotate", {"overlap_seconds": 3600}).json()
    assert rotated["key"] != made["key"] and rotated["prefix"] != made["prefix"]
    assert {name: rotated[name] for name in TERMS} == {name: made[name] for name in TERMS}
    assert rotated["id"] == made["id"]
    assert rotated["previous"]["prefix"] == made["prefix"]
    old, new = ({"authorization": f"Bearer {body['key']}"} for body in (made, rotated))
    first, second = authenticate(old, {}), authenticate(new, {})
    assert first is not None and second is not None
    assert first.api_key_id == second.api_key_id
    with clock.travel(timedelta(seconds=3599)):
        assert good(made["key"])
    with clock.travel(timedelta(seconds=3601)):
        assert not good(made["key"]) and good(rotated["key"])
        assert api.get(f"{KEYS}/{made['id']}").json()["previous"] is None


@pytest.mark.parametrize(("body", "seconds"), [(None, 86_400), ({}, 86_400), ({"overlap_seconds": None}, 86_400)])
def test_the_overlap_is_a_day_unless_said(api: Api, key: ApiKey, body: Any, seconds: int) -> None:
    before = clock.now()
    api.post(f"{KEYS}/{key.pk}/rotate", body)
    until = row_of(key)["previous_until"]
    assert before + timedelta(seconds=seconds) <= until <= clock.now() + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [-1, 2_592_001, "1", 1.5, True])
def test_an_overlap_is_from_nothing_to_thirty_days(api: Api, key: ApiKey, seconds: Any) -> None:
    before = row_of(key)
    answer = api.post(f"{KEYS}/{key.pk}/rotate", {"overlap_seconds": seconds})
    assert error(answer) == (400, "invalid_value", "overlap_seconds")
    assert row_of(key) == before


def test_without_overlap_the_text_before_ends_at_once(api: Api) -> None:
    made = api.post(KEYS, {"name": "x"}).json()
    rotated = api.post(f"{KEYS}/{made['id']}/rotate", {"overlap_seconds": 0}).json()
    assert rotated["previous"] is None
    assert not good(made["key"]) and good(rotated["key"])


def test_a_second_rotation_ends_the_first_text(api: Api) -> None:
    texts = [(made := api.post(KEYS, {"name": "x"}).json())["key"]]
    for _ in range(2):
        texts.append(api.post(f"{KEYS}/{made['id']}/rotate").json()["key"])
    assert [good(text) for text in texts] == [False, True, True]


def test_the_overlap_can_be_ended_early(api: Api) -> None:
    made = api.post(KEYS, {"name": "x"}).json()
    rotated = api.post(f"{KEYS}/{made['id']}/rotate").json()
    for _ in range(2):
        assert api.delete(f"{KEYS}/{made['id']}/previous").status_code == 204
    assert [good(made["key"]), good(rotated["key"])] == [False, True]
    assert AuditEntry.objects.filter(action="api_key.previous_ended", target=rotated["prefix"]).count() == 1


def test_an_expired_key_is_not_rotated_but_may_be_given_a_later_end(api: Api, alice: User) -> None:
    row, text = apikeys.mint(alice, expires_at=clock.now() + timedelta(seconds=60))
    ApiKey.objects.filter(pk=row.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert error(api.post(f"{KEYS}/{row.pk}/rotate"))[:2] == (409, "conflict")
    assert not good(text)
    assert api.patch(f"{KEYS}/{row.pk}", {"expires_at": "never"}).status_code == 200
    assert good(text)


def test_revoking_ends_both_texts_for_good(api: Api) -> None:
    made = api.post(KEYS, {"name": "x"}).json()
    rotated = api.post(f"{KEYS}/{made['id']}/rotate").json()
    assert api.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert not good(made["key"]) and not good(rotated["key"])
    assert api.get(KEYS).json()["results"] == []
    for method, path, body, _ in OWNED:
        assert api.send(method, path.format(id=made["id"]), body).status_code == 404


def test_a_key_revoked_by_a_faster_clock_is_refused_now(alice: User) -> None:
    row, text = apikeys.mint(alice)
    with clock.travel(timedelta(minutes=5)):
        apikeys.revoke([row])
    assert not good(text)


def test_a_scope_that_the_role_does_not_have_is_worth_nothing(alice: User, key: ApiKey) -> None:
    row, text = apikeys.mint(alice, scopes=["usage"])
    ApiKey.objects.filter(pk=row.pk).update(scopes=["usage", "admin", "user"])
    found = authenticate({"authorization": f"Bearer {text}"}, {})
    assert found is not None and found.scopes == {"usage"}


# What is left behind -----------------------------------------------------------------------------
def test_every_change_leaves_an_entry_without_a_secret(api: Api, alice: User) -> None:
    made = api.post(KEYS, TERMS).json()
    where = f"{KEYS}/{made['id']}"
    api.patch(where, {"name": "Daily report", "limit_tokens": 1})
    api.patch(where, {"name": "Daily report"})  # nothing changes
    rotated = api.post(f"{where}/rotate", {"overlap_seconds": 60}).json()
    api.delete(f"{where}/previous")
    api.delete(where)
    entries = list(AuditEntry.objects.order_by("at"))
    assert [entry.action for entry in entries] == [
        "api_key.created", "api_key.changed", "api_key.rotated", "api_key.previous_ended", "api_key.revoked",
    ]  # fmt: skip
    assert {(entry.actor_id, entry.actor_label, entry.subject_id) for entry in entries} == {
        (alice.pk, alice.email, alice.pk)
    }
    assert entries[1].details == {
        "before": {"name": "Nightly report", "limit_tokens": 5000},
        "after": {"name": "Daily report", "limit_tokens": 1},
    }
    assert [entry.target for entry in entries] == [made["prefix"]] * 2 + [rotated["prefix"]] * 3
    kept = " ".join(str(row) for row in [*AuditEntry.objects.values(), *ApiKey.objects.values()])
    for body in (made, rotated):
        assert body["key"].rpartition("_")[2] not in kept


def test_a_refused_change_leaves_none(api: Api, key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise Refusal("unavailable")

    before = row_of(key)
    monkeypatch.setattr("accounts.audit.record", fails)
    writes: list[Callable[[], Any]] = [
        lambda: api.post(KEYS, {"name": "x"}),
        lambda: api.patch(f"{KEYS}/{key.pk}", {"name": "x"}),
        lambda: api.post(f"{KEYS}/{key.pk}/rotate"),
        lambda: api.delete(f"{KEYS}/{key.pk}"),
    ]
    assert [write().status_code for write in writes] == [503] * 4
    assert ApiKey.objects.count() == 1 and row_of(key) == before
