"""Empty and migrated databases for sites under test, on the database the run is for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.postgres import Postgres
from tests.servers.process import ROOT
from tests.servers.site import machine_environment


class Databases:
    """Hands out databases of one kind; a migrated one is a copy of a template made once."""

    def __init__(self, kind: str, folder: Path, postgres: Postgres | None, prefix: str) -> None:
        """``prefix`` keeps the databases of parallel test processes apart."""
        self.kind = kind
        self._folder = folder
        self._postgres = postgres
        self._prefix = prefix
        self._made = 0
        self._template = ""

    def empty(self) -> str:
        """The URL of a database without tables."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        if self._postgres:
            return self._postgres.create_database(name)
        return f"sqlite:///{self._folder / name}.sqlite3"

    def migrated(self) -> str:
        """The URL of a database after `manage.py migrate`, with nothing else in it."""
        if not self._template:
            url = self.empty()
            self._migrate(url)
            self._template = url
        if self._postgres:
            self._made += 1
            return self._postgres.create_database(
                f"{self._prefix}_{self._made}", template=self._template.rsplit("/", 1)[1]
            )
        url = self.empty()
        shutil.copy(self._template.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        return url

    @staticmethod
    def _migrate(url: str) -> None:
        env = machine_environment() | {"DATABASE_URL": url, "DEBUG": "1"}
        command = [sys.executable, "manage.py", "migrate", "-v", "0"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise AssertionError(f"migrate failed on {url}: {done.stderr[-4000:]}")
