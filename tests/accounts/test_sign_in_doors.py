"""Which pages of sign-in there are, who may open them, and where they lead."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import OutgoingMail
from accounts.urls import urlpatterns
from tests.accounts.people import PASSWORD, browser, make, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return browser()


SAFE = ["/pricing", "/c?x=1", "/c#a"]
UNSAFE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://localhost@evil.example",
    "http://localhost.evil.example",
    "http://localhost:1/",
    "\x08//evil.example",
    "http:///evil.example",
    "\t//evil.example",
]


@pytest.mark.parametrize("wanted", [*SAFE, *UNSAFE])
def test_next_leads_to_a_page_of_this_site_or_to_the_chat(client: Client, wanted: str) -> None:
    user = make()
    signed_in = client.post("/login", {"login": user.email, "password": PASSWORD, "next": wanted})["Location"]
    again = client.get("/login", {"next": wanted})["Location"]
    out = client.post("/accounts/logout/", {"next": wanted})["Location"]
    if wanted in SAFE:
        assert (signed_in, again, out) == (wanted, wanted, wanted)
    else:
        assert (signed_in, again, out) == ("/c", "/c", "/")


def test_forms_need_a_csrf_token(browser_client: Client) -> None:
    user = make()
    for path in ("/login", "/signup", "/accounts/logout/", "/accounts/login/code/", "/accounts/password/reset/"):
        answer = browser_client.post(path, {"login": user.email, "email": user.email, "password": PASSWORD})
        assert answer.status_code == 403, path
    assert not OutgoingMail.objects.exists()


PAGES = {
    "/login",
    "/signup",
    "/accounts/login/code/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/inactive/",
    "/accounts/google/login/",
    "/accounts/google/cancelled/",
}
OF_A_PERSON = {
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/accounts/connections/",
    "/accounts/logout/",
}


@pytest.mark.parametrize("path", sorted(PAGES))
def test_pages_for_everybody_show(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", sorted(OF_A_PERSON))
def test_pages_of_a_person_need_one(client: Client, path: str) -> None:
    assert client.get(path).status_code == 302
    sign_in(client, make())
    assert client.get(path).status_code == 200


def test_no_other_page_of_the_library_exists() -> None:
    library = {
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/3rdparty/",
        "/accounts/google/login/token/",
        "/accounts/social/signup/",
    }
    client = browser()
    for path in library:
        assert client.post(path).status_code == 404, path
    assert len(urlpatterns) == 20


@pytest.mark.parametrize("headers", [{"x-requested-with": "XMLHttpRequest"}, {"accept": "application/json"}])
def test_forms_answer_with_pages_whatever_is_asked(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/login", {"login": "nobody@example.com", "password": "x"}, headers=headers)
    assert answer["Content-Type"].startswith("text/html")
