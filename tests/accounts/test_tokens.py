"""Access tokens: the good ones, and every way to be a bad one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts import standing, tokens
from accounts.authentication import authenticate
from accounts.models import User
from oneai.kit import clock
from oneai.kit.derived import derived_key
from oneai.kit.errors import Refusal
from tests.accounts.people import make

pytestmark = pytest.mark.django_db
OLD, NEW = "o" * 40, "n" * 40


def refused(token: str) -> str:
    with pytest.raises(Refusal) as caught:
        authenticate({"authorization": f"Bearer {token}"}, {})
    assert caught.value.status == 401
    return caught.value.code


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def signed(claims: dict[str, Any], key: bytes | None = None, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key or derived_key("access-tokens"), algorithm=algorithm)


def test_a_token_is_its_person_until_it_ends() -> None:
    user = make()
    token, expires_at = tokens.issue_access(user)
    principal = authenticate({"authorization": f"Bearer {token}"}, {})
    assert principal is not None
    assert (principal.user_id, principal.method, principal.scopes) == (user.pk, "jwt", None)
    assert principal.expires_at == expires_at


def test_the_scheme_is_read_without_regard_to_case() -> None:
    token, _ = tokens.issue_access(make())
    assert authenticate({"authorization": f"bearer {token}"}, {}) is not None


def test_an_expired_token_is_refused() -> None:
    user = make()
    with clock.travel(timedelta(hours=-1)):
        token, _ = tokens.issue_access(user)
    assert refused(token) == "invalid_token"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "https://elsewhere.example/api"},
        {"aud": ["http://localhost/api", "x"]},
        {"sub": "0198c0de-0000-4000-8000-000000000000"},
        {"sub": "1"},
        {"sub": 1},
        {"sub": ""},
        {"epoch": 1},
        {"epoch": -1},
        {"epoch": None},
        {"use": "refresh"},
        {"iat": datetime(2999, 1, 1, tzinfo=UTC)},
        {"exp": "soon"},
        {"exp": 1e400},
        {"jti": None},
    ],
    ids=str,
)
def test_a_token_with_another_claim_is_refused(change: dict[str, Any]) -> None:
    token, _ = tokens.issue_access(make())
    claims = claims_of(token) | change
    assert refused(signed({name: value for name, value in claims.items() if value is not None})) == "invalid_token"


@pytest.mark.parametrize("claim", tokens.CLAIMS)
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    token, _ = tokens.issue_access(make())
    claims = claims_of(token)
    del claims[claim]
    assert refused(signed(claims)) == "invalid_token"


def test_a_token_signed_otherwise_is_refused() -> None:
    token, _ = tokens.issue_access(make())
    claims = claims_of(token)
    assert refused(signed(claims, b"k" * 40)) == "invalid_token"
    assert refused(signed(claims, derived_key("access-tokens") * 2, "HS512")) == "invalid_token"
    assert refused(jwt.encode(claims, None, algorithm="none")) == "invalid_token"
    assert refused(token[:-2] + ("AA" if token[-2:] != "AA" else "BB")) == "invalid_token"


def test_the_first_key_signs_and_all_verify(settings: Any) -> None:
    user = make()
    settings.JWT_SIGNING_KEYS = [OLD]
    old, _ = tokens.issue_access(user)
    settings.JWT_SIGNING_KEYS = [NEW, OLD]
    new, _ = tokens.issue_access(user)
    assert tokens.verify(old).user == tokens.verify(new).user == user
    settings.JWT_SIGNING_KEYS = [NEW]
    assert tokens.verify(new).user == user
    assert refused(old) == "invalid_token"


def test_a_short_signing_key_is_not_accepted(settings: Any) -> None:
    settings.JWT_SIGNING_KEYS = ["x" * 31]
    with pytest.raises(ImproperlyConfigured):
        tokens.issue_access(make())


def test_a_disabled_or_deleted_persons_token_is_refused() -> None:
    user = make()
    token, _ = tokens.issue_access(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert refused(token) == "account_disabled"
    User.objects.filter(pk=user.pk).delete()
    assert refused(token) == "invalid_token"


def test_ending_sign_ins_ends_tokens_issued_before_and_none_after() -> None:
    user = make()
    before, _ = tokens.issue_access(user)
    standing.end_sign_ins(user)
    after, _ = tokens.issue_access(user)
    assert refused(before) == "invalid_token"
    assert tokens.verify(after).user == user


def test_a_token_needs_no_csrf_token_and_a_bad_one_gets_the_contracts_answer(client: Client) -> None:
    token, _ = tokens.issue_access(make())
    strict = Client(enforce_csrf_checks=True)
    good = strict.patch(
        "/api/user/profile",
        {"name": "Asha"},
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )
    assert good.status_code == 200, good.content
    bad = client.get("/api/auth/session", headers={"authorization": "Bearer x.y.z"})
    assert bad.status_code == 401
    assert bad.json()["error"]["code"] == "invalid_token"
    assert bad["WWW-Authenticate"].startswith("Bearer")
