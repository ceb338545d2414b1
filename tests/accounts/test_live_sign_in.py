"""Sign-in over HTTP against real processes: several web workers, one mail worker, no Redis."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.accounts.people import CODE, PASSWORD
from tests.servers.site import Site, some_address

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Browser:
    """Cookies, and forms with the token of their page."""

    def __init__(self, site: Site, forwarded: str = "") -> None:
        headers = {"x-forwarded-for": forwarded or some_address()}
        self.http = httpx.Client(base_url=site.url, headers=headers, timeout=60)

    def submit(self, path: str, **form: str) -> httpx.Response:
        page = self.http.get(path)
        token = TOKEN.search(page.text)
        assert token, (page.status_code, page.text[:500])
        return self.http.post(path, data={**form, "csrfmiddlewaretoken": token[1]})

    def who(self) -> str | None:
        answer = self.http.get("/api/auth/session")
        return str(answer.json()["user"]["email"]) if answer.status_code == 200 else None


def mail_to(site: Site, address: str) -> dict[str, str]:
    """The newest mail that arrived for somebody, within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        mails = httpx.get(f"{site.sandbox_url}/_control/mail", params={"to": address}).json()["messages"]
        if mails:
            return dict(mails[0])
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address}")


@pytest.mark.slow
def test_four_processes_admit_five_of_many_passwords(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=4, worker=False, settings={"TRUSTED_PROXIES": "1"})
    victim = site.new_user().email

    def guesses(number: int) -> list[int]:
        """Wrong passwords from ever other addresses; the token of one page does for all."""
        browser = Browser(site, f"198.51.100.{number}")
        token = TOKEN.search(browser.http.get("/login").text)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "login": victim}
        return [
            browser.http.post(
                "/login",
                data={**form, "password": secrets.token_hex(8)},
                headers={"x-forwarded-for": f"10.{attempt}.0.9, 203.0.{number}.{attempt}"},
            ).status_code
            for attempt in range(12)
        ]

    with ThreadPoolExecutor(10) as pool:
        answers = [status for statuses in pool.map(guesses, range(10)) for status in statuses]
    assert answers.count(200) == 5
    assert answers.count(429) == 115
    locked = Browser(site, "203.0.113.200")
    answer = locked.submit("/login", login=victim, password=PASSWORD)
    assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 300
    assert locked.who() is None
    desk = locked.http.post("/admin/login/", data={"username": victim, "password": PASSWORD})
    assert desk.status_code in {302, 403} and locked.who() is None

    spoofed = [
        Browser(site, f"10.0.0.{number}, 203.0.113.77").submit("/login", login=f"x{number}@example.com", password="x")
        for number in range(12)
    ]
    assert [answer.status_code for answer in spoofed] == [200] * 10 + [429] * 2


def test_signing_up_by_mail_out_and_in_again(live_site: Site) -> None:
    email = f"new-{secrets.token_hex(5)}@example.com"
    browser = Browser(live_site)
    signed_up = browser.submit("/signup", email=email, password1=PASSWORD)
    assert (signed_up.status_code, signed_up.headers["location"]) == (302, "/accounts/confirm-email/")
    code = CODE.findall(mail_to(live_site, email)["text"])
    assert code
    confirmed = browser.submit("/accounts/confirm-email/", action="verify", code=code[-1])
    assert (confirmed.status_code, confirmed.headers["location"]) == (302, "/c")
    assert browser.who() == email
    old = browser.http.cookies["session"]
    out = browser.submit("/accounts/logout/")
    assert out.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert browser.who() is None
    browser.submit("/login", login=email, password=PASSWORD)
    assert browser.who() == email
    assert browser.http.cookies["session"] != old
    stale = httpx.get(f"{live_site.url}/api/auth/session", cookies={"session": old})
    assert stale.status_code == 401


def test_mail_that_the_server_refuses_at_first_arrives_later_and_once(live_site: Site) -> None:
    user = live_site.new_user()
    httpx.post(f"{live_site.sandbox_url}/_control/mail-fault", json={"times": 1}).raise_for_status()
    Browser(live_site).submit("/accounts/login/code/", email=user.email)
    assert CODE.search(mail_to(live_site, user.email)["text"])
    mails = httpx.get(f"{live_site.sandbox_url}/_control/mail", params={"to": user.email}).json()["messages"]
    assert len(mails) == 1


def test_continuing_with_google(live_site: Site) -> None:
    email = f"google-{secrets.token_hex(5)}@example.com"
    browser = Browser(live_site)
    start = browser.submit("/accounts/google/login/")
    assert start.status_code == 302 and start.headers["location"].startswith(live_site.sandbox_url)
    back = httpx.post(start.headers["location"], data={"email": email, "verified": "1", "name": "Mei"})
    assert browser.http.get(back.headers["location"]).headers["location"] == "/c"
    assert browser.who() == email


def test_a_key_opens_the_api_until_it_is_not_one(live_site: Site) -> None:
    user = live_site.new_user()
    session = f"{live_site.url}/api/auth/session"
    good = httpx.get(session, headers={"authorization": f"Bearer {user.api_key}"})
    assert good.json()["method"] == "api_key" and good.json()["user"]["email"] == user.email
    for headers in (
        {"x-api-key": user.api_key},
        {"authorization": user.api_key},
        {"authorization": f"Bearer {user.api_key}x"},
        {"authorization": "Bearer"},
    ):
        bad = httpx.get(session, headers=headers)
        assert bad.status_code == 401 and bad.headers["www-authenticate"].startswith("Bearer")
        assert user.api_key not in bad.text


def test_the_logs_are_json_and_name_no_secret(live_site: Site) -> None:
    user = live_site.new_user()
    browser = Browser(live_site)
    browser.submit("/login", login=user.email + "\r\n{}", password="a secret guess")
    browser.submit("/login", login=user.email, password=user.password)
    httpx.get(f"{live_site.url}/api/auth/session", headers={"authorization": f"Bearer {user.api_key}"})
    text = live_site.log_path.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("{"):
            json.loads(line)
    assert '"event":"signed_in"' in text
    for secret in (user.password, user.api_key, user.email, "a secret guess", browser.http.cookies["session"]):
        assert secret not in text
