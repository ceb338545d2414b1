"""`create_user` and `create_api_key`: what they print, refuse and leave in the audit."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.core.management.base import CommandError
from django.test import Client

from accounts.authentication import authenticate
from accounts.models import ApiKey, AuditEntry, User
from oneai.kit import clock
from tests.accounts.people import PASSWORD, command, make, sign_in

pytestmark = pytest.mark.django_db


def test_create_user_prints_the_id_of_somebody_who_can_sign_in() -> None:
    printed = command("create_user", "Asha@Example.com", "--password", PASSWORD, "--verified", "--name", "Asha")
    user = User.objects.get()
    assert printed == str(user.pk)
    assert (user.email, user.name, user.role) == ("asha@example.com", "Asha", "user")
    assert sign_in(Client(), "asha@example.com").status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject_id, entry.target) == ("user.created", user.pk, "asha@example.com")
    assert PASSWORD not in json.dumps(entry.details)


def test_create_user_takes_a_password_that_is_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{PASSWORD}\n"))
    command("create_user", "asha@example.com", "--verified", "--password")
    assert sign_in(Client(), "asha@example.com").status_code == 302


def test_create_user_as_json_names_the_role() -> None:
    made = json.loads(command("create_user", "o@example.com", "--role", "owner", "--json"))
    assert (made["email"], made["role"], made["plan"], made["created"]) == ("o@example.com", "owner", "free", True)
    user = User.objects.get()
    assert user.is_superuser and not user.has_usable_password()
    assert not EmailAddress.objects.get().verified


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-address"],
        ["a@example.com", "--password", "short"],
        ["a@example.com", "--password", "123456789012345678"[:11]],
        ["a@example.com", "--role", "god"],
        ["a@example.com", "--plan", "gold"],
        ["a@example.com", "--name", "x" * 151],
    ],
)
def test_create_user_refuses_bad_input_and_leaves_nothing(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        command("create_user", *arguments)
    assert not User.objects.exists() and not AuditEntry.objects.exists()


def test_an_existing_user_is_an_error_unless_that_is_fine() -> None:
    user = make("a@example.com", name="First")
    with pytest.raises(CommandError, match="there already"):
        command("create_user", "A@example.com", "--name", "Second")
    assert json.loads(command("create_user", "A@example.com", "--name", "Second", "--exist-ok", "--json")) == {
        "id": str(user.pk),
        "email": "a@example.com",
        "name": "First",
        "role": "user",
        "plan": "free",
        "created": False,
    }
    assert User.objects.get().name == "First"


def test_create_api_key_prints_a_working_key_alone() -> None:
    user = make()
    key = command("create_api_key", user.email, "--name", "cli", "--scopes", "usage,models", "--expires", "7")
    principal = authenticate({"authorization": f"Bearer {key}"}, {})
    assert principal is not None and principal.scopes == {"usage", "models"}
    assert principal.expires_at is not None
    assert timedelta(days=6) < principal.expires_at - clock.now() <= timedelta(days=7)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject_id) == ("api_key.created", user.pk)
    assert key not in str(entry.__dict__)


def test_create_api_key_with_a_budget_as_json() -> None:
    made = json.loads(command("create_api_key", make().email, "--budget-tokens", "5000", "--json"))
    assert authenticate({"authorization": f"Bearer {made['key']}"}, {}) is not None
    assert made["limit_tokens"] == ApiKey.objects.get().limit_tokens == 5000


@pytest.mark.parametrize(
    "arguments", [["--scopes", "chat,root"], ["--scopes", ","], ["--expires", "0"], ["--budget-tokens", "0"]]
)
def test_create_api_key_refuses_bad_input(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        command("create_api_key", make().email, *arguments)
    assert not ApiKey.objects.exists() and not AuditEntry.objects.exists()


def test_create_api_key_for_nobody_is_an_error() -> None:
    with pytest.raises(CommandError, match="nobody"):
        command("create_api_key", "nobody@example.com")
