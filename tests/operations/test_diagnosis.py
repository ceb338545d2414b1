"""What an operator reads when the database can't be worked with: one line that says what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from oneai.kit.diagnosis import in_words
from tests.servers import forked
from tests.servers.databases import Databases
from tests.servers.process import free_port
from tests.servers.site import machine_environment, production_settings

COMMANDS = [["worker"], ["create_user", "you@example.com"], ["audit_ledger"], ["load_content"]]


def manage(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = machine_environment() | production_settings(1, url) | {"OPENROUTER_API_KEY": "sk-or-v1-x"}
    return forked.run(["manage.py", *arguments], env)


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1
    return line


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_before_the_first_migration_a_command_says_to_migrate(database: Databases, command: list[str]) -> None:
    line = only_line(manage(database.empty(), *command))
    assert "The database is not migrated: run `python manage.py migrate`" in line


WRONG: dict[str, tuple[Callable[[str], str], str]] = {
    "database": (lambda url: f"{url.rpartition('/')[0]}/no_such_one", "no_such_one is not there"),
    "server": (lambda url: url.replace(str(urlsplit(url).port), str(free_port())), "Is the server running?"),
    "host": (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "no such host is known"),
}


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_the_way_to_the_database_is_told_apart(database: Databases, wrong: str) -> None:
    change, words = WRONG[wrong]
    url = change(database.empty())
    assert words in only_line(manage(url, "migrate"))
    (line,) = (line for line in manage(url, "doctor").stdout.splitlines() if " Database:" in line)
    assert line.startswith("missing") and words in line


def test_a_file_that_cant_be_made_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/oneai.sqlite3"
    assert f"{tmp_path}/none/oneai.sqlite3 needs a folder that we can write to" in only_line(manage(url, "migrate"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('FATAL:  password authentication failed for user "oneai"', "refuses the password of oneai in DATABASE_URL."),
        ("fe_sendauth: no password supplied", "wants a password for oneai, and DATABASE_URL has none."),
        ('FATAL:  role "oneai" does not exist', "has no role oneai: make it, or correct the URL."),
        ("connection timeout expired", "does not answer at db:5433 within 3 seconds."),
        ("FATAL:  sorry, too many clients already", "has no connection left: raise max_connections, or run fewer"),
        ("FATAL:  the sky fell\nDETAIL: all of it", "does not answer: FATAL:  the sky fell"),
    ],
)
def test_what_the_server_says_is_said_in_our_words(said: str, words: str) -> None:
    assert in_words(said, {"HOST": "db", "PORT": 5433, "USER": "oneai", "NAME": "oneai"}).startswith(words)
