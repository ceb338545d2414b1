"""Google: who is let in, who is linked, and fourteen ways to take over an account that do not work."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client

from accounts import apikeys, tokens
from accounts.models import AuditEntry, User
from tests.accounts.people import PASSWORD, Google, browser, make, sign_in, who

pytestmark = pytest.mark.django_db
ASHA = "asha@example.com"


@pytest.fixture
def client() -> Client:
    return browser()


@pytest.fixture(autouse=True)
def _no_fault(google: Google) -> Any:
    google.fault(None, pkce="required")
    yield
    google.fault(None, pkce="required")


def nobody_came_in(client: Client) -> None:
    assert who(client) is None
    assert not SocialAccount.objects.exists()


def test_a_newcomer_signs_up_verified_with_the_number_as_identity(google: Google, client: Client) -> None:
    answer = google.sign_in(client, ASHA, sub="1001")
    assert (answer.status_code, answer["Location"]) == (302, "/c")
    user = User.objects.get()
    assert (user.email, user.google_id, user.name) == (ASHA, "1001", "Asha Rao")
    assert not user.has_usable_password() and user.role == "user"
    assert EmailAddress.objects.get().verified
    assert who(client) == ASHA


def test_the_way_carries_state_pkce_and_the_three_scopes_only(google: Google, client: Client) -> None:
    location = google.start(client, next="/pricing", scope="drive", auth_params="access_type=offline&prompt=none")
    query = parse_qs(urlsplit(location).query)
    assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43
    assert len(query["state"][0]) >= 16
    assert set(query["scope"][0].split()) == {"openid", "email", "profile"}
    assert query["access_type"] == ["online"] and "prompt" not in query


def test_starting_needs_a_post_with_a_csrf_token(browser_client: Client) -> None:
    page = browser_client.get("/accounts/google/login/")
    assert page.status_code == 200 and "Location" not in page
    assert browser_client.post("/accounts/google/login/").status_code == 403


def test_a_known_number_signs_in_whatever_its_address_is_now(google: Google) -> None:
    google.sign_in(browser(), ASHA, sub="1001")
    client = browser()
    google.sign_in(client, "renamed@example.com", sub="1001")
    assert who(client) == ASHA
    assert User.objects.count() == 1


def test_a_known_number_signs_in_though_its_new_address_is_somebody_elses(google: Google) -> None:
    google.sign_in(browser(), ASHA, sub="1001")
    other = make("other@example.com")
    client = browser()
    google.sign_in(client, other.email, sub="1001")
    assert who(client) == ASHA
    other.refresh_from_db()
    assert other.google_id is None


def test_another_number_with_a_linked_address_is_refused(google: Google, client: Client) -> None:
    google.sign_in(browser(), ASHA, sub="1001")
    answer = google.sign_in(client, ASHA, sub="2002")
    assert answer["Location"] == "/login"
    assert who(client) is None
    assert User.objects.get().google_id == "1001"


def test_an_address_verified_on_both_sides_is_linked_with_a_notice(google: Google, client: Client) -> None:
    user = make(ASHA)
    google.sign_in(client, ASHA.upper(), sub="1001")
    assert who(client) == ASHA
    user.refresh_from_db()
    assert user.google_id == "1001" and user.check_password(PASSWORD)
    assert [message.to for message in mail.outbox] == [[ASHA]]
    assert AuditEntry.objects.get().action == "google.connected"


def test_an_account_registered_ahead_of_its_holder_is_emptied_first(google: Google, client: Client) -> None:
    attacker = browser()
    attacker.post("/signup", {"email": ASHA, "password1": "the attacker's own password"})
    planted = User.objects.get()
    attacker_session = browser()
    attacker_session.force_login(planted)
    _, key = apikeys.mint(planted)
    token, _ = tokens.issue_access(planted)
    mail.outbox.clear()

    google.sign_in(client, ASHA, sub="1001")

    assert who(client) == ASHA
    planted.refresh_from_db()
    assert planted.google_id == "1001" and not planted.has_usable_password()
    assert EmailAddress.objects.get(user=planted).verified
    assert who(attacker_session) is None
    assert sign_in(browser(), ASHA, "the attacker's own password").status_code == 200
    for credential in (key, token):
        assert browser().get("/api/auth/session", headers={"authorization": f"Bearer {credential}"}).status_code == 401
    assert any("never confirmed" in message.body for message in mail.outbox)
    assert "account.handed_over" in AuditEntry.objects.values_list("action", flat=True)
    pending = attacker.post("/accounts/confirm-email/", {"code": "AAAA-AAAA", "action": "verify"})
    assert pending.status_code in {200, 302} and who(attacker) is None


def test_an_account_that_proved_another_address_is_not_taken_over(google: Google, client: Client) -> None:
    user = make(ASHA, verified=False)
    EmailAddress.objects.create(user=user, email="proved@example.com", verified=True)
    answer = google.sign_in(client, ASHA, sub="1001")
    assert answer["Location"] == "/login"
    nobody_came_in(client)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_an_address_that_somebody_only_began_to_add_keeps_nobody_out(google: Google, client: Client) -> None:
    other = make("other@example.com")
    EmailAddress.objects.create(user=other, email=ASHA, verified=False)
    google.sign_in(client, ASHA, sub="1001")
    assert who(client) == ASHA
    other.refresh_from_db()
    assert other.google_id is None and User.objects.count() == 2


@pytest.mark.parametrize("local", [None, True, False], ids=["unknown", "known and verified", "known and not verified"])
def test_an_address_that_google_did_not_verify_opens_nothing(
    google: Google, client: Client, local: bool | None
) -> None:
    if local is not None:
        make(ASHA, verified=local)
    answer = google.sign_in(client, ASHA, verified=False, sub="1001")
    assert answer["Location"] == "/login"
    nobody_came_in(client)
    assert User.objects.count() == (local is not None)


def test_a_disabled_person_is_not_let_in(google: Google, client: Client) -> None:
    make(ASHA, is_active=False)
    google.sign_in(client, ASHA, sub="1001")
    nobody_came_in(client)
    google.sign_in(client, "known@example.com", sub="3003")
    User.objects.filter(google_id="3003").update(is_active=False)
    second = browser()
    answer = google.sign_in(second, "known@example.com", sub="3003")
    assert answer["Location"] == "/accounts/inactive/"
    assert who(second) is None


@pytest.mark.parametrize(
    "fault",
    [
        "wrong-aud",
        "wrong-iss",
        "expired",
        "bad-signature",
        "unknown-kid",
        "no-id-token",
        "no-email",
        "html",
        "500",
    ],
)
def test_a_bad_answer_of_google_signs_nobody_in(google: Google, client: Client, fault: str) -> None:
    make(ASHA)
    google.fault(fault)
    answer = google.sign_in(client, ASHA, sub="1001")
    assert answer.status_code in {302, 401}
    nobody_came_in(client)


def test_a_replayed_identity_token_signs_nobody_in(google: Google) -> None:
    google.sign_in(browser(), "first@example.com", sub="1")
    google.fault("replayed-jti")
    client = browser()
    google.sign_in(client, "second@example.com", sub="2")
    assert who(client) is None


def test_a_used_code_is_not_taken_again(google: Google, client: Client) -> None:
    back = google.consent(google.start(client), email=ASHA, verified="1")
    client.get(back)
    client.post("/accounts/logout/")
    assert client.get(back).status_code == 401
    other = browser()
    location = google.start(other)
    state = parse_qs(urlsplit(location).query)["state"][0]
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert other.get("/accounts/google/login/callback/", {"code": code, "state": state}).status_code == 401
    assert who(other) is None


def test_another_browsers_state_is_not_accepted(google: Google, client: Client) -> None:
    back = google.consent(google.start(client), email="attacker@example.com", verified="1")
    victim = browser()
    assert victim.get(back).status_code == 401
    query = parse_qs(urlsplit(back).query)
    for state in ("", "made-up"):
        answer = victim.get("/accounts/google/login/callback/", {"code": query["code"][0], "state": state})
        assert answer.status_code == 401
    assert victim.get("/accounts/google/login/callback/", {"code": query["code"][0]}).status_code == 401
    assert who(victim) is None


def test_a_code_stolen_on_its_way_is_worth_nothing_to_another_start(google: Google, client: Client) -> None:
    stolen = parse_qs(urlsplit(google.consent(google.start(client), email=ASHA, verified="1")).query)["code"][0]
    thief = browser()
    state = parse_qs(urlsplit(google.start(thief)).query)["state"][0]
    answer = thief.get("/accounts/google/login/callback/", {"code": stolen, "state": state})
    assert answer.status_code == 401, "the verifier is another one"
    nobody_came_in(thief)


def test_saying_no_at_google_leads_back_gently(google: Google, client: Client) -> None:
    back = google.consent(google.start(client), action="deny")
    answer = client.get(back)
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/google/cancelled/")
    assert client.get(answer["Location"]).status_code == 200
    nobody_came_in(client)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_next_never_leads_off_the_site(google: Google, client: Client, wanted: str) -> None:
    assert google.sign_in(client, ASHA, sub="1001", next=wanted)["Location"] == "/c"


def test_next_leads_to_a_page_of_the_site(google: Google, client: Client) -> None:
    assert google.sign_in(client, ASHA, sub="1001", next="/pricing")["Location"] == "/pricing"


def test_a_signed_in_person_connects_and_disconnects_google(google: Google, client: Client) -> None:
    user = make("local@example.com")
    sign_in(client, user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    google.sign_in(client, ASHA, sub="1001", process="connect")
    user.refresh_from_db()
    assert user.google_id == "1001" and who(client) == "local@example.com"
    again = browser()
    google.sign_in(again, ASHA, sub="1001")
    assert who(again) == "local@example.com"
    account = SocialAccount.objects.get()
    client.post("/accounts/connections/", {"account": account.pk})
    user.refresh_from_db()
    assert user.google_id is None and not SocialAccount.objects.exists()


def test_somebody_elses_google_account_can_not_be_connected(google: Google, client: Client) -> None:
    google.sign_in(browser(), ASHA, sub="1001")
    user = make("local@example.com")
    sign_in(client, user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    google.sign_in(client, ASHA, sub="1001", process="connect")
    user.refresh_from_db()
    assert user.google_id is None
    assert SocialAccount.objects.get().user.email == ASHA


def test_connecting_without_being_signed_in_connects_nothing(google: Google, client: Client) -> None:
    google.sign_in(client, ASHA, sub="1001", process="connect")
    nobody_came_in(client)


def test_without_a_client_id_google_is_not_there(client: Client, settings: Any) -> None:
    settings.SOCIALACCOUNT_PROVIDERS = {}
    assert client.post("/accounts/google/login/").status_code == 404
    assert client.get("/accounts/google/login/callback/").status_code == 404
