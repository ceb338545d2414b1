"""The second step: set up, asked for at every sign-in, counted, used up; and where staff can't do without it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import second_step, standing
from accounts.models import AttemptWindow, User
from adminpanel.doctor_key_probes import look_at_keys
from adminpanel.doctor_keys import judge_keys
from oneai.kit import sealing
from tests.accounts.people import PASSWORD, Google, make, sign_in, who

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"The key: <code>([A-Z2-7]+)</code>")
CODES = re.compile(r"<li><code>(\d{8})</code></li>")


def code_now(secret: str, step: int = 0) -> str:
    """What an app with this key shows, ``step`` half minutes from now."""
    counter = next(iter(totp.yield_hotp_counters_from_time())) + 1 + step
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def confirm(client: Client) -> None:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def set_up(user: User) -> tuple[Client, str, list[str]]:
    """A browser in which ``user`` has set up an app: its key, and the recovery codes."""
    client = Client()
    sign_in(client, user)
    confirm(client)
    page = client.get("/accounts/2fa/app/").content.decode()
    found = SECRET.search(page)
    assert found and 'src="data:image/svg+xml' in page
    done = client.post("/accounts/2fa/app/", {"code": code_now(found[1])}, follow=True)
    codes = CODES.findall(done.content.decode())
    assert len(codes) == 10
    AttemptWindow.objects.all().delete()
    return client, found[1], codes


def test_signing_in_takes_the_code_of_the_app_and_each_code_works_once() -> None:
    user = make()
    _, secret, _ = set_up(user)
    client = Client()
    assert sign_in(client, user)["Location"] == "/accounts/2fa/authenticate/"
    assert who(client) is None
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert wrong.status_code == 200 and b"Incorrect code" in wrong.content
    code = code_now(secret, 1)
    assert client.post("/accounts/2fa/authenticate/", {"code": code})["Location"] == "/c"
    assert who(client) == user.email
    again = Client()
    sign_in(again, user)
    assert again.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 200
    assert who(again) is None


def test_a_recovery_code_opens_once_and_none_is_shown_twice() -> None:
    user = make()
    first, _, codes = set_up(user)
    for expected in (user.email, None):
        client = Client()
        sign_in(client, user)
        client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert who(client) == expected
    page = first.get("/accounts/2fa/codes/").content.decode()
    assert "9 of 10 are left" in page and not CODES.search(page)


def test_codes_are_guessed_five_times_and_no_more() -> None:
    user = make()
    _, secret, _ = set_up(user)
    client = Client()
    sign_in(client, user)
    answers = [client.post("/accounts/2fa/authenticate/", {"code": f"{n:06}"}).status_code for n in range(7)]
    assert answers == [200] * 5 + [429] * 2
    assert client.post("/accounts/2fa/authenticate/", {"code": code_now(secret, 1)}).status_code == 429


def test_google_alone_does_not_open_an_account_with_a_second_step(google: Google) -> None:
    user = make("asha@example.com")
    _, secret, _ = set_up(user)
    client = Client(SERVER_NAME="localhost")
    assert google.sign_in(client, user.email, sub="1001")["Location"] == "/accounts/2fa/authenticate/"
    assert who(client) is None

    def call(**more: str) -> Any:
        asked = {"email": user.email, "sub": "1001"}
        token = httpx.post(f"{google.url}/_control/google/id-token", json=asked).json()["credential"]
        body = {"provider": "google", "id_token": token, **more}
        return Client().post("/api/auth/callback", body, "application/json")

    assert call().json()["error"]["code"] == "second_factor_required"
    assert call(second_factor="000000").json()["error"]["param"] == "second_factor"
    assert call(second_factor=code_now(secret, 1)).status_code == 200


def test_the_key_of_an_app_is_sealed_and_opened_by_every_listed_key(settings: Settings) -> None:
    user = make()
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    _, secret, _ = set_up(user)
    kept = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert secret not in kept
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]
    assert sealing.unseal(kept) == secret
    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    with pytest.raises(ValueError, match="no key"):
        sealing.unseal(kept)
    (finding,) = (one for one in judge_keys(look_at_keys()) if "does not open" in one.text)
    assert finding.needs_action


def test_setting_up_and_switching_off_ask_for_the_password_again() -> None:
    user = make()
    client = Client()
    sign_in(client, user)
    assert client.get("/accounts/2fa/app/")["Location"].startswith("/accounts/reauthenticate/")
    ready, _, _ = set_up(user)
    assert ready.post("/accounts/2fa/app/off/").status_code == 302
    assert not second_step.is_on(user) and not Authenticator.objects.filter(user=user).exists()
    assert sign_in(Client(), user)["Location"] == "/c"


def test_the_desk_opens_to_staff_with_the_second_step_only_where_it_is_needed(settings: Settings) -> None:
    owner = make(role="owner")
    plain = Client()
    sign_in(plain, owner)
    assert plain.get("/admin/").status_code == 200
    settings.STAFF_NEEDS_SECOND_STEP = True
    assert plain.get("/admin/", follow=True).redirect_chain[-1][0] == "/settings/security"
    _, secret, _ = set_up(owner)
    assert plain.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/2fa/reauthenticate/")
    assert plain.get("/admin/accounts/user/").status_code == 302
    assert plain.get("/api/admin/users").json()["error"]["code"] == "second_factor_required"
    client = Client()
    sign_in(client, owner)
    client.post("/accounts/2fa/authenticate/", {"code": code_now(secret, 1)})
    assert client.get("/admin/").status_code == 200 == client.get("/api/admin/users").status_code
    confirm(client)
    assert client.post("/accounts/2fa/app/off/").status_code == 200
    assert second_step.is_on(owner)


def test_whoever_loses_the_account_to_its_holder_keeps_none_of_it() -> None:
    user = make()
    set_up(user)
    standing.lock_out(user)
    assert not Authenticator.objects.filter(user=user).exists()


def test_the_page_of_a_new_passkey_asks_the_device_for_one_that_knows_its_person() -> None:
    client = Client()
    sign_in(client, make())
    confirm(client)
    page = client.get("/accounts/2fa/passkeys/new/")
    found = re.search(r'data-options="([^"]+)"', page.content.decode())
    assert page.status_code == 200 and found
    asked = json.loads(unescape(found[1]))["publicKey"]
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert client.post("/accounts/2fa/passkeys/new/", {"name": "x", "credential": "{}"}).status_code == 200
    options = Client().get("/accounts/2fa/passkeys/login/").json()["options"]["publicKey"]
    assert options["userVerification"] == "required" and not options.get("allowCredentials")
    assert Client().post("/accounts/2fa/passkeys/login/", {"credential": "{}"})["Location"] == "/login"
