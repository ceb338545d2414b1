"""People for the tests of sign-in, and how a browser of theirs signs in."""

from __future__ import annotations

import re
import secrets
from typing import Any

import httpx
from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.test import Client

from accounts import outbox
from accounts.models import OutgoingMail, User

PASSWORD = "correct horse battery staple"
CODE = re.compile(r"^\s*([A-Z0-9]{3,6}(?:-[A-Z0-9]{3,6})?)\s*$", re.MULTILINE)


def make(email: str = "", *, verified: bool = True, password: str | None = PASSWORD, **fields: Any) -> User:
    """A person with an address of their own."""
    address = email or f"someone-{secrets.token_hex(6)}@example.com"
    user = User.objects.create_user(address, password, **fields)
    EmailAddress.objects.create(user=user, email=address, primary=True, verified=verified)
    return user


def browser() -> Client:
    """A new browser at the site's address on this machine, the only kind the imitated Google returns to."""
    return Client(SERVER_NAME="localhost")


def sign_in(client: Client, user: User | str, password: str = PASSWORD, **more: Any) -> Any:
    """POST the sign-in form."""
    email = user if isinstance(user, str) else user.email
    return client.post("/login", {"login": email, "password": password}, **more)


def who(client: Client) -> str | None:
    """The address of whoever the API says is signed in."""
    answer = client.get("/api/auth/session")
    return answer.json()["user"]["email"] if answer.status_code == 200 else None


def mails_to(address: str) -> list[OutgoingMail]:
    """What was written to somebody and not sent yet, oldest first."""
    return [mail for mail in OutgoingMail.objects.order_by("created_at", "id") if address in mail.to]


def code_for(address: str) -> str:
    """The code in the newest mail to somebody."""
    from email import message_from_bytes, policy

    message = message_from_bytes(bytes(mails_to(address)[-1].message), policy=policy.default)
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    found = CODE.findall(text)
    assert found, text
    return str(found[-1])


def command(*arguments: str) -> str:
    """What a management command prints."""
    from io import StringIO

    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


class Google:
    """The imitated Google as a browser meets it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, fault: str | None, **more: Any) -> None:
        """Order a fault for the next exchange of a code."""
        httpx.post(f"{self.url}/_control/google", json={"fault": fault, **more}).raise_for_status()

    def consent(self, location: str, **person: str) -> str:
        """Consent as ``person`` at the page that the site sent us to; where Google sends us back."""
        answer = httpx.post(location, data=person)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def start(self, client: Client, **query: str) -> str:
        """Press the button; where the site sends us."""
        answer = client.post("/accounts/google/login/", query_params=query)
        assert answer.status_code == 302, answer.content
        return str(answer["Location"])

    def sign_in(self, client: Client, email: str, *, verified: bool = True, sub: str = "", **query: str) -> Any:
        """The whole way; the answer of the callback."""
        person = {"email": email, "verified": "1" if verified else "0", "name": "Asha Rao"}
        if sub:
            person["sub"] = sub
        back = self.consent(self.start(client, **query), **person)
        return client.get(back)


__all__ = ["PASSWORD", "Google", "browser", "code_for", "command", "mails_to", "make", "outbox", "sign_in", "who"]
