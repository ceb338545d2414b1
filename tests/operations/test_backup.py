"""docs/operations/backup.md, done: a copy of a running site is whole, and the doctor tells whether the keys fit it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chat.client import Chat
from tests.servers import forked
from tests.servers.databases import Databases
from tests.servers.postgres import binaries
from tests.servers.site import Site


def dumped_and_restored(url: str, into: str, folder: Path) -> None:
    tools, path = ("pg_dump", "pg_restore"), str(binaries())
    programs = {name: shutil.which(name, path=path) or shutil.which(name) for name in tools}
    if None in programs.values():
        pytest.skip("pg_dump is not on this machine")
    file = str(folder / "oneai.dump")
    for command in (
        [programs["pg_dump"], "--format=custom", f"--file={file}", url],
        [programs["pg_restore"], "--no-owner", "--exit-on-error", f"--dbname={into}", file],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def copy_of(site: Site, database: Databases, folder: Path) -> dict[str, str]:
    """The environment of a site like this one on a copy of its database, taken while it serves."""
    url, into = site.env["DATABASE_URL"], database.empty()
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as live:
            live.execute("VACUUM INTO ?", [into.removeprefix("sqlite:///")])
    else:
        dumped_and_restored(url, into, folder)
    return site.env | {"DATABASE_URL": into}


def audit(env: Mapping[str, str]) -> int:
    return forked.run(["manage.py", "audit_ledger"], env).returncode


def levels_of_the_secret(env: Mapping[str, str]) -> set[str]:
    findings = json.loads(forked.run(["manage.py", "doctor", "--json"], env).stdout)["findings"]
    return {finding["level"] for finding in findings if finding["subject"] == "SECRET_KEY"}


@pytest.mark.slow
def test_a_copy_is_whole_under_its_keys_and_is_not_under_others(
    live_site: Site, database: Databases, tmp_path: Path
) -> None:
    assert Chat(live_site, live_site.new_user()).send("Will this last?").status == 200
    copy = copy_of(live_site, database, tmp_path)
    assert (audit(copy), levels_of_the_secret(copy)) == (0, {"ok"})
    others = copy | {"SECRET_KEY": "x" * 60}
    assert (audit(others), levels_of_the_secret(others)) == (1, {"ok", "unsafe"})
    known = others | {"SECRET_KEY_FALLBACKS": copy["SECRET_KEY"]}
    assert (audit(known), levels_of_the_secret(known)) == (0, {"ok"})
