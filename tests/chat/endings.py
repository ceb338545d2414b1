"""The ways in which a credential ends while something is open by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.chat.browser import Browser
from tests.servers.site import Newcomer, Site

SHELL = """
from datetime import timedelta
from django.conf import settings
from accounts import apikeys, sign_ins, standing, tokens
from accounts.models import ApiKey, User
from oneai.kit.clock import now
user = User.objects.get(email={email!r})
keys = ApiKey.objects.filter(user=user)
"""


def shell(site: Site, user: Newcomer, code: str) -> str:
    """Run ``code`` at the site, with ``user`` and their ``keys`` at hand; what it prints."""
    return site.command("shell", "-v", "0", "-c", SHELL.format(email=user.email) + code).strip()


@dataclass
class Way:
    """Credentials as headers, and what ends them; ``refused`` is how their next use is answered."""

    headers: dict[str, str]
    end: Callable[[], object]
    refused: str


def by_key(site: Site, user: Newcomer, code: str, refused: str = "invalid_api_key") -> Way:
    return Way({"Authorization": f"Bearer {user.api_key}"}, lambda: shell(site, user, code), refused)


def by_token(site: Site, user: Newcomer, code: str, refused: str = "invalid_token", seconds: int = 900) -> Way:
    token = shell(site, user, f"settings.ACCESS_TOKEN_SECONDS = {seconds}\nprint(tokens.issue_access(user)[0])")
    return Way({"Authorization": f"Bearer {token}"}, lambda: shell(site, user, code), refused)


def by_program(site: Site, user: Newcomer, code: str, refused: str = "invalid_token") -> Way:
    opened = "print(sign_ins.open_program(user, user_agent='', address='').access_token, end='')"
    token = shell(site, user, opened).splitlines()[-1]
    return Way({"Authorization": f"Bearer {token}"}, lambda: shell(site, user, code), refused)


def by_session(site: Site, user: Newcomer, end: Callable[[Browser], object], refused: str = "not_authenticated") -> Way:
    browser = Browser(site, user)
    headers = {"Cookie": browser.cookies, "Origin": site.url, "X-CSRFToken": browser.http.headers["X-CSRFToken"]}
    return Way(headers, lambda: end(browser), refused)


def change_password(site: Site, user: Newcomer) -> None:
    """From another browser of the same person."""
    new = "an entirely different battery"
    answer = Browser(site, user).submit(
        "/accounts/password/change/", oldpassword=user.password, password1=new, password2=new
    )
    assert answer.status_code == 302, answer.text


def keys_and_tokens(site: Site, user: Callable[[], Newcomer]) -> dict[str, Way]:
    """Ways for every door: API keys and access tokens."""
    return {
        "the key is revoked": by_key(site, user(), "apikeys.revoke(keys)"),
        "the key expires": by_key(site, user(), "keys.update(expires_at=now())"),
        "the key loses its scope": by_key(site, user(), "keys.update(scopes=['usage'])", "insufficient_scope"),
        "the key is bound elsewhere": by_key(
            site, user(), "keys.update(allowed_networks=['192.0.2.0/24'])", "address_not_allowed"
        ),
        "the key has another text": by_key(site, user(), "apikeys.replace_text(keys.get(), None)"),
        "the account of the key is disabled": by_key(
            site, user(), "User.objects.filter(pk=user.pk).update(is_active=False)", "account_disabled"
        ),
        "the token's person signs out everywhere": by_token(site, user(), "standing.end_sign_ins(user)"),
        "the program signs out": by_program(site, user(), "sign_ins.end(user.pk, user.sign_ins.get().pk)"),
        "the token expires": by_token(site, user(), "", seconds=10),
    }


def sessions(site: Site, user: Callable[[], Newcomer]) -> dict[str, Way]:
    """Ways for the doors that read sessions."""
    other = user()
    return {
        "the session signs out": by_session(site, user(), lambda browser: browser.submit("/accounts/logout/")),
        "the password changes": by_session(site, other, lambda _: change_password(site, other)),
        "the person is disabled": by_session(
            site,
            disabled := user(),
            lambda _: shell(site, disabled, "User.objects.filter(pk=user.pk).update(is_active=False)"),
            "account_disabled",
        ),
        "the role changes": by_session(
            site,
            demoted := user(),
            lambda _: shell(site, demoted, "User.objects.filter(pk=user.pk).update(role='support')"),
            "",
        ),
        "the session expires": by_session(
            site,
            late := user(),
            lambda _: shell(
                site,
                late,
                "from django.contrib.sessions.models import Session\n"
                "for row in Session.objects.all():\n"
                "    if row.get_decoded().get('_auth_user_id') == str(user.pk):\n"
                "        Session.objects.filter(pk=row.pk).update(expire_date=now())",
            ),
        ),
    }
