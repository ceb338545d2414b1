"""API keys: what they look like, what is kept of them, and which are refused."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from accounts import apikeys
from accounts.authentication import authenticate
from accounts.models import ApiKey
from oneai.kit import clock
from oneai.kit.errors import Refusal
from tests.accounts.people import make

pytestmark = pytest.mark.django_db


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def refused(headers: dict[str, str], address: str = "", status: int = 401) -> str:
    with pytest.raises(Refusal) as caught:
        authenticate(headers, {}, address)
    assert caught.value.status == status
    return caught.value.code


def test_a_key_has_a_public_prefix_256_secret_bits_and_a_checksum() -> None:
    row, key = apikeys.mint(make(), "cli")
    assert re.fullmatch(r"oneai_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}", key)
    assert key.startswith(row.prefix + "_")
    assert 62**43 >= 2**256


def test_the_database_holds_nothing_of_the_secret() -> None:
    _, key = apikeys.mint(make(), "cli")
    secret = key.rpartition("_")[2]
    kept = " ".join(str(value) for value in ApiKey.objects.values_list().get())
    assert secret not in kept and secret[:12] not in kept


def test_the_digest_depends_on_the_secret_key(settings: object) -> None:
    _, key = apikeys.mint(make(), "cli")
    before = apikeys.digest_of(key)
    settings.SECRET_KEY = "another secret key of at least fifty characters, as asked"  # type: ignore[attr-defined]
    assert apikeys.digest_of(key) != before


def test_a_good_key_is_its_person_with_its_scopes_only() -> None:
    user = make()
    row, key = apikeys.mint(user, "cli", ["usage", "models"])
    principal = authenticate(bearer(key), {})
    assert principal is not None
    assert (principal.user_id, principal.method, principal.api_key_id) == (user.pk, "api_key", row.pk)
    assert principal.scopes == {"usage", "models"}
    with pytest.raises(Refusal) as caught:
        principal.require("chat")
    assert caught.value.code == "insufficient_scope"


@pytest.mark.parametrize("position", [7, 16, 17, 30, 59, 60, 64, 65])
def test_a_key_with_one_other_character_is_refused_without_the_database(
    position: int, django_assert_num_queries: object
) -> None:
    _, key = apikeys.mint(make(), "cli")
    other = "A" if key[position] != "A" else "B"
    changed = key[:position] + other + key[position + 1 :]
    assert apikeys.digest_of(changed) is None
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert refused(bearer(changed)) == "invalid_api_key"


@pytest.mark.parametrize(
    "text", ["", "oneai_", "oneai_short", "oneai_" + "A" * 60, "sk-or-v1-0000", "oneai_é" + "A" * 59, "oneai_\n"]
)
def test_text_that_is_no_key_has_no_digest(text: str) -> None:
    assert apikeys.digest_of(text) is None


def test_a_made_up_key_with_a_right_checksum_is_refused() -> None:
    body = "oneai_0123456789_" + "z" * 43
    invented = body + apikeys._checksum(body)
    assert apikeys.digest_of(invented) is not None
    assert refused(bearer(invented)) == "invalid_api_key"


def test_a_key_ends_at_its_time() -> None:
    _, key = apikeys.mint(make(), expires_at=clock.now() + timedelta(days=1))
    assert authenticate(bearer(key), {}) is not None
    with clock.travel(timedelta(days=1, seconds=1)):
        assert refused(bearer(key)) == "invalid_api_key"


def test_a_revoked_key_is_refused_on_the_next_call() -> None:
    row, key = apikeys.mint(make())
    assert authenticate(bearer(key), {}) is not None
    assert apikeys.revoke([row]) == 1
    assert refused(bearer(key)) == "invalid_api_key"
    assert apikeys.revoke([row]) == 0


def test_a_disabled_persons_key_is_refused() -> None:
    user = make()
    _, key = apikeys.mint(user)
    user.is_active = False
    user.save()
    assert refused(bearer(key)) == "account_disabled"


def test_a_key_bound_to_a_network_works_from_there_only() -> None:
    _, key = apikeys.mint(make(), allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    assert authenticate(bearer(key), {}, "192.0.2.9") is not None
    assert authenticate(bearer(key), {}, "2001:db8::1") is not None
    assert refused(bearer(key), "198.51.100.1", 403) == "address_not_allowed"
    assert refused(bearer(key), "unknown", 403) == refused(bearer(key), "", 403) == "address_not_allowed"


def test_use_is_noted_at_most_once_a_minute() -> None:
    row, key = apikeys.mint(make())
    authenticate(bearer(key), {})
    row.refresh_from_db()
    first = row.last_used_at
    assert first is not None
    authenticate(bearer(key), {})
    row.refresh_from_db()
    assert row.last_used_at == first
    with clock.travel(timedelta(seconds=61)):
        authenticate(bearer(key), {})
    row.refresh_from_db()
    assert row.last_used_at is not None and row.last_used_at > first


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-authorization", "proxy-authorization", "cookie"])
def test_a_key_in_another_header_is_not_read(header: str) -> None:
    _, key = apikeys.mint(make())
    assert authenticate({header: f"Bearer {key}"}, {}) is None
    assert authenticate({header: key}, {"authorization": f"Bearer {key}", "api_key": key}) is None


def test_a_key_in_the_query_or_another_header_does_not_open_the_api(client: Client) -> None:
    _, key = apikeys.mint(make())
    assert client.get(f"/api/auth/session?api_key={key}&access_token={key}").status_code == 401
    assert client.get("/api/auth/session", headers={"x-api-key": key}).status_code == 401
    assert client.get("/api/auth/session", headers=bearer(key)).status_code == 200


def test_a_refused_key_is_told_in_the_contracts_form(client: Client) -> None:
    _, key = apikeys.mint(make())
    answer = client.get("/api/auth/session", headers=bearer(key[:-1] + "!"))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert key[:-1] not in answer.content.decode()


@pytest.mark.parametrize(
    ("scopes", "days", "budget"), [(["chat", "root"], 1, None), ([], 1, None), (["chat"], -1, None), (["chat"], 1, 0)]
)
def test_a_senseless_key_is_not_made(scopes: list[str], days: int, budget: int | None) -> None:
    with pytest.raises(Refusal) as caught:
        apikeys.mint(make(), "cli", scopes, clock.now() + timedelta(days=days), budget)
    assert caught.value.code == "invalid_value"
    assert not ApiKey.objects.exists()
