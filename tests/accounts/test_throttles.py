"""Limits on attempts: exact under threads, given back, and over when their window is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts import throttles
from accounts.addresses import address_group, believed_address
from accounts.models import AttemptWindow
from accounts.throttles import Limit
from oneai.kit import clock
from oneai.kit.errors import Refusal
from tests.accounts.people import PASSWORD, make, sign_in, who

FIVE = Limit("test", 5, 300)


def admitted(times: int, subject: str = "somebody", limit: Limit = FIVE) -> int:
    done = 0
    for _ in range(times):
        try:
            throttles.take(limit, subject)
            done += 1
        except Refusal:
            continue
    return done


@pytest.mark.django_db
def test_a_window_admits_its_number_and_says_when_it_is_over() -> None:
    assert admitted(9) == 5
    with pytest.raises(Refusal) as caught:
        throttles.take(FIVE, "somebody")
    assert (caught.value.code, caught.value.status) == ("too_many_attempts", 429)
    assert 1 <= (caught.value.retry_after or 0) <= 300
    assert admitted(1, "somebody else") == 1
    assert admitted(1, limit=Limit("other", 5, 300)) == 1


@pytest.mark.django_db
def test_the_next_window_admits_again() -> None:
    assert admitted(6) == 5
    with clock.travel(timedelta(seconds=299)):
        assert admitted(1) == 0
    with clock.travel(timedelta(seconds=301)):
        assert admitted(6) == 5


@pytest.mark.django_db
def test_an_attempt_given_back_is_free_again() -> None:
    tickets = [throttles.take(FIVE, "somebody") for _ in range(5)]
    throttles.give_back(tickets[0])
    assert admitted(3) == 1


@pytest.mark.django_db
def test_giving_back_after_the_window_takes_nothing_from_the_next_one() -> None:
    ticket = throttles.take(FIVE, "somebody")
    with clock.travel(timedelta(seconds=301)):
        assert admitted(6) == 5
        throttles.give_back(ticket)
        assert admitted(1) == 0


@pytest.mark.django_db
def test_who_was_counted_can_not_be_read() -> None:
    throttles.take(FIVE, "asha@example.com")
    assert "asha" not in AttemptWindow.objects.get().key


@pytest.mark.django_db(transaction=True)
def test_ten_threads_at_once_are_admitted_five_times() -> None:
    def attempts(_: int) -> int:
        try:
            return admitted(4)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempts, range(10))) == 5


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "believed"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "6.6.6.6", 0, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", 1, "198.51.100.7"),
        ("192.0.2.1", "6.6.6.6, 198.51.100.7", 1, "198.51.100.7"),
        ("192.0.2.1", "6.6.6.6, 198.51.100.7, 10.0.0.1", 2, "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", 2, "198.51.100.7"),
        ("192.0.2.1", "nonsense", 1, "192.0.2.1"),
        ("192.0.2.1", "", 1, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7:5123", 1, "198.51.100.7"),
        ("192.0.2.1", "[2001:db8::1]:443", 1, "2001:db8::1"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("", "", 0, "unknown"),
    ],
)
def test_the_believed_address(peer: str, forwarded: str, proxies: int, believed: str) -> None:
    assert believed_address(peer, forwarded, proxies) == believed


def test_one_subscribers_ipv6_addresses_count_as_one() -> None:
    assert address_group("2001:db8:1:2::1") == address_group("2001:db8:1:2:ffff::9")
    assert address_group("2001:db8:1:2::1") != address_group("2001:db8:1:3::1")
    assert address_group("192.0.2.1") == "192.0.2.1"


# Sign-in ----------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("known", [True, False], ids=["known address", "unknown address"])
def test_five_wrong_passwords_lock_an_account_even_for_the_right_one(known: bool) -> None:
    email = make().email if known else "nobody@example.com"
    for attempt in range(5):
        answer = sign_in(Client(), email, "wrong", REMOTE_ADDR=f"192.0.2.{attempt}")
        assert answer.status_code == 200
    client = Client()
    answer = sign_in(client, email.upper(), PASSWORD, REMOTE_ADDR="192.0.2.99")
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 300
    assert b"429" in answer.content or b"oo many" in answer.content
    assert who(client) is None


@pytest.mark.django_db
def test_a_success_gives_back_the_accounts_attempt_and_not_the_addresss() -> None:
    user = make()
    for attempt in range(10):
        assert sign_in(Client(), user).status_code == 302, attempt
    assert sign_in(Client(), user).status_code == 429
    assert sign_in(Client(), user, REMOTE_ADDR="192.0.2.50").status_code == 302


@pytest.mark.django_db
def test_a_made_up_forwarded_address_does_not_help(settings: Any) -> None:
    for attempt in range(10):
        sign_in(Client(), f"a{attempt}@example.com", "wrong", headers={"x-forwarded-for": f"192.0.2.{attempt}"})
    assert sign_in(Client(), "b@example.com", "w", headers={"x-forwarded-for": "192.0.2.77"}).status_code == 429
    settings.TRUSTED_PROXIES = 1
    spoofed = {"x-forwarded-for": "6.6.6.6, 198.51.100.7"}
    for attempt in range(10):
        assert sign_in(Client(), f"c{attempt}@example.com", "wrong", headers=spoofed).status_code == 200
    assert (
        sign_in(Client(), "d@example.com", "w", headers={"x-forwarded-for": "7.7.7.7, 198.51.100.7"}).status_code == 429
    )


@pytest.mark.django_db
def test_confirming_a_password_again_counts_with_sign_ins() -> None:
    user = make()
    client = Client()
    sign_in(client, user)
    for _ in range(5):
        assert client.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 429


@pytest.mark.django_db
def test_sign_ups_are_limited_by_address() -> None:
    for attempt in range(20):
        assert Client().post("/signup", {"email": f"x{attempt}"}).status_code == 200
    answer = Client().post("/signup", {"email": "new@example.com", "password1": PASSWORD})
    assert answer.status_code == 429 and int(answer["Retry-After"]) >= 1


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/accounts/login/code/", "/accounts/password/reset/"])
@pytest.mark.parametrize("known", [True, False])
def test_mails_with_codes_are_limited_by_account(path: str, known: bool) -> None:
    email = make().email if known else "nobody@example.com"
    answers = [
        Client().post(path, {"email": email}, REMOTE_ADDR=f"192.0.2.{number}").status_code for number in range(6)
    ]
    assert answers == [302] * 5 + [429]


@pytest.mark.django_db
def test_the_admins_sign_in_admits_nobody() -> None:
    owner = make(role="owner")
    form = {"username": owner.email, "password": PASSWORD, "login": owner.email}
    client = Client()
    for path in ("/admin/login/", "/admin/login/?next=/admin/", "/admin/"):
        answer = client.post(path, form)
        assert answer.status_code == 302 and answer["Location"].startswith(("/login", "/admin/login/")), path
        assert who(client) is None
    assert not AttemptWindow.objects.exists(), "no password was looked at"
    assert sign_in(client, owner).status_code == 302
    assert client.get("/admin/").status_code == 200
    person = Client()
    sign_in(person, make())
    assert person.get("/admin/", follow=True).status_code == 403
