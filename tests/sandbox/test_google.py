"""Sign-in with Google: the way through, and every way in which it can go wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from typing import Any

import jwt
import pytest
from cryptography.x509 import load_pem_x509_certificate

from tests.sandbox.wire import Client, Reply

BACK = "http://localhost:8000/accounts/google/login/callback/"
VERIFIER = "v" * 43 + "-verifier"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "client_id": "sandbox-client",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid email profile",
    "state": "a-state",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def address(**changes: str | None) -> str:
    asked = {name: value for name, value in (ASKED | changes).items() if value is not None}
    return "/google/o/oauth2/v2/auth?" + urllib.parse.urlencode(asked)


def returned(reply: Reply) -> dict[str, str]:
    assert reply.status == 302, reply.body
    assert reply.headers["location"].startswith(BACK)
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(reply.headers["location"]).query))


def consent(box: Client, **form: str) -> str:
    answer = returned(box.form(address(), form or {"email": "asha@example.com", "name": "Asha Rao", "verified": "1"}))
    assert answer["state"] == "a-state"
    return answer["code"]


def exchange(box: Client, code: str, **changes: str) -> Reply:
    fields = {
        "grant_type": "authorization_code",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "redirect_uri": BACK,
        "code": code,
        "code_verifier": VERIFIER,
    }
    return box.form("/google/token", fields | changes)


def read(box: Client, token: str) -> dict[str, Any]:
    """The claims, verified with the published certificate as a client of Google does it."""
    certificates = box.call("GET", "/google/oauth2/v1/certs")[1]
    pem = certificates[jwt.get_unverified_header(token)["kid"]]
    key: Any = load_pem_x509_certificate(pem.encode()).public_key()
    found: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], audience="sandbox-client", issuer=f"{box.url}/google"
    )
    return found


def test_the_page_names_the_sandbox_and_its_people(box: Client) -> None:
    reply = box.raw("GET", address(), b"")
    page = reply.body.decode()
    assert "This is a sandbox" in page and "asha@example.com" in page
    assert "<script" not in page and "script-src" not in reply.headers["content-security-policy"]


def test_a_consent_becomes_a_verified_identity(box: Client) -> None:
    body = exchange(box, consent(box)).json
    claims = read(box, body["id_token"])
    assert claims["email"] == "asha@example.com" and claims["email_verified"] is True
    assert (claims["given_name"], claims["family_name"]) == ("Asha", "Rao")
    assert body["token_type"] == "Bearer"
    status, info = box.call(
        "GET", "/google/oauth2/v2/userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    )
    assert status == 200 and info["id"] == claims["sub"] and info["verified_email"] is True


def test_a_listed_person_is_chosen_by_one_button_and_keeps_the_number(box: Client) -> None:
    first = read(box, exchange(box, consent(box)).json["id_token"])["sub"]
    code = returned(box.form(address(), {"person": "asha@example.com"}))["code"]
    assert read(box, exchange(box, code).json["id_token"])["sub"] == first


def test_an_address_can_be_unverified_and_a_number_chosen(box: Client) -> None:
    code = consent(box, email="x@example.com", name="X", verified="0", sub="123")
    claims = read(box, exchange(box, code).json["id_token"])
    assert claims["email_verified"] is False and claims["sub"] == "123"


def test_a_hint_consents_without_a_page(box: Client) -> None:
    reply = box.raw("GET", address(prompt="none", login_hint="jonas@example.com"), b"")
    assert read(box, exchange(box, returned(reply)["code"]).json["id_token"])["name"] == "Jonas Weber"


def test_cancel_returns_with_an_error(box: Client) -> None:
    assert returned(box.form(address(), {"action": "deny"})) == {"error": "access_denied", "state": "a-state"}


@pytest.mark.parametrize(
    "changes", [{"client_id": "another"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": None}]
)
def test_a_request_of_a_stranger_is_not_sent_anywhere(box: Client, changes: dict[str, str | None]) -> None:
    reply = box.raw("GET", address(**changes), b"")
    assert reply.status == 400 and "location" not in reply.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "calendar"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_request_that_lacks_something_returns_with_an_error(
    box: Client, changes: dict[str, str | None], error: str
) -> None:
    assert returned(box.raw("GET", address(**changes), b""))["error"] == error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "another-verifier"}, "invalid_grant"),
        ({"redirect_uri": BACK + "?x=1"}, "redirect_uri_mismatch"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_an_exchange_that_does_not_fit_is_refused(box: Client, changes: dict[str, str], error: str) -> None:
    reply = exchange(box, consent(box), **changes)
    assert reply.status in (400, 401) and reply.json["error"] == error


def test_an_unknown_code_is_refused(box: Client) -> None:
    assert exchange(box, "4/unknown").json["error"] == "invalid_grant"


def test_a_code_works_once(box: Client) -> None:
    code = consent(box)
    assert exchange(box, code).status == 200
    assert exchange(box, code).json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("wrong-aud", jwt.InvalidAudienceError),
        ("wrong-iss", jwt.InvalidIssuerError),
        ("expired", jwt.ExpiredSignatureError),
        ("future", jwt.ImmatureSignatureError),
        ("bad-signature", jwt.InvalidSignatureError),
        ("unknown-kid", KeyError),
    ],
)
def test_a_fault_spoils_the_next_token_only(box: Client, fault: str, error: type[Exception]) -> None:
    box.control("google", {"fault": fault})
    with pytest.raises(error):
        read(box, exchange(box, consent(box)).json["id_token"])
    read(box, exchange(box, consent(box)).json["id_token"])


def test_a_token_without_email_and_none_at_all(box: Client) -> None:
    box.control("google", {"fault": "no-email"})
    assert "email" not in read(box, exchange(box, consent(box)).json["id_token"])
    box.control("google", {"fault": "no-id-token"})
    body = exchange(box, consent(box)).json
    assert "id_token" not in body and body["access_token"]


def test_a_token_number_comes_again(box: Client) -> None:
    first = read(box, exchange(box, consent(box)).json["id_token"])["jti"]
    box.control("google", {"fault": "replayed-jti"})
    assert read(box, exchange(box, consent(box)).json["id_token"])["jti"] == first


def test_the_exchange_answers_html_or_500_or_late(box: Client) -> None:
    box.control("google", {"fault": "html"})
    assert exchange(box, consent(box)).headers["content-type"].startswith("text/html")
    box.control("google", {"fault": "500"})
    assert exchange(box, consent(box)).status == 500
    box.control("google", {"fault": "slow", "slow_seconds": 0.2})
    assert "id_token" in exchange(box, consent(box)).json


def test_a_token_for_one_tap_is_signed_too(box: Client) -> None:
    made = box.control("google/id-token", {"email": "mei@example.com", "nonce": "n"})["credential"]
    claims = read(box, made)
    assert claims["email"] == "mei@example.com" and claims["nonce"] == "n"


def test_an_unknown_fault_is_refused(box: Client) -> None:
    status, answer = box.call("POST", "/_control/google", {"fault": "earthquake"})
    assert status == 400 and "wrong-aud" in json.dumps(answer)
