"""The operators' commands as processes: the result alone on stdout, errors on stderr with status 1."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import forked
from tests.servers.databases import Databases
from tests.servers.site import machine_environment

Run = Callable[..., subprocess.CompletedProcess[str]]
EMAIL = "ada@example.com"
WHY = ("--reason", "a test")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(database: Databases) -> str:
    return database.migrated()


@pytest.fixture(scope="module")
def run(url: str) -> Run:
    environment = machine_environment() | {"DATABASE_URL": url, "DEBUG": "1"}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forked.run(["manage.py", *arguments], environment, timeout=120)

    assert command("create_user", EMAIL, "--verified").returncode == 0
    return command


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_plans_limits_and_rates_are_set_and_audited(run: Run) -> None:
    granted = answer(run("grant_plan", "Ada@Example.com", "plus", "--until", "2999-01-31", *WHY, "--json"))
    assert (granted["email"], granted["plan"], granted["until"]) == (EMAIL, "plus", "2999-01-31T00:00:00+00:00")
    limits = answer(run("set_quota", EMAIL, "--model", "*", "--tokens", "70000", *WHY, "--json"))["limits"]
    assert [(each["unit"], each["limit"]) for each in limits] == [("tokens", 70_000), ("nano_usd", None)]
    limits = answer(run("set_quota", EMAIL, "--model", "*", "--tokens", "unlimited", "--usd", "1.5", *WHY, "--json"))
    assert [(each["unit"], each["limit"]) for each in limits["limits"]] == [
        ("tokens", None),
        ("nano_usd", 1_500_000_000),
    ]
    rates = answer(run("set_rates", EMAIL, "--rpm", "7", "--concurrent", "unlimited", *WHY, "--json"))["rates"]
    assert rates == {"requests_per_minute": 7, "tokens_per_minute": 200_000, "concurrent_generations": None}
    plain = run("set_rates", EMAIL, "--tpm", "9", *WHY)
    assert plain.stdout == (f"{EMAIL}: requests_per_minute 7, tokens_per_minute 9, concurrent_generations unlimited\n")
    assert answer(run("audit_ledger", EMAIL, "--json")) == {"accounts": 1, "differences": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grant_plan", "nobody@example.com", "plus", *WHY), "nobody@example.com"),
        (("grant_plan", EMAIL, "gold", *WHY), "gold"),
        (("grant_plan", EMAIL, "plus", "--until", "2001-01-01", *WHY), "past"),
        (("grant_plan", EMAIL, "plus", "--until", "soon", *WHY), "--until"),
        (("grant_plan", EMAIL, "plus", "--reason", " "), "--reason"),
        (("set_quota", EMAIL, "--model", "*", "--tokens", "-5", *WHY), "--tokens"),
        (("set_quota", EMAIL, "--model", "*", "--tokens", "5", "--usd", "nan", *WHY), "--usd"),
        (("set_quota", EMAIL, "--model", "no/such-model", "--tokens", "5", *WHY), "no/such-model"),
        (("set_rates", EMAIL, *WHY), "--rpm"),
        (("set_rates", EMAIL, "--rpm", "many", *WHY), "--rpm"),
        (("grant_tokens", EMAIL, "--tokens", "0", *WHY), "--tokens"),
        (("grant_tokens", EMAIL, "--tokens", "5", "--until", "2001-01-01", *WHY), "past"),
        (("audit_ledger", "nobody@example.com"), "nobody@example.com"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, tuple) else value,
)
def test_a_mistake_is_named_on_stderr(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
